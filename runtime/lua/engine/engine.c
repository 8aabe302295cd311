/* The engine of scripts in Lua: Lua 5.4 with a reader and a writer of JSON around it, and nothing that reaches outside.
 *
 * Lua unwinds by longjmp, which WebAssembly does not have. Here the host does it: a protected call is a call of the host,
 * which calls the guest again (invoke); what is thrown ends that second call, and the first one goes on behind it.
 *
 * The host writes what goes in at input(n), and calls start once and then batch for some records at a time. The form of the
 * answers is that of runtime/script. Where they are, and which record is at hand, is in state. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "json.h"
#include "lauxlib.h"
#include "lua.h"
#include "lualib.h"
#include "unwind.h"

#define EXPORT(name) __attribute__((export_name(#name)))
#define IMPORT(name) __attribute__((import_module("lua"), import_name(#name)))

IMPORT(protect) int host_protect(lua_State *L, void *f, void *ud);
IMPORT(unwind) _Noreturn void host_unwind(void);
IMPORT(find) int32_t host_find(const char *key, size_t n); /* how long the value is, ABSENT or NOTHING */
IMPORT(take) void host_take(char *to); /* the value found */
IMPORT(log) void host_log(int level, const char *text, size_t n);

/* ---- Unwinding ---- */

__asm__(".globaltype __stack_pointer, i32\n");

void unwind_protect(lua_State *L, void (*f)(lua_State *, void *), void *ud) {
  uintptr_t sp;
  __asm__ volatile("global.get __stack_pointer\n\tlocal.set %0" : "=r"(sp));
  host_protect(L, (void *)f, ud);
  __asm__ volatile("local.get %0\n\tglobal.set __stack_pointer" : : "r"(sp));
}

_Noreturn void unwind_throw(void) { host_unwind(); }

EXPORT(invoke) void invoke(lua_State *L, void (*f)(lua_State *, void *), void *ud) { f(L, ud); }

/* ---- What the host sees ---- */

static struct {
  uint32_t cursor;   /* the record at hand, within its batch */
  uint32_t answers_at, answers_len, outputs_at, outputs_len;
} state;
EXPORT(state) void *state_at(void) { return &state; }

static buffer in, answers, outputs;

EXPORT(input) void *input(size_t n) {
  if (in.cap < n + 1) {
    char *p = realloc(in.p, n + 1);
    if (!p) return 0;
    in.p = p;
    in.cap = n + 1;
  }
  in.p[n] = 0; /* ends a number */
  return in.p;
}

/* ---- What a script finds ---- */

/* The library os wants it, and its functions that do are taken out. */
int system(const char *command) { return command ? -1 : 0; }

static lua_State *state_of; /* the only one */

/* say writes its arguments as a line of the log, with a space between them. */
static int say(lua_State *L, int level) {
  int n = lua_gettop(L);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (int i = 1; i <= n; i++) {
    if (i > 1) luaL_addchar(&b, ' ');
    luaL_tolstring(L, i, NULL);
    luaL_addvalue(&b);
  }
  luaL_pushresult(&b);
  size_t length;
  const char *s = lua_tolstring(L, -1, &length);
  host_log(level, s, length);
  return 0;
}
static int log_debug(lua_State *L) { return say(L, 0); }
static int log_info(lua_State *L) { return say(L, 1); }
static int log_warn(lua_State *L) { return say(L, 2); }
static int log_error(lua_State *L) { return say(L, 3); }
static const luaL_Reg logs[] = {{"debug", log_debug}, {"info", log_info}, {"warn", log_warn}, {"error", log_error}, {NULL, NULL}};

static int make_array(lua_State *L) {
  if (lua_isnoneornil(L, 1)) {
    lua_settop(L, 0);
    lua_newtable(L);
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  mark_array(L);
  return 1;
}

static int json_encode(lua_State *L) {
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  size_t from = answers.n; /* room behind the answers, given back at once */
  write_value(L, &answers, 1, 0);
  lua_pushlstring(L, answers.p + from, answers.n - from);
  answers.n = from;
  return 1;
}

static int json_decode(lua_State *L) {
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  if (utf8_end((const unsigned char *)s, (const unsigned char *)s + n) != (const unsigned char *)s + n || !read_document(L, s, s + n))
    luaL_error(L, "this is not JSON");
  return 1;
}
enum { ABSENT = -1, NOTHING = -2 };

static int kv_get(lua_State *L) {
  size_t n;
  const char *key = luaL_checklstring(L, 1, &n);
  int32_t length = host_find(key, n);
  if (length == NOTHING) luaL_error(L, "kv_get is for records, in a plugin that is given something to read: kv: { store: NAME, prefix: TEXT }");
  if (length == ABSENT) {
    lua_pushnil(L);
    return 1;
  }
  luaL_Buffer b;
  host_take(luaL_buffinitsize(L, &b, (size_t)length));
  luaL_pushresultsize(&b, (size_t)length);
  return 1;
}
static const luaL_Reg json[] = {{"encode", json_encode}, {"decode", json_decode}, {NULL, NULL}};

/* load takes text alone: what is made of bytes could do to the engine what it likes. */
static int load_text(lua_State *L) {
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n), *name = luaL_optstring(L, 2, "=load");
  int env = !lua_isnone(L, 4);
  if (luaL_loadbufferx(L, s, n, name, "t") != LUA_OK) {
    luaL_pushfail(L);
    lua_insert(L, -2);
    return 2;
  }
  if (env) {
    lua_pushvalue(L, 4);
    if (!lua_setupvalue(L, -2, 1)) lua_pop(L, 1);
  }
  return 1;
}

/* require runs a file that stands beside the script, once. sources and loaded are its upvalues. */
static int require(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  lua_settop(L, 1);
  if (lua_getfield(L, lua_upvalueindex(2), name) != LUA_TNIL) return 1;
  lua_pop(L, 1);
  if (lua_getfield(L, lua_upvalueindex(1), name) != LUA_TFUNCTION)
    return luaL_error(L, "require %s: there is no file %s.lua beside the script", name, name);
  lua_pushboolean(L, 1); /* while it runs: a circle ends */
  lua_setfield(L, lua_upvalueindex(2), name);
  lua_pushstring(L, name);
  lua_call(L, 1, 1);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_pushboolean(L, 1);
  }
  lua_pushvalue(L, -1);
  lua_setfield(L, lua_upvalueindex(2), name);
  return 1;
}

static void open_libraries(lua_State *L) {
  static const luaL_Reg libraries[] = {{LUA_GNAME, luaopen_base}, {LUA_STRLIBNAME, luaopen_string}, {LUA_TABLIBNAME, luaopen_table},
                                       {LUA_MATHLIBNAME, luaopen_math}, {LUA_UTF8LIBNAME, luaopen_utf8}, {LUA_COLIBNAME, luaopen_coroutine}, {LUA_OSLIBNAME, luaopen_os}};
  for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
    luaL_requiref(L, libraries[i].name, libraries[i].func, 1);
    lua_pop(L, 1);
  }
  static const char *const none[] = {"dofile", "loadfile", "warn"};
  for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
    lua_pushnil(L);
    lua_setglobal(L, none[i]);
  }
  static const char *const clocks[] = {"time", "date", "difftime"}; /* the clock is that of the batch */
  lua_getglobal(L, LUA_OSLIBNAME);
  lua_newtable(L);
  for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
    lua_getfield(L, -2, clocks[i]);
    lua_setfield(L, -2, clocks[i]);
  }
  lua_setglobal(L, LUA_OSLIBNAME);
  lua_getglobal(L, LUA_MATHLIBNAME); /* chance is a function of the log too */
  lua_getfield(L, -1, "randomseed");
  lua_pushinteger(L, 1);
  lua_call(L, 1, 0);
  lua_settop(L, 0);
  lua_register(L, "print", log_info);
  lua_register(L, "load", load_text);
  lua_register(L, "array", make_array);
  lua_register(L, "kv_get", kv_get);
  luaL_newlib(L, logs);
  lua_setglobal(L, "log");
  luaL_newlib(L, json);
  lua_setglobal(L, "json");
  push_null(L);
  lua_setglobal(L, "null");
  lua_newtable(L);
  lua_pushliteral(L, "array");
  lua_setfield(L, -2, "__name");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &array_key);
}

/* ---- The calls of the host ---- */

enum { FILTER = 1, MAP = 2, FLAT_MAP = 4, WANTS_RECORD = 8 };
enum { FUNCTIONS = 3 };
static const char *const names[FUNCTIONS] = {"filter", "map", "flat_map"};
static int refs[FUNCTIONS], wants[FUNCTIONS];

/* part takes the next of the parts that the input consists of: a length of four bytes each, and their bytes. */
static const char *part(const char **at, size_t *n) {
  uint32_t length;
  memcpy(&length, *at, 4);
  const char *p = *at + 4;
  *at = p + length;
  *n = length;
  return p;
}

static const char *start_at, *start_end;

/* load_files compiles each file, and leaves the first one on the stack. */
static void load_files(lua_State *L) {
  const char *at = start_at;
  size_t n, m;
  part(&at, &n); /* the configuration */
  lua_newtable(L);
  lua_newtable(L);
  for (int first = 1; at < start_end; first = 0) {
    const char *name = part(&at, &n);
    lua_pushlstring(L, name, n);
    lua_pushfstring(L, "@%s.lua", lua_tostring(L, -1));
    const char *text = part(&at, &m);
    if (luaL_loadbufferx(L, text, m, lua_tostring(L, -1), "t") != LUA_OK) lua_error(L);
    lua_remove(L, -2);
    if (first) {
      lua_pushvalue(L, -1);
      lua_insert(L, 1);
    }
    lua_rawset(L, -4); /* sources[name] = its function */
  }
  lua_pushcclosure(L, require, 2);
  lua_setglobal(L, "require");
}

static int start_script(lua_State *L) {
  open_libraries(L);
  lua_settop(L, 0);
  load_files(L);
  lua_settop(L, 1);
  lua_call(L, 0, 0);
  int has = 0;
  for (int i = 0; i < FUNCTIONS; i++) {
    int type = lua_getglobal(L, names[i]);
    refs[i] = LUA_NOREF;
    if (type == LUA_TNIL) {
      lua_pop(L, 1);
      continue;
    }
    if (type != LUA_TFUNCTION) luaL_error(L, "%s is no function", names[i]);
    lua_Debug d;
    lua_pushvalue(L, -1);
    lua_getinfo(L, ">u", &d);
    wants[i] = d.nparams > 1 || d.isvararg;
    has |= 1 << i | (wants[i] ? WANTS_RECORD : 0);
    refs[i] = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  if (lua_getglobal(L, "fields") != LUA_TNIL) {
    for (lua_Integer i = 1, n = lua_istable(L, -1) ? (lua_Integer)lua_rawlen(L, -1) : 0; i <= n || n == 0; i++) {
      if (n == 0 || lua_rawgeti(L, -1, i) != LUA_TSTRING) luaL_error(L, "fields is no list of names");
      lua_pop(L, 1);
    }
    write_value(L, &answers, lua_gettop(L), 0);
  }
  lua_settop(L, 0);
  if (lua_getglobal(L, "init") != LUA_TNIL) {
    const char *at = start_at;
    size_t n;
    const char *config = part(&at, &n);
    if (!read_document(L, config, config + n)) luaL_error(L, "the configuration is not JSON");
    lua_call(L, 1, 0);
  }
  lua_gc(L, LUA_GCCOLLECT);
  lua_pushinteger(L, has);
  return 1;
}

/* tell_error writes an error as an answer. It is called protected: what was thrown may have a __tostring of its own. */
static int tell_error(lua_State *L) {
  size_t n;
  answers.n = (size_t)lua_tointeger(L, 2);
  put_char(L, &answers, '!');
  const unsigned char *s = (const unsigned char *)luaL_tolstring(L, 1, &n);
  write_string(L, &answers, (const char *)s, (size_t)(utf8_end(s, s + n) - s));
  put_char(L, &answers, '\n');
  return 0;
}

/* told writes the error on the stack behind the first keep bytes of the answers. */
static void told(lua_State *L, size_t keep) {
  lua_pushcfunction(L, tell_error);
  lua_insert(L, -2);
  lua_pushinteger(L, (lua_Integer)keep);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK) return;
  lua_settop(L, 0);
  answers.n = keep;
  put(L, &answers, "!\"an error that cannot be shown\"\n", 33);
}

static void show(void) {
  state.answers_at = (uint32_t)(uintptr_t)answers.p;
  state.answers_len = (uint32_t)answers.n;
  state.outputs_at = (uint32_t)(uintptr_t)outputs.p;
  state.outputs_len = (uint32_t)outputs.n;
}

/* start takes n bytes of input: the configuration, then each file's name and text, the script first. It returns what the
 * script has, and answers with the list of fields that it wants, if it has one; or -1, and answers with the reason. */
EXPORT(start) int start(size_t n) {
  lua_State *L = state_of = luaL_newstate();
  if (!L) return -1;
  start_at = in.p;
  start_end = in.p + n;
  answers.n = outputs.n = 0;
  grow(L, &answers, 4096);
  lua_gc(L, LUA_GCGEN, 0, 0);
  lua_pushcfunction(L, start_script);
  int status = lua_pcall(L, 0, 1, 0), has = -1;
  if (status == LUA_OK) {
    has = (int)lua_tointeger(L, -1);
  } else {
    told(L, 0);
  }
  lua_settop(L, 0);
  show();
  return has;
}

/* batch is what goes in, and how far it has come. */
static struct {
  const char *text, *text_end, *lengths, *lengths_end;
  reader records;
  int n, bytes, has_records;
  size_t kept; /* bytes of the answers before those of the record at hand */
  size_t kept_outputs;
  int bad;     /* the value of the record at hand is not JSON */
} work;

static size_t next_length(void) {
  size_t n = 0;
  work.lengths++; /* [ or , */
  while (work.lengths < work.lengths_end && *work.lengths >= '0' && *work.lengths <= '9') n = n * 10 + (size_t)(*work.lengths++ - '0');
  return n;
}

/* push_value pushes the value of the record at hand, and goes on to the next one. */
static void push_value(lua_State *L) {
  const char *p = work.text, *end;
  if (work.bytes) {
    work.text = p + next_length();
    lua_pushlstring(L, p, (size_t)(work.text - p));
    return;
  }
  end = memchr(p, '\n', (size_t)(work.text_end - p));
  if (!end) end = work.text_end;
  work.text = end + 1;
  if (!read_document(L, p, end)) {
    work.bad = 1;
    lua_settop(L, 0);
  }
}

/* push_record pushes what is known of the record beside its value. */
static void push_record(lua_State *L) {
  work.records.p++; /* [ or , */
  if (!read_value(L, &work.records, 0)) luaL_error(L, "the host describes a record in a way that is not JSON");
}

/* call calls function i for the value at 1 and the record at 2, if there is one. */
static void call(lua_State *L, int i) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, refs[i]);
  lua_pushvalue(L, 1);
  if (wants[i]) lua_pushvalue(L, 2);
  lua_call(L, wants[i] ? 2 : 1, 1);
}

static void put_count(lua_State *L, char op, lua_Integer n) {
  put_char(L, &answers, op);
  write_integer(L, &answers, n);
}

/* put_output adds the value on top as an output. */
static void put_output(lua_State *L, int first) {
  if (!work.bytes) {
    write_value(L, &answers, lua_gettop(L), 0);
    return;
  }
  size_t n;
  if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "with decode: bytes the result must be a string");
  const char *s = lua_tolstring(L, -1, &n);
  if (!first) put_char(L, &answers, ' ');
  write_integer(L, &answers, (lua_Integer)n);
  put(L, &outputs, s, n);
}

static void put_outputs(lua_State *L) { /* the list on top */
  if (lua_isnil(L, -1)) {
    put_char(L, &answers, '-');
    return;
  }
  if (!lua_istable(L, -1)) luaL_error(L, "flat_map must return a list, and returned a %s", luaL_typename(L, -1));
  lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
  if (n == 0) {
    put_char(L, &answers, '-');
    return;
  }
  if (work.bytes) {
    put_char(L, &answers, '*');
  } else {
    put_count(L, '*', n);
  }
  for (lua_Integer i = 1; i <= n; i++) {
    if (!work.bytes) put_char(L, &answers, '\n');
    lua_rawgeti(L, -1, i);
    put_output(L, i == 1);
    lua_pop(L, 1);
  }
}

/* one runs the script over one record, and answers it but for the end of the line. */
static void one(lua_State *L) {
  push_value(L);
  if (work.has_records) push_record(L);
  if (work.bad) {
    put_char(L, &answers, '?');
    work.bad = 0;
    return;
  }
  if (refs[0] != LUA_NOREF) {
    call(L, 0);
    if (!lua_toboolean(L, -1)) {
      put_char(L, &answers, '-');
      return;
    }
    lua_pop(L, 1);
  }
  if (refs[1] != LUA_NOREF) {
    call(L, 1);
    if (lua_isnil(L, -1)) {
      put_char(L, &answers, '-');
      return;
    }
    put_char(L, &answers, '>');
    put_output(L, 1);
  } else if (refs[2] != LUA_NOREF) {
    call(L, 2);
    put_outputs(L);
  } else {
    put_char(L, &answers, '=');
  }
}

/* some goes on with the batch until it is done or something is thrown. */
static int some(lua_State *L) {
  for (; (int)state.cursor < work.n; state.cursor++) {
    work.kept = answers.n;
    work.kept_outputs = outputs.n;
    one(L);
    put_char(L, &answers, '\n');
    lua_settop(L, 0);
  }
  return 0;
}

/* batch takes n records: text_len bytes of values, lines of JSON or, as bytes, one after the other; then, as bytes, the
 * list of their lengths; then what is known of each, if the script looks at it. It returns 0, or 1 if there was no memory
 * left at record state.cursor: what comes after it in a full memory is not to blame. */
EXPORT(batch) int batch(int n, size_t text_len, size_t lengths_len, size_t records_len, int bytes) {
  lua_State *L = state_of;
  work.text = in.p;
  work.text_end = work.lengths = work.text + text_len;
  work.lengths_end = work.records.p = work.lengths + lengths_len;
  work.records.end = work.records.p + records_len;
  work.n = n;
  work.bytes = bytes;
  work.has_records = records_len > 0;
  answers.n = outputs.n = 0;
  starved = 0;
  for (state.cursor = 0; (int)state.cursor < n; state.cursor++) {
    lua_pushcfunction(L, some);
    int status = lua_pcall(L, 0, 0, 0);
    if (status == LUA_OK) break;
    if (status == LUA_ERRMEM || starved) {
      lua_settop(L, 0);
      return 1;
    }
    outputs.n = work.kept_outputs;
    told(L, work.kept);
    work.bad = 0;
    lua_settop(L, 0);
  }
  show();
  return 0;
}
