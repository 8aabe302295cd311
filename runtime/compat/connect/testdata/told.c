/* A module that does what each message says. With ALLOCATE it owns what it allocates for the host, and the host lets go
   of what it is given; else the host frees what it has allocated by malloc. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#define EXPORT(n) __attribute__((export_name(n)))
#define IMPORT(n) __attribute__((import_module("benthos_wasm"), import_name(n)))
IMPORT("v0_msg_as_bytes") uint64_t as_bytes(void);
IMPORT("v0_msg_set_bytes") void set_bytes(const void *p, uint32_t n);
IMPORT("v0_msg_get_meta") uint64_t get_meta(const void *key, uint32_t n);
IMPORT("v0_msg_set_meta") void set_meta(const void *key, uint32_t n, const void *value, uint32_t m);

static int held, turn_on_host;

#ifdef ALLOCATE
EXPORT("allocate") void *give(uint32_t n) {
  if (turn_on_host) as_bytes();
  return held++, malloc(n + 1);
}
EXPORT("deallocate") void take(void *p, uint32_t n) { (void)n, held--, free(p); }
static void done(void *p) { held--, free(p); }
#else
EXPORT("malloc") void *give(uint32_t n) {
  if (turn_on_host == 1) as_bytes();
  if (turn_on_host == 2) return (void *)0xfffffff0;
  if (turn_on_host == 3) __builtin_trap();
  return held++, malloc(n + 1);
}
EXPORT("free") void back(void *p) { held--, free(p); }
static void done(void *p) { (void)p; }
#endif

/* copy is a text in a buffer that can be given to the host. */
static char *copy(const char *text, uint32_t n) {
#ifdef ALLOCATE
  held++;
  return memcpy(malloc(n + 1), text, n);
#else
  static char buf[4][1 << 16];
  static int next;
  return memcpy(buf[next++ % 4], text, n);
#endif
}

static void set(const char *text, uint32_t n) { set_bytes(copy(text, n), n); }
static uint64_t meta(const char *key) { return get_meta(copy(key, strlen(key)), strlen(key)); }

static void describe(void) {
  static const char *names[] = {"h", "none", "kafka_key", "kafka_topic", "kafka_partition", "kafka_offset", "kafka_timestamp_ms", "kafka_timestamp_unix", "kafka_tombstone_message"};
  static char out[4096];
  uint32_t at = 0;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    uint64_t m = meta(names[i]);
    memcpy(out + at, (void *)(uintptr_t)(m >> 32), (uint32_t)m), at += (uint32_t)m;
    out[at++] = '|';
    done((void *)(uintptr_t)(m >> 32));
  }
  set(out, at);
}

static void each(char *p, uint32_t n) {
#define IS(word) (n == sizeof word - 1 && !memcmp(p, word, n))
  if (IS("keep")) return;
  if (IS("trap")) __builtin_trap();
  if (IS("loop")) for (volatile int i = 0;; i++) ;
  if (IS("ask")) for (;;) as_bytes();
  if (IS("outside")) set_bytes((void *)0xfffffff0, 64);
  else if (IS("again")) turn_on_host = 1, as_bytes();
  else if (IS("far")) turn_on_host = 2, as_bytes();
  else if (IS("allocator")) turn_on_host = 3, as_bytes();
  else if (IS("describe")) describe();
  else if (IS("held")) { char c = (char)('0' + held); set(&c, 1); }
  else if (IS("meta")) set_meta(copy("h", 1), 1, copy("new", 3), 3), set_meta(copy("kafka_key", 9), 9, copy("key", 3), 3);
  else if (IS("offset")) set_meta(copy("kafka_offset", 12), 12, copy("1", 1), 1);
  else {
    for (uint32_t i = 0; i < n; i++) if (p[i] >= 'a' && p[i] <= 'z') p[i] -= 'a' - 'A';
    set(p, n);
  }
}

EXPORT("process") void process(void) {
  uint64_t m = as_bytes();
  char *p = (char *)(uintptr_t)(m >> 32);
  each(p, (uint32_t)m);
  done(p);
}

EXPORT("copy") void identity(void) {
  uint64_t m = as_bytes();
  set_bytes((void *)(uintptr_t)(m >> 32), (uint32_t)m);
}

EXPORT("look") void look(void) { done((void *)(uintptr_t)(as_bytes() >> 32)); }
