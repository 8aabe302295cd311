// NEXMark query 2 with the SDK's reader of members.
import { process, put, fail, DROP, REPLACED } from "../../../plugins/sdk/as/sp1";
import { Members } from "../../../plugins/sdk/as/sp1_json";
import { natural, begin, copy, literal, written, ascii } from "./json";
export { sp_abi_v1, sp_alloc } from "../../../plugins/sdk/as/sp1";

const bid = new Members(["auction", "price"]), first = ascii('{"auction":'), second = ascii(',"price":'), last = ascii("}");

function each(ptr: usize, len: u32): i32 {
  if (!bid.read(ptr, len) || bid.at[0] == 0 || bid.at[1] == 0) return fail("no bid");
  if (natural(bid.at[0], bid.at[0] + bid.length[0]) % 123 != 0) return DROP;
  const out = begin();
  literal(first);
  copy(bid.at[0], bid.length[0]);
  literal(second);
  copy(bid.at[1], bid.length[1]);
  literal(last);
  put(out, written());
  return REPLACED;
}

export function sp_process(input: usize, len: u32): i64 { return process(input, each); }
