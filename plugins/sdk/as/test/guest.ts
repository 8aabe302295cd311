// A plugin that does what the value of a record says.
import { process, put, withKey, withTimestamp, to, fail, refuse, text, keyAt, keyLength, timestamp, offset, partition, header } from "../index";
import { log, nowMs, metricAdd, kvGet, KEEP, DROP, REPLACED, WARN } from "../index";
export { sp_abi_v1, sp_alloc } from "../index";

let least: string = "";

export function sp_init(ptr: usize, len: u32): i32 {
  const start = text(ptr, len);
  if (start.includes('"config":"early"')) kvGet("a");
  if (start.includes('"config":null')) return refuse("config: a text is missing");
  least = start;
  return 0;
}

function say(value: string): void {
  const b = String.UTF8.encode(value);
  put(changetype<usize>(b), b.byteLength);
}

function each(ptr: usize, len: u32): i32 {
  const value = text(ptr, len);
  if (value == "keep") return KEEP;
  if (value == "drop") {
    say("does not count");
    return DROP;
  }
  if (value == "fail") {
    say("does not count");
    return fail("größer als 3");
  }
  if (value == "trap") throw new Error("on purpose");
  if (value == "none") return REPLACED;
  if (value == "two") {
    say("first");
    withKey(ptr, len);
    withTimestamp(9);
    to(2);
    say("");
  } else if (value == "record") {
    const trace = header("trace");
    say((keyLength() < 0 ? "null" : text(keyAt(), keyLength())) + " " + timestamp().toString() + " " + offset().toString() + " " + partition().toString() + " " +
      (trace === null ? "null" : trace));
  } else if (value == "host") {
    log(WARN, "said");
    metricAdd(1, 2);
    const a = kvGet("a"), long = kvGet("long");
    say(nowMs().toString() + " " + (a === null ? "null" : a) + " " + (long === null ? "null" : long.length.toString()));
  } else {
    say(value + value);
  }
  return REPLACED;
}

export function sp_process(input: usize, len: u32): i64 { return process(input, each); }
