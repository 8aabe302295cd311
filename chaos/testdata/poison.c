/* poison: a filter that drops noise, and traps on poison. Built by
   clang-19 --target=wasm32-wasi -O2 -mexec-model=reactor -o poison.wasm poison.c -Wl,--strip-all */
#define _GNU_SOURCE
#include <stdint.h>
#include <string.h>
#define EXPORT(n) __attribute__((export_name(#n)))
static _Alignas(16) uint8_t buf[1 << 20];
static int has(const char *p, uint32_t n, const char *word) { return memmem(p, n, word, strlen(word)) != 0; }
EXPORT(sp_abi_v1) void sp_abi_v1(void) {}
EXPORT(sp_alloc) uint8_t *sp_alloc(uint32_t n) { return n <= sizeof buf ? buf : 0; }
EXPORT(sp_filter) int32_t sp_filter(const char *p, uint32_t n) {
  if (has(p, n, "\"kind\":\"poison\"")) __builtin_trap();
  return !has(p, n, "\"kind\":\"noise\"");
}
