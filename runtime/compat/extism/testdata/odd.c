/* A plugin, written against the imports alone, that does odd things by the first letter of its input. With HTTP it asks
   for a page on 'h', with USER it imports what is not offered. */
#include <stdint.h>
#include <string.h>
#define ENV(n) __attribute__((import_module("extism:host/env"), import_name(#n)))
ENV(alloc) uint64_t alloc(uint64_t n);
ENV(free) void release(uint64_t p);
ENV(length) uint64_t length(uint64_t p);
ENV(load_u8) uint32_t load8(uint64_t p);
ENV(load_u64) uint64_t load64(uint64_t p);
ENV(store_u8) void store8(uint64_t p, uint32_t v);
ENV(store_u64) void store64(uint64_t p, uint64_t v);
ENV(input_offset) uint64_t input(void);
ENV(input_length) uint64_t input_length(void);
ENV(input_load_u8) uint32_t input8(uint64_t p);
ENV(input_load_u64) uint64_t input64(uint64_t p);
ENV(output_set) void output(uint64_t p, uint64_t n);
ENV(error_set) void error(uint64_t p);
ENV(config_get) uint64_t config(uint64_t p);
ENV(var_get) uint64_t var(uint64_t p);
ENV(var_set) void set_var(uint64_t p, uint64_t v);
#ifdef HTTP
ENV(http_request) uint64_t http(uint64_t request, uint64_t body);
ENV(http_status_code) uint32_t status(void);
ENV(http_headers) uint64_t headers(void);
#elif defined USER
__attribute__((import_module("extism:host/user"), import_name("mine"))) uint64_t http(uint64_t p, uint64_t n);
#endif

static uint64_t text(const char *s) {
  uint64_t n = strlen(s), p = alloc(n);
  for (uint64_t i = 0; i < n; i++) store8(p + i, (uint8_t)s[i]);
  return p;
}

static void say(const char *s) { output(text(s), strlen(s)); }

static int out_of_range(uint64_t p) {
  store8(p, 1), store64(p, 1), release(p);
  return load8(p) == 0 && load64(p) == 0 && length(p) == 0;
}

/* Blocks are zeros, are reused when the last is let go, and are known by their beginning alone. */
static int blocks(void) {
  uint64_t a = alloc(9), b = alloc(1), zeros = load64(a) + load8(a + 8);
  store64(a, 0x1122334455667788), store8(a + 8, 0x99);
  int ok = zeros == 0 && load8(a + 1) == 0x77 && load8(a + 8) == 0x99 && length(a) == 9 && length(b) == 1 && length(a + 1) == 0;
  release(b);
  return ok && alloc(3) == b && load8(b) == 0 && alloc(0) == 0 && alloc(1ull << 40) == 0;
}

__attribute__((export_name("told"))) int32_t told(void) {
#ifdef USER
  http(0, 0);
#endif
  uint64_t n = input_length();
  switch (n ? input8(0) : 0) {
#ifdef HTTP
  case 'h': http(text("{\"url\":\"http://127.0.0.1/page\"}"), 0); break;
  case 's': say(status() == 0 && headers() == 0 ? "none" : "some"); break;
#endif
  case 'b': say(blocks() ? "sound" : "broken"); break;
  case 'r': say(out_of_range(0) && out_of_range(8) && out_of_range(1u << 31) && out_of_range(~0ull) && out_of_range(~0ull - 7) &&
    input8(n) == 0 && input64(n - 7) == 0 && input8(~0ull) == 0 ? "nothing" : "something"); break;
  case 'i': say(load8(input()) == 'i' && input64(0) == load64(input()) ? "same" : "different"); break;
  case 'o': output(input(), 1u << 20); break;
  case 'O': output(~0ull, ~0ull); break;
  case '1': return 1;
  case '2': error(text("told so")); return -2;
  case '3': error(~0ull); return 3;
  case 'e': error(text("nobody asks")); say("fine"); break;
  case 'c': say(config(text("none")) == 0 && var(text("none")) == 0 ? "null" : "there"); break;
  case 'v': for (uint64_t k = alloc(8), v = alloc(1 << 16), i = 0;; i++) store64(k, i), set_var(k, v);
  case 'w': for (uint64_t k = text("same"), v = alloc(1 << 16), i = 0; i < 100; i++) set_var(k, v); say("fits"); break;
  case 'a': for (;;) release(alloc(16 << 20));
  case 't': __builtin_trap();
  case 'x': break;
  default: output(input(), n);
  }
  return 0;
}
