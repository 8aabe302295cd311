/* A guest that makes more of a record than it has said: of "bytes" too many bytes, of "outputs" two outputs. Build:
 *   clang-19 --target=wasm32-wasi -O2 -mbulk-memory -mexec-model=reactor -I../../plugins/sdk/c -o over.wasm over.c -Wl,--strip-all */
#include "sp1.h"

static int plugin(sp1_batch *b, uint32_t i, const sp1_record *r) {
  char first = r->val_len ? *sp1_value(b, r) : 0;
  uint32_t n = first == 'b' ? SP1_ROOM(r->val_len) + 1 : 1;
  __builtin_memset(b->end, 'x', n);
  sp1_put(b, i, n);
  if (first == 'o') sp1_put(b, i, 0);
  return SP1_REPLACED;
}
