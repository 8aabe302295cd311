// explode-items: a JSON array becomes one record for each of its items; an empty array becomes none. Anything else fails.
import { process, put, fail, REPLACED } from "../../sdk/as/sp1";
export { sp_abi_v1, sp_alloc } from "../../sdk/as/sp1";

function isSpace(c: u8): bool { return c == 0x20 || c == 0x09 || c == 0x0a || c == 0x0d; }

function trimmed(from: usize, to: usize): void {
  while (from < to && isSpace(load<u8>(from))) from++;
  while (to > from && isSpace(load<u8>(to - 1))) to--;
  if (to > from) put(from, <u32>(to - from));
}

function explode(ptr: usize, len: u32): i32 {
  const end = ptr + len;
  let p = ptr;
  while (p < end && isSpace(load<u8>(p))) p++;
  if (p == end || load<u8>(p) != 0x5b) return fail("the value is not a JSON array");
  let depth = 0, quoted = false, from = p + 1;
  for (; p < end; p++) {
    const c = load<u8>(p);
    if (quoted) {
      if (c == 0x5c) p++;
      else if (c == 0x22) quoted = false;
    } else if (c == 0x22) {
      quoted = true;
    } else if (c == 0x5b || c == 0x7b) {
      depth++;
    } else if (c == 0x5d || c == 0x7d) {
      if (--depth == 0) break;
    } else if (c == 0x2c && depth == 1) {
      trimmed(from, p);
      from = p + 1;
    }
  }
  if (p >= end) return fail("the array is not closed");
  trimmed(from, p);
  return REPLACED;
}

export function sp_process(input: usize, len: u32): i64 { return process(input, explode); }
