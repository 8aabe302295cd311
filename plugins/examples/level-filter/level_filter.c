/* level-filter: keeps log lines of level error. The shortest plugin there is: sp_filter, no SDK. */
#define _GNU_SOURCE
#include <stdint.h>
#include <string.h>
#define EXPORT(n) __attribute__((export_name(#n)))
static _Alignas(16) uint8_t buf[1 << 20];
EXPORT(sp_abi_v1) void sp_abi_v1(void) {}
EXPORT(sp_alloc) uint8_t *sp_alloc(uint32_t n) { return n <= sizeof buf ? buf : 0; }
EXPORT(sp_filter) int32_t sp_filter(const char *p, uint32_t n) { return memmem(p, n, "\"level\":\"error\"", 15) != 0; }
