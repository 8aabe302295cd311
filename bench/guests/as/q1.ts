// NEXMark query 1: a bid in euros, without the fields that nobody reads.
import { process, put, fail, REPLACED } from "../../../plugins/sdk/as/sp1";
import { find, ending, natural, begin, copy, literal, write, digit, written, ascii } from "./json";
export { sp_abi_v1, sp_alloc } from "../../../plugins/sdk/as/sp1";

const auction = ascii("auction"), bidder = ascii("bidder"), price = ascii("price"), channel = ascii("channel"), time = ascii("dateTime");
const first = ascii('{"auction":'), second = ascii(',"bidder":'), third = ascii(',"price":'), fourth = ascii(',"channel":'), fifth = ascii(',"dateTime":'),
  dot = ascii("."), last = ascii("}");

function member(before: StaticArray<u8>, name: StaticArray<u8>, ptr: usize, end: usize): bool {
  const v = find(ptr, end, name);
  if (v == 0) return false;
  literal(before);
  copy(v, ending - v);
  return true;
}

function each(ptr: usize, len: u32): i32 {
  const end = ptr + len, out = begin();
  if (!member(first, auction, ptr, end) || !member(second, bidder, ptr, end)) return fail("no bid");
  const p = find(ptr, end, price);
  if (p == 0) return fail("no price");
  const thousandths = natural(p, ending) * 908;
  literal(third);
  write(thousandths / 1000);
  literal(dot);
  digit(thousandths / 100 % 10);
  digit(thousandths / 10 % 10);
  digit(thousandths % 10);
  if (!member(fourth, channel, ptr, end) || !member(fifth, time, ptr, end)) return fail("no bid");
  literal(last);
  put(out, written());
  return REPLACED;
}

export function sp_process(input: usize, len: u32): i64 { return process(input, each); }
