/* Lua's source includes it, and uses nothing of it: see unwind.h. */
