// NAME: keeps paid orders, and marks them as seen.
#include "sp1.h"
#include <string>
#include <string_view>

// A plugin answers for record i: SP1_KEEP, SP1_DROP, SP1_FAIL, or SP1_REPLACED after sp1_put.
static int plugin(sp1_batch *b, uint32_t i, const sp1_record *r) {
  if (r->val_len == SP1_NULL) return SP1_KEEP; // a tombstone
  std::string_view value(sp1_value(b, r), r->val_len);
  if (!value.starts_with('{')) {
    static constexpr std::string_view why = "the value is not a JSON object";
    sp1_error(int32_t(i), why.data(), uint32_t(why.size()));
    return SP1_FAIL;
  }
  if (value.find("\"paid\":true") == value.npos) return SP1_DROP;
  std::string out = "{\"seen\":true," + std::string(value.substr(1));
  __builtin_memcpy(b->end, out.data(), out.size());
  sp1_put(b, i, uint32_t(out.size()));
  return SP1_REPLACED;
}
