// NEXMark query 2: of the bids for one auction in 123, the auction and the price.
import { process, put, fail, DROP, REPLACED } from "../../../plugins/sdk/as/sp1";
import { find, ending, natural, begin, literal, write, written, ascii } from "./json";
export { sp_abi_v1, sp_alloc } from "../../../plugins/sdk/as/sp1";

const auction = ascii("auction"), price = ascii("price"), first = ascii('{"auction":'), second = ascii(',"price":'), last = ascii("}");

function each(ptr: usize, len: u32): i32 {
  const end = ptr + len, a = find(ptr, end, auction);
  if (a == 0) return fail("no bid");
  const n = natural(a, ending);
  if (n % 123 != 0) return DROP;
  const p = find(ptr, end, price);
  if (p == 0) return fail("no price");
  const out = begin();
  literal(first);
  write(n);
  literal(second);
  write(natural(p, ending));
  literal(last);
  put(out, written());
  return REPLACED;
}

export function sp_process(input: usize, len: u32): i64 { return process(input, each); }
