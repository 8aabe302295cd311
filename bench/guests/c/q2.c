/* NEXMark query 2: of the bids for one auction in 123, the auction and the price. With -DFIELDS the host finds them. */
#ifdef FIELDS
#define SP1_FIELDS "auction\0" "price\0"
#endif
#define SP1_ROOM(len) ((len) + 64)
#include "../../../plugins/sdk/c/sp1.h"
#include "../../../plugins/sdk/c/sp1_json.h"

enum { AUCTION, PRICE, COUNT };

static char *put(char *to, const char *from, uint32_t n) { memcpy(to, from, n); return to + n; }
#define PUT(to, literal) put(to, literal, sizeof(literal) - 1)

static int plugin(sp1_batch *b, uint32_t i, const sp1_record *r) {
  sp1_text f[COUNT] = {0};
#ifdef FIELDS
  for (uint32_t k = 0; k < COUNT; k++) f[k].p = sp1_field(b, r, k, &f[k].n);
  int object = 1;
#else
  static const sp1_text names[COUNT] = {SP1_TEXT("auction"), SP1_TEXT("price")};
  if (r->val_len == SP1_NULL) return SP1_KEEP;
  const char *v = sp1_value(b, r);
  int object = sp1_json_members(f, names, COUNT, v, v + r->val_len);
#endif
  if (!object || !f[AUCTION].p || !f[PRICE].p) {
    sp1_error((int32_t)i, "no bid", 6);
    return SP1_FAIL;
  }
  uint32_t auction = 0;
  for (uint32_t k = 0; k < f[AUCTION].n; k++) auction = auction * 10 + (uint32_t)(f[AUCTION].p[k] - '0');
  if (auction % 123 != 0) return SP1_DROP;
  char *to = PUT((char *)b->end, "{\"auction\":");
  to = put(to, f[AUCTION].p, f[AUCTION].n);
  to = PUT(to, ",\"price\":");
  to = put(to, f[PRICE].p, f[PRICE].n);
  *to++ = '}';
  sp1_put(b, i, (uint32_t)(to - (char *)b->end));
  return SP1_REPLACED;
}
