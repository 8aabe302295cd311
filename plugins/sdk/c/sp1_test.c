/* The SDK natively: cc sp1_test.c && ./a.out */
#define SP1_INIT
#define SP1_OUTPUTS(len) 2
#define SP1_FIELDS "id\0" "price\0"
#define SP1_NEEDS (SP1_KEYS | SP1_VALUES | SP1_HEADERS)
#include "sp1.h"
#include <stdio.h>
#include <string.h>

static char said[64];
void sp1_error(int32_t index, const char *p, uint32_t n) { snprintf(said, sizeof said, "%d %.*s", index, (int)n, p); }
void sp1_log(int32_t level, const char *p, uint32_t n) { (void)level, (void)p, (void)n; }
int64_t sp1_now_ms(void) { return 0; }

static int priced;

static int is(sp1_batch *b, const sp1_record *r, const char *text) {
  return r->val_len == strlen(text) && !memcmp(sp1_value(b, r), text, r->val_len);
}

static void write(sp1_batch *b, const char *text) { memcpy(b->end, text, strlen(text)); }

static int plugin(sp1_batch *b, uint32_t i, const sp1_record *r) {
  if (is(b, r, "keep")) return SP1_KEEP;
  uint32_t n;
  if (sp1_field(b, r, 0, &n)) return SP1_FAIL; /* no record has an id */
  const char *price = sp1_field(b, r, 1, &n);
  if (price && (n != 2 || memcmp(price, "12", 2))) return SP1_FAIL;
  priced += price != 0;
  write(b, "made");
  sp1_record *o = sp1_put(b, i, 4);
  if (is(b, r, "fail")) { /* what it has put does not count */
    sp1_error((int32_t)i, "no", 2);
    return SP1_FAIL;
  }
  const sp1_entry *h = sp1_header_of(b, r, "trace", 5);
  if (!h) return SP1_DROP;
  memcpy(b->end, b->base + h->val_off, h->val_len);
  sp1_set_key(b, o, h->val_len);
  return SP1_REPLACED;
}

static int plugin_init(const char *start, uint32_t n) { return n == 2 && !memcmp(start, "{}", 2) ? 0 : 1; }

static int failed;
#define CHECK(what) \
  if (!(what)) failed = 1, fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #what)

enum { STRIDE = 48 + 2 * 8 };

int main(void) {
  static const char *values[] = {"keep", "fail", "tracked", "other"};
  uint32_t at = 32 + 4 * STRIDE;
  uint8_t *in = sp_alloc(1 << 16);
  memset(in, 0, at);
  sp1_header *h = (sp1_header *)in;
  h->count = 4, h->record_size = STRIDE;
  for (int i = 0; i < 4; i++) {
    sp1_record *r = (sp1_record *)(in + 32 + i * STRIDE);
    uint32_t *slots = (uint32_t *)(r + 1);
    slots[1] = slots[3] = SP1_NULL;
    r->val_off = at, r->val_len = (uint32_t)strlen(values[i]);
    memcpy(in + at, values[i], r->val_len);
    at += 8;
  }
  sp1_record *third = (sp1_record *)(in + 32 + 2 * STRIDE);
  sp1_entry entry = {at + 16, 5, at + 24, 3};
  third->hdr_off = at, third->hdr_count = 1;
  memcpy(in + at, &entry, sizeof entry);
  memcpy(in + at + 16, "trace", 5);
  memcpy(in + at + 24, "abc", 3);
  uint32_t *slots = (uint32_t *)(third + 1);
  slots[2] = at + 27, slots[3] = 2;
  memcpy(in + at + 27, "12", 2);

  CHECK(sp_init("{}", 2) == 0 && sp_init("{", 1) != 0);
  CHECK(sp_process(in, at + 32) != 0);
  static const uint8_t verdicts[] = {SP1_KEEP, SP1_FAIL, SP1_REPLACED, SP1_DROP};
  for (int i = 0; i < 4; i++) CHECK(((sp1_record *)(in + 32 + i * STRIDE))->verdict == verdicts[i]);
  CHECK(!strcmp(said, "1 no"));
  CHECK(priced == 1 && sp_needs() == 7);
  CHECK((uint32_t)sp_fields() == 9 && !memcmp(sp1_fields, "id\0price", 9));
  slots[2] = at, slots[3] = 5, third->val_len = SP1_NULL;
  CHECK(sp1_given(third, 2) == 5);
  sp1_record *o = (sp1_record *)(sp1_out + 32);
  CHECK(((sp1_header *)sp1_out)->count == 1 && o->partition == 2);
  CHECK(o->val_len == 4 && !memcmp(sp1_out + o->val_off, "made", 4));
  CHECK(o->key_len == 3 && !memcmp(sp1_out + o->key_off, "abc", 3));
  return failed;
}
