/* A processor, written against the imports and the messages alone, that does what the value of each record says. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define IMPORT(n) __attribute__((import_module("conduit"), import_name(#n)))
IMPORT(command_request) uint32_t request(void *p, uint32_t n);
IMPORT(command_response) uint32_t respond(const void *p, uint32_t n);
IMPORT(get_schema) uint32_t schema(void *p, uint32_t n);
IMPORT(http_request) uint32_t http(void *p, uint32_t n);

static uint8_t in[1 << 21], out[1 << 21], one[1 << 20], two[1 << 20];
static int opened;

/* Reading: a span is cut into fields. */
typedef struct { const uint8_t *p, *end; } span;
static uint64_t varint(span *s) {
  uint64_t v = 0;
  for (int shift = 0; s->p < s->end; shift += 7) {
    uint8_t b = *s->p++;
    v |= (uint64_t)(b & 127) << shift;
    if (b < 128) break;
  }
  return v;
}
static uint32_t field(span *s, span *bytes) { /* its number, 0 at the end; bytes is empty if it has no length */
  if (s->p >= s->end) return 0;
  uint64_t tag = varint(s), n = varint(s);
  bytes->p = bytes->end = s->p;
  if ((tag & 7) == 2) s->p = bytes->end = s->p + n;
  return (uint32_t)(tag >> 3);
}
static span find(span s, uint32_t is) { /* the last field of a number */
  span found = {0, 0}, bytes;
  for (uint32_t f; (f = field(&s, &bytes)); ) if (f == is) found = bytes;
  return found;
}

/* Writing: each appends to a buffer, and returns its end. */
static uint8_t *number(uint8_t *to, uint64_t v) {
  for (; v > 127; v >>= 7) *to++ = (uint8_t)v | 128;
  return *to++ = (uint8_t)v, to;
}
static uint8_t *bytes(uint8_t *to, uint32_t is, const void *p, uint32_t n) {
  to = number(number(to, is << 3 | 2), n);
  return memcpy(to, p, n), to + n;
}
static uint8_t *text(uint8_t *to, uint32_t is, const char *s) { return bytes(to, is, s, strlen(s)); }
static uint8_t *entry(uint8_t *to, const char *key, const char *value) {
  uint8_t e[256];
  return bytes(to, 3, e, (uint32_t)(text(text(e, 1, key), 2, value) - e));
}
static uint8_t *data(uint8_t *to, uint32_t is, uint32_t kind, const void *p, uint32_t n) {
  static uint8_t d[1 << 16];
  return bytes(to, is, d, (uint32_t)(bytes(d, kind, p, n) - d));
}
static uint8_t *after(uint8_t *to, uint32_t kind, const void *p, uint32_t n) {
  static uint8_t c[1 << 16];
  return bytes(to, 5, c, (uint32_t)(data(c, 2, kind, p, n) - c));
}
static uint8_t *error(uint8_t *to, const char *why) { /* an ErrorRecord's content */
  uint8_t e[256];
  return bytes(to, 1, e, (uint32_t)(text(e, 2, why) - e));
}
static uint8_t *answer(uint8_t *to, uint32_t is, const uint8_t *p, const uint8_t *end) { /* a ProcessedRecord */
  two[0] = 0;
  uint8_t *e = bytes(two, is, p, (uint32_t)(end - p));
  return bytes(to, 1, two, (uint32_t)(e - two));
}
static uint8_t *fails(uint8_t *to, const char *why) {
  uint8_t e[256];
  return answer(to, 3, e, error(e, why));
}
static void say(const char *line) { write(1, line, strlen(line)); }

/* A record is copied with what is appended to it: of a field that comes twice the last counts. */
static uint8_t *each(uint8_t *to, span r) {
  uint8_t *e = one + (r.end - r.p);
  memcpy(one, r.p, (size_t)(r.end - r.p));
  span v = find(find(find(r, 5), 2), 1);
  uint32_t n = (uint32_t)(v.end - v.p);
#define IS(word) (n == sizeof word - 1 && !memcmp(v.p, word, n))
  if (IS("drop")) return answer(to, 2, 0, 0);
  if (IS("error") || IS("last")) return fails(to, "as it was told");
  if (IS("trap")) __builtin_trap();
  if (IS("loop")) for (volatile int i = 0;; i++) ;
  if (IS("twice")) { uint8_t *t = bytes(two + (1 << 19), 1, one, (uint32_t)(e - one)), *b = two + (1 << 19); t = bytes(t, 1, one, (uint32_t)(e - one)); return answer(to, 4, b, t); }
  if (IS("nothing")) return answer(to, 4, 0, 0);
  if (IS("rekey")) e = data(e, 4, 1, "new", 3);
  if (IS("unkey")) e = bytes(e, 4, 0, 0);
  if (IS("empty")) e = after(e, 1, "", 0);
  if (IS("delete")) { /* without the payload */ span s = r, f; e = one; for (uint32_t is; (is = field(&s, &f)); ) if (is == 3) e = bytes(e, 3, f.p, (uint32_t)(f.end - f.p)); }
  if (IS("struct")) e = after(e, 2, "\x0a\x08\x0a\x01" "a\x12\x03\x1a\x01<" "\x0a\x0e\x0a\x01" "b\x12\x09\x11\0\0\0\0\0\0\xf8?", 26);
  if (IS("nan")) e = after(e, 2, "\x0a\x0e\x0a\x01" "b\x12\x09\x11\0\0\0\0\0\0\xf8\x7f", 16);
  if (IS("side")) e = entry(e, "opencdc.collection", "side");
  if (IS("astray")) e = entry(e, "opencdc.collection", "astray");
  if (IS("metadata")) e = entry(entry(e, "h", "changed"), "new", "1");
  if (IS("junk")) { uint8_t junk[] = {0x0a, 0x7f}; return answer(to, 1, junk, junk + 2); }
  if (IS("schema") || IS("http")) return (IS("http") ? http(two, 16) : schema(two, 16)) == 0xffffffffu - 5 ? fails(to, "internal error") : to;
  if (IS("tell")) { /* all that there is, with spaces between */
    static uint8_t t[4096];
    uint8_t *at = t;
    span s = r, f, g, k;
    for (uint32_t is; (is = field(&s, &f)); ) {
      if (is == 1) memcpy(at, f.p, (size_t)(f.end - f.p)), at += f.end - f.p;
      for (g = f; is == 3 && field(&g, &k); ) memcpy(at, k.p, (size_t)(k.end - k.p)), at += k.end - k.p, *at++ = '=';
      if (is == 2) *at++ = (uint8_t)('0' + s.p[-1]);
      *at++ = ' ';
    }
    *at++ = opened ? '!' : '?';
    e = after(e, 1, t, (uint32_t)(at - t));
  }
  if (IS("log")) say("{\"level\":\"warn\",\"message\":\"told to log\",\"error\":\"why\"}\n"), say("no JSON\n");
  return answer(to, 1, one, e);
}

/* process answers a batch, and says whether it goes on. */
static int process(span records) {
  static uint8_t all[1 << 21];
  uint8_t *to = all, *e;
  span s = records, r;
  int n = 0;
  while (field(&s, &r)) n++;
  for (s = records; field(&s, &r); ) {
    span v = find(find(find(r, 5), 2), 1);
    size_t len = (size_t)(v.end - v.p);
#define SAYS(word) (len == sizeof word - 1 && !memcmp(v.p, word, len))
    if (SAYS("stop")) break;
    if (SAYS("silent")) return 1;
    if (SAYS("leave")) return say("{\"level\":\"error\",\"message\":\"told to leave\"}\n"), 0;
    if (SAYS("quiet")) return 0;
    if (SAYS("fail")) { uint8_t f[64]; e = text(f, 2, "told to fail"); return respond(out, (uint32_t)(bytes(out, 1, f, (uint32_t)(e - f)) - out)), 1; }
    if (SAYS("garbage")) return respond("\x2a\x7f", 2), 1;
    if (SAYS("outside")) return respond((void *)0xfffffff0, 64) == 0xffffffffu - 4 ? 1 : 0;
    if (SAYS("again")) respond("\x2a\0", 2);
    if (SAYS("more")) to = each(to, r);
    if (SAYS("batch") && n > 1) { to = fails(all, "one of them"); break; }
    to = each(to, r);
    if (SAYS("last")) break;
  }
  e = bytes(out, 5, all, (uint32_t)(to - all));
  return respond(out, (uint32_t)(e - out)), 1;
}

void _start(void) {
  if (!getenv("CONDUIT_MAGIC_COOKIE")) return;
  for (;;) {
    uint32_t n = request(in, 4);
    if (n > 4 && n < 0xffffffffu - 100 && (request(in, n - 1) != n || request(in, n) != n)) __builtin_trap();
    if (n >= 0xffffffffu - 100) return;
    span s = {in, in + n}, body;
    switch (field(&s, &body)) {
    case 2: /* configure, with one parameter */
      if (body.p == body.end) { uint8_t f[64], *e = text(f, 2, "letter is missing"); respond(out, (uint32_t)(bytes(out, 1, f, (uint32_t)(e - f)) - out)); break; }
      respond(out, (uint32_t)(bytes(out, 3, 0, 0) - out));
      break;
    case 3: opened = 1, respond(out, (uint32_t)(bytes(out, 4, 0, 0) - out)); break;
    case 4: if (!process(body)) return; break;
    case 5: say("{\"level\":\"info\",\"message\":\"torn down\"}\n"), respond(out, (uint32_t)(bytes(out, 6, 0, 0) - out)); break;
    }
  }
}
