/* bid-price: NEXMark query 1. A bid in dollars becomes one in euros, and loses the fields that nobody reads. */
#define SP1_ROOM(len) ((len) + 128)
#include "../../sdk/c/sp1.h"
#include <string.h>
#include <wasm_simd128.h>

/* quote returns the first quote or backslash in [p, end), or end. It may read up to 15 bytes behind end. */
static const char *quote(const char *p, const char *end) {
  const v128_t q = wasm_i8x16_splat('"'), b = wasm_i8x16_splat('\\');
  for (; p < end; p += 16) {
    v128_t v = wasm_v128_load(p);
    uint32_t m = wasm_i8x16_bitmask(wasm_v128_or(wasm_i8x16_eq(v, q), wasm_i8x16_eq(v, b)));
    if (m) {
      p += __builtin_ctz(m);
      return p < end ? p : end;
    }
  }
  return end;
}

/* string returns the closing quote of a string whose content begins at p, or 0. */
static const char *string(const char *p, const char *end) {
  while ((p = quote(p, end)) < end) {
    if (*p == '"') return p;
    p += 2;
  }
  return 0;
}

static const char *space(const char *p, const char *end) {
  while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) p++;
  return p;
}

/* nested returns what follows the object or array that begins at p, or 0. */
static const char *nested(const char *p, const char *end) {
  for (int depth = 0; p < end; p++) {
    if (*p == '"') {
      if (!(p = string(p + 1, end))) return 0;
    } else if (*p == '{' || *p == '[') {
      depth++;
    } else if (*p == '}' || *p == ']') {
      if (--depth == 0) return p + 1;
    }
  }
  return 0;
}

/* value returns what follows the JSON value that begins at p, or 0. */
static const char *value(const char *p, const char *end) {
  if (p >= end) return 0;
  if (*p == '"') return (p = string(p + 1, end)) ? p + 1 : 0;
  if (*p == '{' || *p == '[') return nested(p, end);
  const char *from = p;
  while (p < end && *p != ',' && *p != '}' && (uint8_t)*p > ' ') p++;
  return p > from ? p : 0;
}

typedef struct { const char *p; uint32_t n; } text;
enum { AUCTION, BIDDER, PRICE, CHANNEL, TIME, FIELDS };
static const struct { const char *name; uint32_t n; } names[FIELDS] = {
    {"auction", 7}, {"bidder", 6}, {"price", 5}, {"channel", 7}, {"dateTime", 8}};

static void note(text f[FIELDS], const char *name, uint32_t n, const char *p, const char *end) {
  for (int i = 0; i < FIELDS; i++)
    if (n == names[i].n && !memcmp(name, names[i].name, n)) f[i] = (text){p, (uint32_t)(end - p)};
}

/* fields finds the members of the object; 0 if it is none. */
static int fields(text f[FIELDS], const char *p, const char *end) {
  p = space(p, end);
  if (p >= end || *p != '{') return 0;
  p = space(p + 1, end);
  if (p < end && *p == '}') return 1;
  while (p < end && *p == '"') {
    const char *name = p + 1, *close = string(name, end);
    if (!close) return 0;
    p = space(close + 1, end);
    if (p >= end || *p != ':') return 0;
    p = space(p + 1, end);
    const char *from = p;
    if (!(p = value(p, end))) return 0;
    note(f, name, (uint32_t)(close - name), from, p);
    p = space(p, end);
    if (p >= end) return 0;
    if (*p == '}') return 1;
    if (*p != ',') return 0;
    p = space(p + 1, end);
  }
  return 0;
}

static char *put(char *to, const char *from, uint32_t n) { memcpy(to, from, n); return to + n; }
#define PUT(to, literal) put(to, literal, sizeof(literal) - 1)

/* euros writes cents × 0.908, with three decimals, exactly. */
static char *euros(char *to, text price) {
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
  text f[FIELDS] = {0};
  const char *v = sp1_value(b, r);
  if (!fields(f, v, v + r->val_len)) return refuse(i, "the value is not a JSON object");
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
