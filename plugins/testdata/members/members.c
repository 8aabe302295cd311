/* members: what the SDK's reader of JSON members makes of a value, as sdk/members.txt writes it. */
#define SP1_ROOM(len) (3 * (len) + 16)
#include "../../sdk/c/sp1.h"
#include "../../sdk/c/sp1_json.h"

static const sp1_text names[] = {SP1_TEXT("a"), SP1_TEXT("price"), SP1_TEXT("a longer name")};

static char *put(char *to, const char *from, uint32_t n) { memcpy(to, from, n); return to + n; }

static int plugin(sp1_batch *b, uint32_t i, const sp1_record *r) {
  sp1_text f[3] = {0};
  char *to = (char *)b->end;
  const char *v = sp1_value(b, r);
  if (!sp1_json_members(f, names, 3, v, v + r->val_len)) {
    to = put(to, "!", 1);
  } else for (int k = 0; k < 3; k++) {
    if (k) to = put(to, " | ", 3);
    to = f[k].p ? put(to, f[k].p, f[k].n) : put(to, "-", 1);
  }
  sp1_put(b, i, (uint32_t)(to - (char *)b->end));
  return SP1_REPLACED;
}
