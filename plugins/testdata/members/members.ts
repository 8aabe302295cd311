// members: what the SDK's reader of JSON members makes of a value, as sdk/members.txt writes it.
import { process, put, REPLACED } from "../../sdk/as/sp1";
import { Members } from "../../sdk/as/sp1_json";
export { sp_abi_v1, sp_alloc } from "../../sdk/as/sp1";

const members = new Members(["a", "price", "a longer name"]);
const made = new StaticArray<u8>(1 << 16);
let end: usize = 0;

function write(ptr: usize, len: u32): void {
  memory.copy(end, ptr, len);
  end += len;
}

function literal(s: string): void {
  for (let i = 0; i < s.length; i++) store<u8>(end++, <u8>s.charCodeAt(i));
}

function each(ptr: usize, len: u32): i32 {
  end = changetype<usize>(made);
  if (!members.read(ptr, len)) literal("!");
  else for (let i = 0; i < 3; i++) {
    if (i > 0) literal(" | ");
    if (members.at[i] == 0) literal("-");
    else write(members.at[i], members.length[i]);
  }
  put(changetype<usize>(made), <u32>(end - changetype<usize>(made)));
  return REPLACED;
}

export function sp_process(input: usize, len: u32): i64 { return process(input, each); }
