/* How Lua throws and catches, given to its source by the compiler's -include: see engine.c. */
#ifndef UNWIND_H
#define UNWIND_H
struct lua_State;
void unwind_protect(struct lua_State *L, void (*f)(struct lua_State *, void *), void *ud);
_Noreturn void unwind_throw(void);
#define luai_jmpbuf int
#define LUAI_TRY(L, c, a) unwind_protect(L, f, ud)
#define LUAI_THROW(L, c) unwind_throw()

#define LUA_CORE
#define LUA_LIB
#include "luaconf.h"
#undef LUAI_MAXSTACK
#define LUAI_MAXSTACK 40000 /* some 10,000 calls: a recursion without end meets it before the limits of fuel and memory */
#define LUA_TMPNAMBUFSIZE 1
#define lua_tmpnam(b, e) ((void)(b), (e) = 1) /* there are no files */
#define luai_makeseed(L) 1u /* a function of the log, as all that a script does */
#define l_randomizePivot() 0u /* likewise */
#endif
