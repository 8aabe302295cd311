/* A transform of version 1, written against the imports alone, that does odd things by the last byte of a record. */
#include <stdint.h>
#include <string.h>
#define IMPORT(n) __attribute__((import_module("redpanda_transform"), import_name(#n)))
IMPORT(check_abi_version_1) void check(void);
IMPORT(read_batch_header) int32_t header(int64_t *base, int32_t *count, int32_t *epoch, int16_t *attributes, int32_t *delta,
    int64_t *base_time, int64_t *max_time, int64_t *producer, int16_t *producer_epoch, int32_t *sequence);
IMPORT(read_next_record) int32_t next(uint8_t *attributes, int64_t *time, int64_t *offset, void *buf, uint32_t len);
IMPORT(write_record) int32_t put(const void *buf, uint32_t len);
IMPORT(write_record_with_options) int32_t put_to(const void *buf, uint32_t len, const void *options, uint32_t options_len);
__attribute__((import_module("redpanda_schema_registry"), import_name("get_schema_definition_len"))) int32_t schema(int32_t id, int32_t *len);

static uint8_t buf[1 << 16];
static struct { int64_t base, base_time, max_time, producer; int32_t count, epoch, delta, sequence; int16_t attributes, producer_epoch; } h;

/* answer writes a record of no key, the given value, and no headers. */
static void answer(const char *text) {
  uint8_t out[64];
  size_t n = strlen(text);
  out[0] = 1, out[1] = (uint8_t)(2 * n), memcpy(out + 2, text, n), out[2 + n] = 0;
  if (put(out, n + 3) != (int32_t)n + 3) __builtin_trap();
}

static void each(uint32_t len) {
  int32_t ignored;
  switch (buf[len - 2]) { /* the last byte of the value, before the count of headers */
  case 'b': answer(put("\x01\x01", 2) == -2 && put("\x01\x01\x00z", 4) == -2 && put("\x01\xff\xff\x03\x00", 5) == -2 && put("", 0) == -2 ? "refused" : "taken"); break;
  case 'o': answer(put_to(buf, len, "\x02", 1) == -2 && put_to(buf, len, "\x01\x02", 2) == -2 && put_to(buf, len, "\x01\x02zz", 4) == -2 && put_to(buf, len, 0, 0) == (int32_t)len ? "refused" : "taken"); break;
  case 'w': put((void *)0xfffffff0, 64); break;
  case 's': answer(schema(1, &ignored) == -1 ? "off" : "on"); break;
  case 'm': __builtin_wasm_memory_grow(0, 256); for (;;) put(0, 16 << 20);
  case 'r': schema(1, &ignored); __builtin_trap();
  case 'e': __builtin_trap();
  default: put(buf, len);
  }
}

void _start(void) {
  uint8_t attributes;
  int64_t time, offset;
  check();
  if (next(&attributes, &time, &offset, buf, sizeof buf) != -1 || put(buf, 1) != -1) __builtin_trap();
  for (;;) {
    int32_t largest = header(&h.base, &h.count, &h.epoch, &h.attributes, &h.delta, &h.base_time, &h.max_time, &h.producer, &h.producer_epoch, &h.sequence);
    if (put(buf, 1) != -1 || largest > (int32_t)sizeof buf) __builtin_trap();
    for (int32_t i = 0; i < h.count; i++) {
      if (next(&attributes, &time, &offset, buf, 2) != -2) __builtin_trap();
      int32_t len = next(&attributes, &time, &offset, buf, (uint32_t)largest);
      if (len < 0 || offset < h.base || offset > h.base + h.delta || time < h.base_time || time > h.max_time || h.producer != -1 || h.sequence != -1) __builtin_trap();
      if (buf[len - 2] == 'q') return;
      if (buf[len - 2] == 'l') break;
      each((uint32_t)len);
    }
  }
}
