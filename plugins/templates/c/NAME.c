/* NAME: keeps paid orders, and marks them as seen. */
#define _GNU_SOURCE
#include "sp1.h"
#include <string.h>

/* A plugin answers for record i: SP1_KEEP, SP1_DROP, SP1_FAIL, or SP1_REPLACED after sp1_put. */
static int plugin(sp1_batch *b, uint32_t i, const sp1_record *r) {
  if (r->val_len == SP1_NULL) return SP1_KEEP; /* a tombstone */
  const char *value = sp1_value(b, r);
  if (r->val_len == 0 || value[0] != '{') {
    static const char why[] = "the value is not a JSON object";
    sp1_error((int32_t)i, why, sizeof why - 1);
    return SP1_FAIL;
  }
  if (!memmem(value, r->val_len, "\"paid\":true", 11)) return SP1_DROP;
  static const char more[] = "{\"seen\":true,";
  memcpy(b->end, more, sizeof more - 1);
  memcpy(b->end + sizeof more - 1, value + 1, r->val_len - 1);
  sp1_put(b, i, (uint32_t)(sizeof more - 1) + r->val_len - 1);
  return SP1_REPLACED;
}
