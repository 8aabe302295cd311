// NAME: keeps paid orders, and marks them as seen.
import { process, put, fail, text, DROP, REPLACED } from "./sp1";
export { sp_abi_v1, sp_alloc } from "./sp1";

function each(ptr: usize, len: u32): i32 {
  const value = text(ptr, len);
  if (!value.startsWith("{")) return fail("the value is not a JSON object");
  if (!value.includes('"paid":true')) return DROP;
  const made = String.UTF8.encode('{"seen":true,' + value.substring(1));
  put(changetype<usize>(made), made.byteLength);
  return REPLACED;
}

export function sp_process(input: usize, len: u32): i64 { return process(input, each); }
