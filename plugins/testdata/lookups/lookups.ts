// lookups: the value of a key that is the record's, or "absent".
import { process, put, text, kvGet, nowMs, metricAdd, withTimestamp, REPLACED } from "../../sdk/as/sp1";
export { sp_abi_v1, sp_alloc } from "../../sdk/as/sp1";

function each(ptr: usize, len: u32): i32 {
  const found = kvGet(text(ptr, len)), value = String.UTF8.encode(found === null ? "absent" : found);
  put(changetype<usize>(value), value.byteLength);
  withTimestamp(nowMs());
  metricAdd(0, 1);
  return REPLACED;
}

export function sp_process(input: usize, len: u32): i64 { return process(input, each); }
