/* sp1.h: ABI sp1 for plugins in C. Include it in one file, define sp_init if you want the configuration, and define
 *
 *     static int plugin(sp1_batch *b, uint32_t i, const sp1_record *r);
 *
 * which answers SP1_KEEP, SP1_DROP, SP1_FAIL or SP1_REPLACED for record i, after as many sp1_put as it likes. */
#ifndef SP1_H
#define SP1_H
#include <stdint.h>
#include <stddef.h>

#define SP1_EXPORT(n) __attribute__((export_name(#n)))
#define SP1_IMPORT(n) __attribute__((import_module("sp1"), import_name(#n)))
enum { SP1_KEEP, SP1_DROP, SP1_FAIL, SP1_REPLACED };
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
_Static_assert(sizeof(sp1_record) == 48, "descriptor");

typedef struct {
  uint32_t magic;
  uint16_t version, record_size;
  uint32_t count, total_len;
  int64_t base_ts;
  uint32_t cursor, flags;
} sp1_header;

SP1_IMPORT(log) void sp1_log(int32_t level, const char *p, uint32_t n);
SP1_IMPORT(error) void sp1_error(int32_t index, const char *p, uint32_t n);

typedef struct {
  uint8_t *base;         /* the input batch */
  sp1_record *out;       /* descriptors of the outputs so far */
  uint32_t outs;
  uint8_t *end;          /* free room for data */
} sp1_batch;

static _Alignas(16) uint8_t *sp1_arena, *sp1_out;
static uint32_t sp1_arena_cap, sp1_out_cap;

/* Memory is taken from the end of the linear memory, a page at a time, and kept. */
static uint8_t *sp1_more(uint32_t n) {
  uint32_t pages = (uint32_t)(((uint64_t)n + 65535) >> 16);
  size_t old = __builtin_wasm_memory_grow(0, pages);
  return old == (size_t)-1 ? 0 : (uint8_t *)(old << 16);
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

/* SP1_ROOM is how many bytes of output data one record may need at most, given its value's length. */
#ifndef SP1_ROOM
#define SP1_ROOM(len) (2 * (len) + 256)
#endif
#ifndef SP1_OUTPUTS
#define SP1_OUTPUTS(len) 1
#endif

static inline const char *sp1_value(sp1_batch *b, const sp1_record *r) { return (const char *)b->base + r->val_off; }

/* sp1_put finishes an output whose value was written at b->end and is n bytes long. */
static inline sp1_record *sp1_put(sp1_batch *b, uint32_t src, uint32_t n) {
  sp1_record *o = &b->out[b->outs++];
  *o = (sp1_record){.key_off = SP1_INHERIT, .val_off = (uint32_t)(b->end - sp1_out), .val_len = n,
                    .hdr_off = SP1_INHERIT, .timestamp = SP1_INHERIT_TIME, .partition = src};
  b->end += n;
  return o;
}

static int plugin(sp1_batch *b, uint32_t i, const sp1_record *r);

SP1_EXPORT(sp_process) int64_t sp_process(uint8_t *in, uint32_t len) {
  sp1_header *h = (sp1_header *)in;
  uint64_t room = sizeof(sp1_header), most = 0;
  for (uint32_t i = 0; i < h->count; i++) {
    sp1_record *r = (sp1_record *)(in + sizeof(*h) + (uint64_t)i * h->record_size);
    uint32_t n = r->val_len == SP1_NULL ? 0 : r->val_len;
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
    r->verdict = (uint8_t)plugin(&b, i, r);
  }
  if (!b.outs) return 0;
  uint32_t total = (uint32_t)(b.end - sp1_out);
  *(sp1_header *)sp1_out = (sp1_header){.magic = 0x31425053, .version = 1, .record_size = sizeof(sp1_record),
                                        .count = b.outs, .total_len = total};
  return (int64_t)((uint64_t)(uintptr_t)sp1_out << 32 | total);
}
#endif
