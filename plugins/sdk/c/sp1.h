/* sp1.h 0.1.0: ABI sp1 for plugins in C and C++20. Include it in one file, and define
 *
 *     static int plugin(sp1_batch *b, uint32_t i, const sp1_record *r);
 *
 * which answers SP1_KEEP, SP1_DROP, SP1_FAIL or SP1_REPLACED for record i, after as many outputs as it likes: write a
 * value at b->end and call sp1_put. Outputs count only if the answer is SP1_REPLACED. With SP1_INIT defined before,
 *
 *     static int plugin_init(const char *start, uint32_t n);
 *
 * is called once with the start message, JSON, and answers 0; anything else keeps the plugin from starting.
 *
 * With SP1_FIELDS defined before, names of fields with a zero behind each, as in "price\0" "channel\0", the host reads the
 * JSON of each value, and sp1_field gives the fields by their place in that list. The value itself is not there then, unless
 * SP1_NEEDS is defined with SP1_VALUES in it. */
#ifndef SP1_H
#define SP1_H
#include <stdint.h>
#include <stddef.h>

#ifdef __wasm__
#define SP1_EXPORT(n) __attribute__((export_name(#n)))
#define SP1_IMPORT(n) __attribute__((import_module("sp1"), import_name(#n)))
#else /* a native build, for tests: they define what they use of sp1_log, sp1_error, sp1_now_ms,
         sp1_metric_add and sp1_kv_get, and find the outputs at sp1_out */
#include <stdlib.h>
#define SP1_EXPORT(n)
#define SP1_IMPORT(n)
#endif
enum { SP1_KEEP, SP1_DROP, SP1_FAIL, SP1_REPLACED };
enum { SP1_KEYS = 1, SP1_VALUES = 2, SP1_HEADERS = 4 }; /* what SP1_NEEDS is made of */
#define SP1_NULL 0xFFFFFFFFu
#define SP1_INHERIT 0x80000000u
#define SP1_INHERIT_TIME INT64_MIN
#define SP1_PAD 64 /* readable bytes behind the arena, so that scans may read whole vectors */

typedef struct {
  uint32_t key_off, key_len, val_off, val_len, hdr_off, hdr_count;
  int64_t timestamp, offset;
  uint32_t partition; /* in an output: src_index */
  uint16_t topic;     /* in an output: which output */
  uint8_t verdict, flags;
} sp1_record;
typedef struct {
  uint32_t key_off, key_len, val_off, val_len;
} sp1_entry; /* one header of a record */

typedef struct {
  uint32_t magic;
  uint16_t version, record_size;
  uint32_t count, total_len;
  int64_t base_ts;
  uint32_t cursor, flags;
} sp1_header;

#ifdef __cplusplus
extern "C" {
static_assert(sizeof(sp1_record) == 48, "descriptor");
#else
_Static_assert(sizeof(sp1_record) == 48, "descriptor");
#endif

SP1_IMPORT(log) void sp1_log(int32_t level, const char *p, uint32_t n); /* 0 debug, 1 info, 2 warn, 3 error */
SP1_IMPORT(error) void sp1_error(int32_t index, const char *p, uint32_t n);
SP1_IMPORT(now_ms) int64_t sp1_now_ms(void); /* the greatest timestamp of the batch */
SP1_IMPORT(metric_add) void sp1_metric_add(int32_t id, int64_t delta); /* id: position in "metrics" of the start message */

/* The value of a key in the store that the configuration gives (kv): its length, SP1_ABSENT, or SP1_REFUSED outside of a
 * call for records. A length above cap means that nothing was written: call again with more room. */
SP1_IMPORT(kv_get) int32_t sp1_kv_get(const char *key, uint32_t n, void *to, uint32_t cap);
enum { SP1_ABSENT = -1, SP1_REFUSED = -2 };

typedef struct {
  uint8_t *base;         /* the input batch */
  sp1_record *out;       /* descriptors of the outputs so far */
  uint32_t outs;
  uint8_t *end;          /* free room for data */
} sp1_batch;

static uint8_t *sp1_arena, *sp1_out;
static uint32_t sp1_arena_cap, sp1_out_cap;

/* Memory is taken from the end of the linear memory, a page at a time, and kept. */
static uint8_t *sp1_more(uint32_t n) {
#ifndef __wasm__
  return (uint8_t *)aligned_alloc(65536, ((uint64_t)n + 65535) & ~65535ull);
#else
  uint32_t pages = (uint32_t)(((uint64_t)n + 65535) >> 16);
  size_t old = __builtin_wasm_memory_grow(0, pages);
  return old == (size_t)-1 ? 0 : (uint8_t *)(old << 16);
#endif
}

SP1_EXPORT(sp_abi_v1) void sp_abi_v1(void) {}

SP1_EXPORT(sp_alloc) uint8_t *sp_alloc(uint32_t n) {
  if (n > 0x40000000u) return 0;
  if (n + SP1_PAD > sp1_arena_cap) {
    uint32_t want = n + n / 2 + SP1_PAD;
    uint8_t *p = sp1_more(want);
    if (!p) return 0;
    sp1_arena = p;
    sp1_arena_cap = (want + 65535) & ~65535u;
  }
  return sp1_arena;
}

/* SP1_ROOM is how many bytes of output data one record may need at most, and SP1_OUTPUTS how many outputs, given the length
 * of its value, or of its fields if there are only these. A record that needs more traps. */
#ifndef SP1_ROOM
#define SP1_ROOM(len) (2 * (len) + 256)
#endif
#ifndef SP1_OUTPUTS
#define SP1_OUTPUTS(len) 1
#endif

static inline const char *sp1_value(sp1_batch *b, const sp1_record *r) { return (const char *)b->base + r->val_off; }
static inline const char *sp1_key(sp1_batch *b, const sp1_record *r) { return (const char *)b->base + r->key_off; }

/* sp1_header_of finds the last header of a name; its value is at b->base + val_off. 0 if there is none. */
static inline const sp1_entry *sp1_header_of(sp1_batch *b, const sp1_record *r, const char *name, uint32_t n) {
  const sp1_entry *e = (const sp1_entry *)(b->base + r->hdr_off), *found = 0;
  for (uint32_t i = 0; i < r->hdr_count; i++)
    if (e[i].key_len == n && !__builtin_memcmp(b->base + e[i].key_off, name, n)) found = &e[i];
  return found;
}

/* sp1_put finishes an output whose value was written at b->end and is n bytes long. */
static inline sp1_record *sp1_put(sp1_batch *b, uint32_t src, uint32_t n) {
  sp1_record *o = &b->out[b->outs++];
  __builtin_memset(o, 0, sizeof *o);
  o->key_off = o->hdr_off = SP1_INHERIT;
  o->val_off = (uint32_t)(b->end - sp1_out);
  o->val_len = n;
  o->timestamp = SP1_INHERIT_TIME;
  o->partition = src;
  b->end += n;
  return o;
}

/* sp1_set_key gives an output a key, which was written at b->end and is n bytes long. SP1_ROOM has to allow for it. */
static inline void sp1_set_key(sp1_batch *b, sp1_record *o, uint32_t n) {
  o->key_off = (uint32_t)(b->end - sp1_out);
  o->key_len = n;
  b->end += n;
}

#ifdef SP1_FIELDS
#ifndef SP1_NEEDS
#define SP1_NEEDS (SP1_KEYS | SP1_HEADERS)
#endif
static const char sp1_fields[] = SP1_FIELDS;
SP1_EXPORT(sp_fields) int64_t sp_fields(void) { return (int64_t)((uint64_t)(uintptr_t)sp1_fields << 32 | (sizeof sp1_fields - 1)); }

/* sp1_field returns the JSON of field i of SP1_FIELDS, *n bytes of it, or 0 if the record has none. */
static inline const char *sp1_field(sp1_batch *b, const sp1_record *r, uint32_t i, uint32_t *n) {
  const uint32_t *slot = (const uint32_t *)(r + 1) + 2 * i;
  *n = slot[1];
  return slot[1] == SP1_NULL ? 0 : (const char *)b->base + slot[0];
}
#endif
#ifdef SP1_NEEDS
SP1_EXPORT(sp_needs) int32_t sp_needs(void) { return SP1_NEEDS; }
#endif

/* sp1_given is the length of what is given of a value: all of it, or the fields. */
static inline uint32_t sp1_given(const sp1_record *r, uint32_t fields) {
  if (r->val_len != SP1_NULL) return r->val_len;
  const uint32_t *slot = (const uint32_t *)(r + 1);
  uint32_t n = 0;
  for (; fields; fields--, slot += 2)
    if (slot[1] != SP1_NULL) n += slot[1];
  return n;
}

/* sp1_within ends a call in which a record has become more than was said, and so may have been written over something else. */
static inline void sp1_within(const sp1_record *r, uint32_t fields, uint32_t outs, uint64_t bytes) {
  uint32_t n = sp1_given(r, fields);
  (void)n; /* what is said need not depend on it */
  static const char room[] = "its output is more than SP1_ROOM says", many[] = "its outputs are more than SP1_OUTPUTS says";
  if (bytes > (uint64_t)(SP1_ROOM(n))) sp1_error(-1, room, sizeof room - 1), __builtin_trap();
  if (outs > (uint32_t)(SP1_OUTPUTS(n))) sp1_error(-1, many, sizeof many - 1), __builtin_trap();
}

static int plugin(sp1_batch *b, uint32_t i, const sp1_record *r);

#ifdef SP1_INIT
static int plugin_init(const char *start, uint32_t n);
SP1_EXPORT(sp_init) int32_t sp_init(const char *start, uint32_t n) { return plugin_init(start, n); }
#endif

SP1_EXPORT(sp_process) int64_t sp_process(uint8_t *in, uint32_t len) {
  (void)len;
  sp1_header *h = (sp1_header *)in;
  uint64_t room = sizeof(sp1_header), most = 0;
  uint32_t fields = (h->record_size - sizeof(sp1_record)) / 8;
  for (uint32_t i = 0; i < h->count; i++) {
    sp1_record *r = (sp1_record *)(in + sizeof(*h) + (uint64_t)i * h->record_size);
    uint32_t n = sp1_given(r, fields);
    (void)n;
    most += SP1_OUTPUTS(n);
    room += SP1_ROOM(n);
  }
  room += most * sizeof(sp1_record);
  if (room > 0x40000000u) return -1;
  if (room > sp1_out_cap) {
    uint8_t *p = sp1_more((uint32_t)room);
    if (!p) return -1;
    sp1_out = p;
    sp1_out_cap = (uint32_t)((room + 65535) & ~65535ull);
  }
  sp1_batch b = {in, (sp1_record *)(sp1_out + sizeof(*h)), 0, sp1_out + sizeof(*h) + most * sizeof(sp1_record)};
  for (uint32_t i = 0; i < h->count; i++) {
    sp1_record *r = (sp1_record *)(in + sizeof(*h) + (uint64_t)i * h->record_size);
    h->cursor = i;
    uint32_t outs = b.outs;
    uint8_t *end = b.end;
    r->verdict = (uint8_t)plugin(&b, i, r);
    if (r->verdict == SP1_REPLACED) sp1_within(r, fields, b.outs - outs, (uint64_t)(b.end - end));
    else b.outs = outs, b.end = end;
  }
  if (!b.outs) return 0;
  uint32_t total = (uint32_t)(b.end - sp1_out);
  sp1_header *o = (sp1_header *)sp1_out;
  __builtin_memset(o, 0, sizeof *o);
  o->magic = 0x31425053;
  o->version = 1;
  o->record_size = sizeof(sp1_record);
  o->count = b.outs;
  o->total_len = total;
  return (int64_t)((uint64_t)(uintptr_t)sp1_out << 32 | total);
}

#ifdef __cplusplus
}
#endif
#endif
