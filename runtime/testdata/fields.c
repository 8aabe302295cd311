/* A guest that wants the fields its configuration names, {"want":"a,b"}, and with "value":1 in it the value too. Of each
 * record it makes those fields with | between, "-" for one that is missing, and behind # the value, or "-".
 *   a is "trap"   it traps
 *   want is "!"   it gives a range outside of its memory, and for "?" names without an end
 * Build:
 *   clang-19 --target=wasm32-wasi -O2 -mbulk-memory -mexec-model=reactor -I../../plugins/sdk/c -o fields.wasm fields.c -Wl,--strip-all */
#define SP1_INIT
#define SP1_ROOM(len) (2 * (len) + 1024)
#include "sp1.h"

static char names[1 << 16];
static uint32_t names_len, count;
static int32_t needs = SP1_KEYS | SP1_HEADERS;

static const char *after(const char *p, const char *end, const char *word) {
  uint32_t n = (uint32_t)__builtin_strlen(word);
  for (; p + n <= end; p++)
    if (!__builtin_memcmp(p, word, n)) return p + n;
  return 0;
}

static int plugin_init(const char *start, uint32_t n) {
  const char *end = start + n, *p = after(start, end, "\"want\":\"");
  if (after(start, end, "\"value\":1")) needs |= SP1_VALUES;
  if (!p) return 0;
  for (count = 1; *p != '"'; p++) {
    count += *p == ',';
    names[names_len++] = *p == ',' ? 0 : *p;
  }
  names[names_len++] = 0;
  return 0;
}

SP1_EXPORT(sp_needs) int32_t sp_needs(void) { return needs; }

SP1_EXPORT(sp_fields) int64_t sp_fields(void) {
  uint32_t at = names[0] == '!' ? 0xFFFFFF00u : (uint32_t)(uintptr_t)names;
  return (int64_t)((uint64_t)at << 32 | (names[0] == '?' ? names_len - 1 : names_len));
}

static void put(sp1_batch *b, uint32_t *n, const void *p, uint32_t len) {
  __builtin_memcpy(b->end + *n, p, len);
  *n += len;
}

static int plugin(sp1_batch *b, uint32_t i, const sp1_record *r) {
  const uint32_t *slot = (const uint32_t *)(r + 1);
  uint32_t n = 0;
  for (uint32_t f = 0; f < count; f++, slot += 2) {
    if (f) put(b, &n, "|", 1);
    if (slot[1] == SP1_NULL) {
      put(b, &n, "-", 1);
      continue;
    }
    if (slot[1] == 6 && !__builtin_memcmp(b->base + slot[0], "\"trap\"", 6)) __builtin_trap();
    put(b, &n, b->base + slot[0], slot[1]);
  }
  put(b, &n, "#", 1);
  if (r->val_len == SP1_NULL) put(b, &n, "-", 1);
  else put(b, &n, sp1_value(b, r), r->val_len);
  sp1_put(b, i, n);
  return SP1_REPLACED;
}
