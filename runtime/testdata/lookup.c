/* A guest that does what the first byte of a value says, with the rest of it:
 *   g  its value in the store, or "absent"
 *   t  the same, and a trap if that is "trap"
 *   m  the rest is a number of lookups to make, of different keys
 *   s  asks with room for two bytes first, and shows both answers
 *   w  asks with ranges outside of its memory
 * In the start message nothing is to be had: it tells if it is. Build:
 *   clang-19 --target=wasm32-wasi -O2 -mbulk-memory -mexec-model=reactor -I../../plugins/sdk/c -o lookup.wasm lookup.c -Wl,--strip-all */
#define SP1_INIT
#define SP1_ROOM(len) ((len) + 4096)
#include "sp1.h"

static int plugin_init(const char *start, uint32_t n) {
  char b[8];
  (void)start, (void)n;
  return sp1_kv_get("early", 5, b, sizeof b) == SP1_REFUSED ? 0 : 1;
}

static uint32_t number(char *to, int32_t v) {
  char d[12];
  uint32_t n = 0, k = 0;
  uint32_t u = v < 0 ? (uint32_t)-v : (uint32_t)v;
  if (v < 0) to[n++] = '-';
  do d[k++] = (char)('0' + u % 10); while (u /= 10);
  while (k) to[n++] = d[--k];
  return n;
}

static int plugin(sp1_batch *b, uint32_t i, const sp1_record *r) {
  const char *v = sp1_value(b, r);
  char *to = (char *)b->end;
  uint32_t n = r->val_len - 1;
  if (*v == '"') v++, n -= 2; /* of a JSON text */
  const char *key = v + 1;
  int32_t got;
  ((sp1_header *)b->base)->cursor = i;
  switch (*v) {
  case 'g': case 't':
    got = sp1_kv_get(key, n, to, 4096);
    if (*v == 't' && got == 4 && !__builtin_memcmp(to, "trap", 4)) __builtin_trap();
    if (got == SP1_ABSENT) { __builtin_memcpy(to, "absent", 6); got = 6; }
    sp1_put(b, i, (uint32_t)got);
    return SP1_REPLACED;
  case 'm': {
    int32_t times = 0;
    for (uint32_t j = 0; j < n; j++) times = times * 10 + key[j] - '0';
    for (int32_t j = 0; j < times; j++) { char k[12]; sp1_kv_get(k, number(k, j), to, 4096); }
    return SP1_KEEP;
  }
  case 's': {
    char small[2] = {'-', '-'};
    uint32_t at = number(to, sp1_kv_get(key, n, small, 2));
    to[at++] = small[0];
    at += number(to + at, sp1_kv_get(key, n, to + at + 3, 4096));
    sp1_put(b, i, at);
    return SP1_REPLACED;
  }
  case 'w': {
    uint32_t at = number(to, sp1_kv_get((const char *)-2, 8, to, 8));
    at += number(to + at, sp1_kv_get(key, n, (char *)-8, 4096));
    sp1_put(b, i, at);
    return SP1_REPLACED;
  }
  }
  return SP1_KEEP;
}
