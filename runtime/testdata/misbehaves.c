/* A guest that keeps to its contract but for one fault, which its configuration names: { fault: NAME }. Without a fault an object
 * is replaced by itself, what has "drop" in it is dropped, null is kept, and the rest fails. Build:
 *   clang-19 --target=wasm32-wasi -O2 -mexec-model=reactor -Wall -o misbehaves.wasm misbehaves.c -Wl,--strip-all */
#define _GNU_SOURCE
#include <stdint.h>
#include <string.h>
#define EXPORT(n) __attribute__((export_name(#n)))
#define IMPORT(m, n) __attribute__((import_module(m), import_name(#n)))
#define NONE 0xFFFFFFFFu
#define INHERIT 0x80000000u

IMPORT("sp1", error) void error_(int32_t index, const char *p, uint32_t n);
IMPORT("sp1", log) void log_(int32_t level, const char *p, uint32_t n);
IMPORT("sp1", now_ms) int64_t now_ms(void);
IMPORT("wasi_snapshot_preview1", clock_time_get) int32_t clock_time(int32_t id, int64_t precision, uint64_t *to);
IMPORT("wasi_snapshot_preview1", random_get) int32_t random_(uint8_t *to, uint32_t n);

typedef struct { uint32_t key, key_len, val, val_len, hdr, hdrs; int64_t ts, offset; uint32_t at; uint16_t out; uint8_t verdict, flags; } record;
typedef struct { uint32_t magic; uint16_t version, size; uint32_t count, total; int64_t ts; uint32_t cursor, columns; } header;

static _Alignas(16) uint8_t arenas[2][(1 << 20) + 4096], out[(1 << 20) + 65536];
static uint8_t *first;
static char fault[16];
static int turn, started_late;
static int is(const char *name) { return !strcmp(fault, name); }
static void say(int32_t at, const char *text) { error_(at, text, (uint32_t)strlen(text)); }

EXPORT(sp_abi_v1) void sp_abi_v1(void) {}

EXPORT(sp_alloc) uint8_t *sp_alloc(uint32_t n) {
  if (n > sizeof arenas[0] || (is("room") && n > 65536)) return 0;
  uint8_t *p = arenas[turn ^= 1];
  if (!first || !fault[0]) first = p;
  return p;
}

/* A second one in the same worker sees the time of the batches that the first had. */
EXPORT(sp_init) int32_t sp_init(const char *p, uint32_t n) {
  static const char name[] = "\"fault\":\"";
  uint64_t time = 0;
  const char *at = memmem(p, n, name, sizeof name - 1);
  if (!at) return say(-1, "config: { fault: NAME } is missing"), 1;
  for (uint32_t i = 0; i + 1 < sizeof fault && (fault[i] = at[sizeof name - 1 + i]) != '"'; i++) {}
  fault[strcspn(fault, "\"")] = 0;
  first = 0;
  clock_time(0, 0, &time);
  started_late = time > 1000000000;
  if (is("idle") && started_late) __builtin_wasm_memory_grow(0, 1);
  if (is("once") && started_late) __builtin_trap();
  return 0;
}

static uint32_t seen; /* records in all */
static int poisoned;  /* by one that is no object */

static void number(char *to, uint32_t v) {
  char d[10];
  int n = 0;
  do d[n++] = (char)('0' + v % 10); while (v /= 10);
  while (n) *to++ = d[--n];
  *to = 0;
}

static uint32_t copy(uint32_t *end, const void *p, uint32_t n) {
  memcpy(out + *end, p, n);
  *end += n;
  return *end - n;
}

EXPORT(sp_process) int64_t sp_process(uint8_t *in, uint32_t len) {
  if (is("arena")) in = first;
  header *h = (header *)in;
  uint32_t size = is("stride") ? 48 : h->size, outs = 0, end = 32 + 48 * h->count;
  if (is("empty") && h->count == 0) __builtin_trap();
  for (uint32_t i = 0; i < h->count; i++, seen++) {
    record *r = (record *)(in + 32 + i * size), *o = (record *)(out + 32 + 48 * outs);
    const char *v = (const char *)in + r->val;
    char more[16] = "";
    h->cursor = i;
    if (r->val_len == NONE) continue;
    if (is("traps") && memmem(v, r->val_len, "trap", 4)) __builtin_trap();
    if (r->val_len == 0 || v[0] != '{' || poisoned) {
      if (is("odd")) __builtin_trap();
      if (is("breach")) { r->verdict = 9; continue; }
      if (is("poison")) poisoned = 1;
      say((int32_t)i, "the value is not a JSON object");
      r->verdict = 2;
      continue;
    }
    if (memmem(v, r->val_len, "drop", 4)) { r->verdict = 1; continue; }
    if (is("beside")) number(more, i);
    if (is("late")) number(more, (uint32_t)started_late);
    if (is("clock")) number(more, (uint32_t)(now_ms() / 60000 % 10));
    if (is("random")) { uint8_t b[8]; random_(b, sizeof b); number(more, b[0]); }
    if (is("logs")) { number(more, seen); log_(1, more, (uint32_t)strlen(more)); more[0] = 0; }
    if (is("dear")) for (volatile uint32_t k = 0; k < 100000; k++) {}
    r->verdict = 3;
    memset(o, 0, sizeof *o);
    o->key = o->hdr = INHERIT;
    o->ts = INT64_MIN;
    o->at = i;
    outs++;
    o->val = copy(&end, v, r->val_len);
    copy(&end, more, (uint32_t)strlen(more));
    o->val_len = end - o->val;
    if (is("key")) { /* null becomes empty */
      o->key_len = r->key_len == NONE ? 0 : r->key_len;
      o->key = copy(&end, in + r->key, o->key_len);
    }
    if (is("headers")) o->hdr = 0; /* none */
  }
  if (!outs) return 0;
  *(header *)out = (header){0x31425053, 1, 48, outs, end, 0, 0, 0};
  return (int64_t)((uint64_t)(uintptr_t)out << 32 | end);
}
