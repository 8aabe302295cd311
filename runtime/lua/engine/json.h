/* JSON between the engine's buffers and Lua's stack. It is a part of engine.c. */
#ifndef JSON_H
#define JSON_H
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lauxlib.h"
#include "lua.h"

enum { MAX_DEPTH = 200 }; /* of JSON, read or written */

/* ---- Buffers, which Lua's allocator does not count: they grow to the largest batch and stay ---- */

typedef struct {
  char *p;
  size_t n, cap;
} buffer;

static int starved; /* a buffer did not get what it wanted: what follows in a full memory is not to blame */

static void out_of_memory(lua_State *L) {
  starved = 1;
  luaL_error(L, "not enough memory");
}

static char *grow(lua_State *L, buffer *b, size_t more) {
  if (b->cap - b->n < more) {
    size_t cap = b->cap + b->cap / 2 + more + 256;
    char *p = realloc(b->p, cap);
    if (!p) out_of_memory(L);
    b->p = p;
    b->cap = cap;
  }
  return b->p + b->n;
}

static void put(lua_State *L, buffer *b, const char *s, size_t n) {
  memcpy(grow(L, b, n), s, n);
  b->n += n;
}

static void put_char(lua_State *L, buffer *b, char c) {
  *grow(L, b, 1) = c;
  b->n++;
}

/* ---- JSON, by RFC 8259 ---- */

static char array_key; /* its address is where the registry has the metatable of arrays */

static void push_null(lua_State *L) { lua_pushlightuserdata(L, 0); }
static int is_null(lua_State *L, int at) { return lua_islightuserdata(L, at) && !lua_touserdata(L, at); }
static void mark_array(lua_State *L) { /* the table on top */
  lua_rawgetp(L, LUA_REGISTRYINDEX, &array_key);
  lua_setmetatable(L, -2);
}
static int is_array(lua_State *L, int at) {
  if (!lua_getmetatable(L, at)) return 0;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &array_key);
  int same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

typedef struct {
  const char *p, *end;
} reader;

static void space(reader *r) {
  while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\r' || *r->p == '\n')) r->p++;
}

static int digit(const reader *r) { return r->p < r->end && *r->p >= '0' && *r->p <= '9'; }

static int read_number(lua_State *L, reader *r) {
  const char *begin = r->p;
  int minus = *r->p == '-', digits = 0, whole = 1;
  uint64_t n = 0;
  r->p += minus;
  if (!digit(r)) return 0;
  if (*r->p == '0') {
    r->p++;
    digits = 1;
  } else {
    for (; digit(r); r->p++, digits++) n = n * 10 + (uint64_t)(*r->p - '0');
  }
  if (r->p < r->end && *r->p == '.') {
    whole = 0;
    r->p++;
    if (!digit(r)) return 0;
    while (digit(r)) r->p++;
  }
  if (r->p < r->end && (*r->p | 32) == 'e') {
    whole = 0;
    r->p++;
    if (r->p < r->end && (*r->p == '+' || *r->p == '-')) r->p++;
    if (!digit(r)) return 0;
    while (digit(r)) r->p++;
  }
  if (whole && digits <= 18 && !(minus && n == 0)) {
    lua_pushinteger(L, minus ? -(lua_Integer)n : (lua_Integer)n);
  } else {
    lua_pushnumber(L, strtod(begin, NULL)); /* what follows in the buffer is no digit */
  }
  return 1;
}

static int hex4(reader *r, uint32_t *c) {
  *c = 0;
  for (int i = 0; i < 4; i++, r->p++) {
    if (r->p >= r->end) return 0;
    char d = *r->p;
    uint32_t v = d >= '0' && d <= '9' ? (uint32_t)(d - '0') : (d | 32) >= 'a' && (d | 32) <= 'f' ? (uint32_t)((d | 32) - 'a' + 10) : 16;
    if (v > 15) return 0;
    *c = *c << 4 | v;
  }
  return 1;
}

static void add_rune(luaL_Buffer *b, uint32_t c) {
  char s[4];
  int n = 0;
  if (c < 0x80) {
    s[n++] = (char)c;
  } else if (c < 0x800) {
    s[n++] = (char)(0xC0 | c >> 6);
  } else if (c < 0x10000) {
    s[n++] = (char)(0xE0 | c >> 12);
    s[n++] = (char)(0x80 | (c >> 6 & 63));
  } else {
    s[n++] = (char)(0xF0 | c >> 18);
    s[n++] = (char)(0x80 | (c >> 12 & 63));
    s[n++] = (char)(0x80 | (c >> 6 & 63));
  }
  if (c >= 0x80) s[n++] = (char)(0x80 | (c & 63));
  luaL_addlstring(b, s, (size_t)n);
}

static int read_escape(reader *r, luaL_Buffer *b) {
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  if (r->p >= r->end) return 0;
  char c = *r->p++;
  if (c != 'u') {
    const char *at = c ? strchr(from, c) : 0;
    if (!at) return 0;
    luaL_addchar(b, to[at - from]);
    return 1;
  }
  uint32_t high, low;
  if (!hex4(r, &high)) return 0;
  if (high >= 0xD800 && high < 0xDC00 && r->end - r->p >= 6 && r->p[0] == '\\' && r->p[1] == 'u') {
    reader ahead = {r->p + 2, r->end};
    if (!hex4(&ahead, &low)) return 0;
    if (low >= 0xDC00 && low < 0xE000) {
      r->p = ahead.p;
      add_rune(b, 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00));
      return 1;
    }
  }
  add_rune(b, high >= 0xD800 && high < 0xE000 ? 0xFFFD : high); /* half of a pair stands for nothing */
  return 1;
}

/* read_string reads what follows a quote. Nearly no string has an escape. */
static int read_string(lua_State *L, reader *r) {
  const char *begin = r->p;
  while (r->p < r->end && *r->p != '"' && *r->p != '\\' && (unsigned char)*r->p >= 0x20) r->p++;
  if (r->p < r->end && *r->p == '"') {
    lua_pushlstring(L, begin, (size_t)(r->p - begin));
    r->p++;
    return 1;
  }
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addlstring(&b, begin, (size_t)(r->p - begin));
  for (;;) {
    if (r->p >= r->end || (unsigned char)*r->p < 0x20) return 0;
    char c = *r->p++;
    if (c == '"') break;
    if (c != '\\') {
      luaL_addchar(&b, c);
    } else if (!read_escape(r, &b)) {
      return 0;
    }
  }
  luaL_pushresult(&b);
  return 1;
}

static int word(reader *r, const char *w, size_t n) {
  if ((size_t)(r->end - r->p) < n || memcmp(r->p, w, n)) return 0;
  r->p += n;
  return 1;
}

static int read_value(lua_State *L, reader *r, int depth);

/* read_list reads what follows [ or {, up to its end. */
static int read_list(lua_State *L, reader *r, int depth, char end) {
  if (depth >= MAX_DEPTH) return 0;
  luaL_checkstack(L, 8, "JSON");
  lua_createtable(L, end == ']' ? 4 : 0, end == '}' ? 8 : 0);
  if (end == ']') mark_array(L);
  space(r);
  if (r->p < r->end && *r->p == end) {
    r->p++;
    return 1;
  }
  for (lua_Integer i = 1;; i++) {
    if (end == '}') {
      space(r);
      if (r->p >= r->end || *r->p++ != '"' || !read_string(L, r)) return 0;
      space(r);
      if (r->p >= r->end || *r->p++ != ':') return 0;
    }
    if (!read_value(L, r, depth + 1)) return 0;
    if (end == '}') {
      lua_rawset(L, -3);
    } else {
      lua_rawseti(L, -2, i);
    }
    space(r);
    if (r->p >= r->end) return 0;
    char c = *r->p++;
    if (c == end) return 1;
    if (c != ',') return 0;
  }
}

/* read_value pushes a value. After 0, what is not JSON, anything may be left on the stack. */
static int read_value(lua_State *L, reader *r, int depth) {
  space(r);
  if (r->p >= r->end) return 0;
  switch (*r->p) {
  case '{':
    r->p++;
    return read_list(L, r, depth, '}');
  case '[':
    r->p++;
    return read_list(L, r, depth, ']');
  case '"':
    r->p++;
    return read_string(L, r);
  case 't':
    lua_pushboolean(L, 1);
    return word(r, "true", 4);
  case 'f':
    lua_pushboolean(L, 0);
    return word(r, "false", 5);
  case 'n':
    push_null(L);
    return word(r, "null", 4);
  default:
    return read_number(L, r);
  }
}

static int read_document(lua_State *L, const char *p, const char *end) {
  reader r = {p, end};
  if (!read_value(L, &r, 0)) return 0;
  space(&r);
  return r.p == r.end;
}

/* utf8_end returns the end of the part of s that is UTF-8. */
static const unsigned char *utf8_end(const unsigned char *s, const unsigned char *end) {
  while (s < end) {
    int more = *s < 0x80 ? 0 : *s >= 0xC2 && *s < 0xE0 ? 1 : *s >= 0xE0 && *s < 0xF0 ? 2 : *s >= 0xF0 && *s < 0xF5 ? 3 : -1;
    if (more < 0 || end - s <= more) return s;
    if ((*s == 0xE0 && s[1] < 0xA0) || (*s == 0xED && s[1] > 0x9F) || (*s == 0xF0 && s[1] < 0x90) || (*s == 0xF4 && s[1] > 0x8F)) return s;
    for (int i = 1; i <= more; i++)
      if ((s[i] & 0xC0) != 0x80) return s;
    s += more + 1;
  }
  return s;
}

/* room_for is how long a string may become: of a short one the most, a long one is looked at. */
static size_t room_for(const char *s, size_t n) {
  if (n < 1024) return 6 * n;
  size_t room = n;
  for (size_t i = 0; i < n; i++) room += (unsigned char)s[i] < 0x20 ? 5 : s[i] == '"' || s[i] == '\\';
  return room;
}

static void write_string(lua_State *L, buffer *b, const char *s, size_t n) {
  static const char hex[] = "0123456789abcdef";
  char *to = grow(L, b, room_for(s, n) + 2), *begin = to;
  int ascii = 1;
  *to++ = '"';
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)s[i];
    if (c == '"' || c == '\\') {
      *to++ = '\\';
      *to++ = (char)c;
    } else if (c < 0x20) {
      memcpy(to, "\\u00", 4);
      to[4] = hex[c >> 4];
      to[5] = hex[c & 15];
      to += 6;
    } else {
      ascii &= c < 0x80;
      *to++ = (char)c;
    }
  }
  *to++ = '"';
  if (!ascii && utf8_end((const unsigned char *)s, (const unsigned char *)s + n) != (const unsigned char *)s + n)
    luaL_error(L, "a string that is not UTF-8 has no form in JSON");
  b->n += (size_t)(to - begin);
}

static void write_integer(lua_State *L, buffer *b, lua_Integer n) {
  char digits[24];
  int at = sizeof digits;
  uint64_t u = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
  do digits[--at] = (char)('0' + u % 10);
  while (u /= 10);
  if (n < 0) digits[--at] = '-';
  put(L, b, digits + at, sizeof digits - (size_t)at);
}

/* write_decimal writes x if it is a whole number of at most 15 digits over a power of ten: the quotient of the two is
 * rounded correctly, so the decimal reads as x again. */
static int write_decimal(lua_State *L, buffer *b, double x) {
  double scale = 1;
  for (int decimals = 0; decimals <= 9; decimals++, scale *= 10) {
    double whole = nearbyint(x * scale);
    if (fabs(whole) >= 1e15) return 0;
    if (whole / scale != x) continue;
    char digits[32];
    int at = sizeof digits;
    uint64_t u = (uint64_t)fabs(whole);
    for (int i = 0; i < decimals || u || i == decimals; i++) {
      if (i == decimals && i > 0) digits[--at] = '.';
      digits[--at] = (char)('0' + u % 10);
      u /= 10;
    }
    if (x < 0) digits[--at] = '-';
    put(L, b, digits + at, sizeof digits - (size_t)at);
    return 1;
  }
  return 0;
}

static void write_number(lua_State *L, buffer *b, double x) {
  if (!isfinite(x)) luaL_error(L, "the number %f has no form in JSON", x);
  if (write_decimal(L, b, x)) return;
  char s[40];
  int n = 0;
  for (int precision = 15; precision <= 17; precision++) {
    n = snprintf(s, sizeof s, "%.*g", precision, x);
    if (strtod(s, NULL) == x) break;
  }
  put(L, b, s, (size_t)n);
}

static void write_value(lua_State *L, buffer *b, int at, int depth);

static void write_array(lua_State *L, buffer *b, int at, int depth) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, at), all = 0;
  if (!is_array(L, at)) {
    for (lua_pushnil(L); lua_next(L, at); lua_pop(L, 1)) all++;
    if (all != n) luaL_error(L, "a table with a list and names has no form in JSON");
  }
  put_char(L, b, '[');
  for (lua_Integer i = 1; i <= n; i++) {
    if (i > 1) put_char(L, b, ',');
    lua_rawgeti(L, at, i);
    write_value(L, b, lua_gettop(L), depth + 1);
    lua_pop(L, 1);
  }
  put_char(L, b, ']');
}

static int name_order(lua_State *L, int a, int b) {
  size_t m, n;
  const char *s = lua_tolstring(L, a, &m), *t = lua_tolstring(L, b, &n);
  int c = memcmp(s, t, m < n ? m : n);
  return c ? c : m < n ? -1 : m > n;
}

enum { FEW = 64 };

static void sift(lua_State *L, int *names, int n, int i) {
  for (int child; (child = 2 * i + 1) < n; i = child) {
    if (child + 1 < n && name_order(L, names[child], names[child + 1]) < 0) child++;
    if (name_order(L, names[i], names[child]) >= 0) return;
    int t = names[i];
    names[i] = names[child];
    names[child] = t;
  }
}

/* sort puts the names, which are on the stack, into their order: few by insertion, many by a heap. */
static void sort(lua_State *L, int *names, int n) {
  if (n <= 16) {
    for (int i = 1; i < n; i++)
      for (int j = i; j > 0 && name_order(L, names[j], names[j - 1]) < 0; j--) {
        int t = names[j];
        names[j] = names[j - 1];
        names[j - 1] = t;
      }
    return;
  }
  for (int i = n / 2 - 1; i >= 0; i--) sift(L, names, n, i);
  for (int end = n - 1; end > 0; end--) {
    int t = names[0];
    names[0] = names[end];
    names[end] = t;
    sift(L, names, end, 0);
  }
}

/* write_object writes a table with its names in order: the order in a table is chance. */
static void write_object(lua_State *L, buffer *b, int at, int depth) {
  int few[FEW], *names = few, n = 0, cap = FEW, top = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, at);) { /* leaves name, value; and the name again, to go on from */
    if (lua_type(L, -2) != LUA_TSTRING) luaL_error(L, "a table with a key that is a %s has no form in JSON: names are strings", luaL_typename(L, -2));
    if (n == cap) { /* userdata: freed whatever is thrown */
      int *more = lua_newuserdatauv(L, sizeof(int) * (size_t)cap * 2, 0);
      memcpy(more, names, sizeof(int) * (size_t)n);
      names = more;
      cap *= 2;
      lua_insert(L, -3);
    }
    names[n++] = lua_gettop(L) - 1;
    luaL_checkstack(L, 8, "JSON");
    lua_pushvalue(L, -2);
  }
  sort(L, names, n);
  put_char(L, b, '{');
  for (int i = 0; i < n; i++) {
    if (i > 0) put_char(L, b, ',');
    size_t length;
    const char *s = lua_tolstring(L, names[i], &length);
    write_string(L, b, s, length);
    put_char(L, b, ':');
    write_value(L, b, names[i] + 1, depth + 1);
  }
  put_char(L, b, '}');
  lua_settop(L, top);
}

static void write_table(lua_State *L, buffer *b, int at, int depth) {
  if (depth >= MAX_DEPTH) luaL_error(L, "a table more than %d deep has no form in JSON", MAX_DEPTH);
  luaL_checkstack(L, 8, "JSON");
  int list = is_array(L, at);
  if (!list) {
    list = lua_rawgeti(L, at, 1) != LUA_TNIL;
    lua_pop(L, 1);
  }
  if (list) {
    write_array(L, b, at, depth);
  } else {
    write_object(L, b, at, depth);
  }
}

static void write_value(lua_State *L, buffer *b, int at, int depth) {
  size_t n;
  const char *s;
  switch (lua_type(L, at)) {
  case LUA_TSTRING:
    s = lua_tolstring(L, at, &n);
    write_string(L, b, s, n);
    break;
  case LUA_TNUMBER:
    if (lua_isinteger(L, at)) {
      write_integer(L, b, lua_tointeger(L, at));
    } else {
      write_number(L, b, lua_tonumber(L, at));
    }
    break;
  case LUA_TBOOLEAN:
    put(L, b, lua_toboolean(L, at) ? "true" : "false", lua_toboolean(L, at) ? 4 : 5);
    break;
  case LUA_TTABLE:
    write_table(L, b, at, depth);
    break;
  case LUA_TLIGHTUSERDATA:
    if (is_null(L, at)) {
      put(L, b, "null", 4);
      break;
    } /* fall through */
  default:
    luaL_error(L, "a %s has no form in JSON", luaL_typename(L, at));
  }
}
#endif
