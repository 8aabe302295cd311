/* sp1_json.h 0.1.0: finds members of a JSON object: with -msimd128 16 bytes at a time, where it may read up to 16 bytes behind a
 * value, which the arena of sp1.h allows; without, as in native tests, byte by byte. It checks what it has to walk over, not
 * that the whole is JSON. */
#ifndef SP1_JSON_H
#define SP1_JSON_H
#include <stdint.h>
#include <string.h>

typedef struct {
  const char *p;
  uint32_t n;
} sp1_text;

/* SP1_TEXT is a literal as a text; names are wanted like this. Eight bytes of one can always be read. */
#define SP1_TEXT(s) {s "\0\0\0\0\0\0\0", sizeof(s) - 1}

#ifdef __wasm_simd128__
#include <wasm_simd128.h>
#define SP1_JSON_IS(v, c) wasm_i8x16_eq(v, wasm_i8x16_splat(c))
enum { SP1_JSON_STEP = 16 };

/* These mark, a bit for a byte, which of the bytes at p end a run: of a string, of what is nested, of a number or word. */
static inline uint32_t sp1_json_quotes(const char *p) {
  v128_t v = wasm_v128_load(p);
  return wasm_i8x16_bitmask(wasm_v128_or(SP1_JSON_IS(v, '"'), SP1_JSON_IS(v, '\\')));
}

static inline uint32_t sp1_json_brackets(const char *p) {
  v128_t v = wasm_v128_load(p), folded = wasm_v128_or(v, wasm_i8x16_splat(0x20)); /* '[' is '{' without this bit, and ']' is '}' */
  return wasm_i8x16_bitmask(wasm_v128_or(SP1_JSON_IS(v, '"'), wasm_v128_or(SP1_JSON_IS(folded, '{'), SP1_JSON_IS(folded, '}'))));
}

static inline uint32_t sp1_json_ends(const char *p) {
  v128_t v = wasm_v128_load(p), low = wasm_u8x16_lt(v, wasm_i8x16_splat(' ' + 1));
  return wasm_i8x16_bitmask(wasm_v128_or(low, wasm_v128_or(SP1_JSON_IS(v, ','), SP1_JSON_IS(v, '}'))));
}

static inline uint64_t sp1_json_eight(const char *p, uint32_t n) {
  uint64_t x;
  memcpy(&x, p, 8);
  return n < 8 ? x & ((1ull << 8 * n) - 1) : x;
}

static inline int sp1_json_same(sp1_text a, const char *p, uint32_t n) {
  return a.n == n && sp1_json_eight(a.p, n) == sp1_json_eight(p, n) && (n <= 8 || !memcmp(a.p + 8, p + 8, n - 8));
}
#else
enum { SP1_JSON_STEP = 1 };
static inline uint32_t sp1_json_quotes(const char *p) { return *p == '"' || *p == '\\'; }
static inline uint32_t sp1_json_brackets(const char *p) { return *p == '"' || (*p | 0x20) == '{' || (*p | 0x20) == '}'; }
static inline uint32_t sp1_json_ends(const char *p) { return (uint8_t)*p <= ' ' || *p == ',' || *p == '}'; }
static inline int sp1_json_same(sp1_text a, const char *p, uint32_t n) { return a.n == n && !memcmp(a.p, p, n); }
#endif

/* sp1_json_space returns the first byte of [p, end) that is no space, or end. */
static inline const char *sp1_json_space(const char *p, const char *end) {
  if (p < end && (uint8_t)*p > ' ') return p;
  while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) p++;
  return p;
}

/* sp1_json_string returns the closing quote of a string whose content begins at p, or 0. */
static inline const char *sp1_json_string(const char *p, const char *end) {
  while (p < end) {
    uint32_t m = sp1_json_quotes(p);
    if (!m) {
      p += SP1_JSON_STEP;
      continue;
    }
    p += __builtin_ctz(m);
    if (p >= end) return 0;
    if (*p == '"') return p;
    p += 2;
  }
  return 0;
}

/* sp1_json_nested returns what follows the object or array that begins at p, or 0. */
static const char *sp1_json_nested(const char *p, const char *end) {
  int32_t depth = 0;
  while (p < end) {
    uint32_t m = sp1_json_brackets(p);
    if (!m) {
      p += SP1_JSON_STEP;
      continue;
    }
    p += __builtin_ctz(m);
    if (p >= end) return 0;
    if (*p == '"') {
      if (!(p = sp1_json_string(p + 1, end))) return 0;
    } else if (*p == '{' || *p == '[') {
      depth++;
    } else if (--depth == 0) {
      return p + 1;
    }
    p++;
  }
  return 0;
}

/* sp1_json_value returns what follows the value that begins at p, or 0. */
static inline const char *sp1_json_value(const char *p, const char *end) {
  if (p >= end) return 0;
  if (*p == '"') return (p = sp1_json_string(p + 1, end)) ? p + 1 : 0;
  if (*p == '{' || *p == '[') return sp1_json_nested(p, end);
  for (const char *from = p; p < end; p += SP1_JSON_STEP) {
    uint32_t m = sp1_json_ends(p);
    if (!m) continue;
    p += __builtin_ctz(m);
    if (p > end) p = end;
    return p > from ? p : 0;
  }
  return end;
}

/* sp1_json_members walks over the object in [p, end), and sets found[i] to the value of the member names[i], as it is
 * written; the last of several counts. What is not there stays as it was. It returns 0 if this is no object. Members that
 * come in the order of names are found fastest. Names with escapes in the text are not recognised. */
__attribute__((unused)) static int sp1_json_members(sp1_text *found, const sp1_text *names, uint32_t count, const char *p, const char *end) {
  uint32_t next = 0;
  p = sp1_json_space(p, end);
  if (p >= end || *p != '{') return 0;
  p = sp1_json_space(p + 1, end);
  if (p < end && *p == '}') return 1;
  while (p < end && *p == '"') {
    const char *name = p + 1, *close = sp1_json_string(name, end);
    if (!close) return 0;
    p = sp1_json_space(close + 1, end);
    if (p >= end || *p != ':') return 0;
    const char *from = sp1_json_space(p + 1, end);
    if (!(p = sp1_json_value(from, end))) return 0;
    uint32_t n = (uint32_t)(close - name);
    for (uint32_t i = 0; i < count; i++) {
      uint32_t at = next + i < count ? next + i : next + i - count;
      if (!sp1_json_same(names[at], name, n)) continue;
      found[at].p = from;
      found[at].n = (uint32_t)(p - from);
      next = at + 1 < count ? at + 1 : 0;
      break;
    }
    p = sp1_json_space(p, end);
    if (p >= end) return 0;
    if (*p == '}') return 1;
    if (*p != ',') return 0;
    p = sp1_json_space(p + 1, end);
  }
  return 0;
}
#endif
