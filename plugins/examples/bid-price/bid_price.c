/* bid-price: NEXMark query 1. A bid in dollars becomes one in euros, and loses the fields that nobody reads. */
#define SP1_ROOM(len) ((len) + 128)
#include "../../sdk/c/sp1.h"
#include "../../sdk/c/sp1_json.h"

enum { AUCTION, BIDDER, PRICE, CHANNEL, TIME, FIELDS };
static const sp1_text names[FIELDS] = {SP1_TEXT("auction"), SP1_TEXT("bidder"), SP1_TEXT("price"), SP1_TEXT("channel"), SP1_TEXT("dateTime")};

static char *put(char *to, const char *from, uint32_t n) { memcpy(to, from, n); return to + n; }
#define PUT(to, literal) put(to, literal, sizeof(literal) - 1)

/* euros writes cents × 0.908, with three decimals, exactly. */
static char *euros(char *to, sp1_text price) {
  uint64_t n = 0;
  if (price.n == 0 || price.n > 15) return 0;
  for (uint32_t i = 0; i < price.n; i++) {
    uint8_t d = (uint8_t)(price.p[i] - '0');
    if (d > 9) return 0;
    n = n * 10 + d;
  }
  n *= 908;
  uint32_t milli = (uint32_t)(n % 1000);
  n /= 1000;
  char digits[24];
  int at = 24;
  do digits[--at] = (char)('0' + n % 10); while (n /= 10);
  to = put(to, digits + at, (uint32_t)(24 - at));
  *to++ = '.';
  *to++ = (char)('0' + milli / 100);
  *to++ = (char)('0' + milli / 10 % 10);
  *to++ = (char)('0' + milli % 10);
  return to;
}

static int refuse(uint32_t i, const char *why) {
  sp1_error((int32_t)i, why, (uint32_t)strlen(why));
  return SP1_FAIL;
}

static int plugin(sp1_batch *b, uint32_t i, const sp1_record *r) {
  if (r->val_len == SP1_NULL) return SP1_KEEP;
  sp1_text f[FIELDS] = {0};
  const char *v = sp1_value(b, r);
  if (!sp1_json_members(f, names, FIELDS, v, v + r->val_len)) return refuse(i, "the value is not a JSON object");
  for (int k = 0; k < FIELDS; k++)
    if (!f[k].p) return refuse(i, "a field of a bid is missing");
  char *to = (char *)b->end;
  to = PUT(to, "{\"auction\":");
  to = put(to, f[AUCTION].p, f[AUCTION].n);
  to = PUT(to, ",\"bidder\":");
  to = put(to, f[BIDDER].p, f[BIDDER].n);
  to = PUT(to, ",\"price\":");
  if (!(to = euros(to, f[PRICE]))) return refuse(i, "the price is not a whole number");
  to = PUT(to, ",\"channel\":");
  to = put(to, f[CHANNEL].p, f[CHANNEL].n);
  to = PUT(to, ",\"dateTime\":");
  to = put(to, f[TIME].p, f[TIME].n);
  *to++ = '}';
  sp1_put(b, i, (uint32_t)(to - (char *)b->end));
  return SP1_REPLACED;
}
