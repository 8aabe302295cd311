// ABI sp1 for plugins in AssemblyScript, batched. A plugin re-exports what the border needs and answers for each record:
//
//   import { process, put, REPLACED } from "../../sdk/as/sp1";
//   export { sp_abi_v1, sp_alloc } from "../../sdk/as/sp1";
//   function each(ptr: usize, len: u32): i32 { … return REPLACED; }
//   export function sp_process(input: usize, len: u32): i64 { return process(input, each); }
//
// One with a configuration exports sp_init too: `export function sp_init(ptr: usize, len: u32): i32`, which reads the
// start message with `text(ptr, len)` and returns 0, or `refuse("why")`.
export const KEEP: i32 = 0, DROP: i32 = 1, FAIL: i32 = 2, REPLACED: i32 = 3;
export const DEBUG: i32 = 0, INFO: i32 = 1, WARN: i32 = 2, ERROR: i32 = 3;
const INHERIT: u32 = 0x80000000, NULL: u32 = 0xFFFFFFFF;
const HEADER: u32 = 32, RECORD: u32 = 48, ENTRY: u32 = 16;

// @ts-ignore: decorator
@external("sp1", "error")
declare function sp_error(index: i32, ptr: usize, len: u32): void;

// @ts-ignore: decorator
@external("sp1", "log")
declare function sp_log(level: i32, ptr: usize, len: u32): void;

// @ts-ignore: decorator
@external("sp1", "now_ms")
declare function sp_now_ms(): i64;

// @ts-ignore: decorator
@external("sp1", "metric_add")
declare function sp_metric_add(id: i32, delta: i64): void;

// @ts-ignore: decorator
@external("sp1", "kv_get")
declare function sp_kv_get(key: usize, len: u32, to: usize, room: u32): i32;

let arena: StaticArray<u8> = new StaticArray<u8>(0);
let out: StaticArray<u8> = new StaticArray<u8>(65536);
let data: u32 = 0; // bytes of data so far, in scratch; offsets count from there until finish
let scratch: StaticArray<u8> = new StaticArray<u8>(65536);
let descriptors: StaticArray<u8> = new StaticArray<u8>(48 * 64);
let count: u32 = 0;
let current: i32 = 0;
let batch: usize = 0, descriptor: usize = 0; // of the record at hand

function grown(a: StaticArray<u8>, n: u32): StaticArray<u8> {
  if (<u32>a.length >= n) return a;
  const b = new StaticArray<u8>(<i32>(n + n / 2));
  memory.copy(changetype<usize>(b), changetype<usize>(a), a.length);
  return b;
}

export function sp_abi_v1(): void {}

export function sp_alloc(n: u32): usize {
  if (<u32>arena.length < n) arena = new StaticArray<u8>(n + n / 2);
  return changetype<usize>(arena);
}

// text reads UTF-8 bytes.
export function text(ptr: usize, len: u32): string { return String.UTF8.decodeUnsafe(ptr, len); }

// Of the record at hand; a length of -1 is null.
export function keyAt(): usize { return batch + load<u32>(descriptor, 0); }
export function keyLength(): i32 { return load<u32>(descriptor, 4); }
export function timestamp(): i64 { return load<i64>(descriptor, 24); }
export function offset(): i64 { return load<i64>(descriptor, 32); }
export function partition(): u32 { return load<u32>(descriptor, 40); }

// header returns the value of the last header of that name, or null.
export function header(name: string): string | null {
  let found: string | null = null;
  const at = batch + load<u32>(descriptor, 16), n = load<u32>(descriptor, 20);
  for (let i: u32 = 0; i < n; i++) {
    const e = at + i * ENTRY;
    if (text(batch + load<u32>(e, 0), load<u32>(e, 4)) != name) continue;
    const len = load<u32>(e, 12);
    found = len == NULL ? null : text(batch + load<u32>(e, 8), len);
  }
  return found;
}

function append(ptr: usize, len: u32): u32 {
  scratch = grown(scratch, data + len);
  const at = data;
  memory.copy(changetype<usize>(scratch) + at, ptr, len);
  data += len;
  return at;
}

// put adds an output of the current record: a new value, everything else as in the input. It counts only if the answer
// is REPLACED.
export function put(ptr: usize, len: u32): void {
  descriptors = grown(descriptors, (count + 1) * RECORD);
  const d = changetype<usize>(descriptors) + count * RECORD;
  memory.fill(d, 0, RECORD);
  store<u32>(d, INHERIT);
  store<u32>(d, append(ptr, len), 8);
  store<u32>(d, len, 12);
  store<u32>(d, INHERIT, 16);
  store<i64>(d, i64.MIN_VALUE, 24);
  store<u32>(d, current, 40);
  count++;
}

function last(): usize { return changetype<usize>(descriptors) + (count - 1) * RECORD; }

// withKey, withTimestamp and to change the output put last.
export function withKey(ptr: usize, len: u32): void {
  const at = append(ptr, len), d = last();
  store<u32>(d, at, 0);
  store<u32>(d, len, 4);
}
export function withTimestamp(milliseconds: i64): void { store<i64>(last(), milliseconds, 24); }
export function to(output: u16): void { store<u16>(last(), output, 44); }

// fail sends the record at hand to the dead letters: return what it returns.
export function fail(why: string): i32 {
  const b = String.UTF8.encode(why);
  sp_error(current, changetype<usize>(b), b.byteLength);
  return FAIL;
}

// refuse keeps the plugin from starting: return what it returns from sp_init.
export function refuse(why: string): i32 {
  const b = String.UTF8.encode(why);
  sp_error(-1, changetype<usize>(b), b.byteLength);
  return 1;
}

// log writes a line to the log of the pipeline.
export function log(level: i32, line: string): void {
  const b = String.UTF8.encode(line);
  sp_log(level, changetype<usize>(b), b.byteLength);
}

// nowMs is the time of the batch in milliseconds since the Unix epoch: its greatest timestamp, so that a replay sees the same.
export function nowMs(): i64 { return sp_now_ms(); }

// metricAdd adds to a counter: that of place id in "metrics" of the start message, from 0.
export function metricAdd(id: i32, delta: i64): void { sp_metric_add(id, delta); }

const ABSENT: i32 = -1, REFUSED: i32 = -2;
let value: StaticArray<u8> = new StaticArray<u8>(1024); // most values are no larger; a larger one takes a second call

// kvGet returns the value of a key in the store that the configuration gives the plugin (kv), or null. Within a batch a key
// has one value. A store that does not answer is no matter of the plugin: the batch comes again. It is for what is called for
// records, and ends the call elsewhere.
export function kvGet(key: string): string | null {
  const k = String.UTF8.encode(key);
  let n = sp_kv_get(changetype<usize>(k), k.byteLength, changetype<usize>(value), value.length);
  if (n > value.length) {
    value = grown(value, n);
    n = sp_kv_get(changetype<usize>(k), k.byteLength, changetype<usize>(value), value.length);
  }
  if (n == REFUSED) throw new Error("kvGet outside of a call for records");
  return n == ABSENT ? null : text(changetype<usize>(value), n);
}

// process runs each over a batch: the value's address and length; a null value is kept.
export function process(input: usize, each: (ptr: usize, len: u32) => i32): i64 {
  const stride = <u32>load<u16>(input, 6), n = load<u32>(input, 8);
  data = 0;
  count = 0;
  batch = input;
  for (let i: u32 = 0; i < n; i++) {
    descriptor = input + HEADER + i * stride;
    store<u32>(input, i, 24);
    current = i;
    const len = load<u32>(descriptor, 12), outputs = count, bytes = data;
    const verdict = len == NULL ? KEEP : each(input + load<u32>(descriptor, 8), len);
    if (verdict != REPLACED) {
      count = outputs;
      data = bytes;
    }
    store<u8>(descriptor, verdict, 46);
  }
  return count == 0 ? 0 : finish();
}

function finish(): i64 {
  const base = HEADER + count * RECORD, total = base + data;
  out = grown(out, total);
  const o = changetype<usize>(out);
  memory.fill(o, 0, HEADER);
  store<u32>(o, 0x31425053);
  store<u16>(o, 1, 4);
  store<u16>(o, 48, 6);
  store<u32>(o, count, 8);
  store<u32>(o, total, 12);
  memory.copy(o + HEADER, changetype<usize>(descriptors), count * RECORD);
  for (let i: u32 = 0; i < count; i++) {
    const d = o + HEADER + i * RECORD;
    if (load<u32>(d) != INHERIT) store<u32>(d, load<u32>(d) + base);
    store<u32>(d, load<u32>(d, 8) + base, 8);
  }
  memory.copy(o + base, changetype<usize>(scratch), data);
  return <i64>((<u64>o << 32) | <u64>total);
}
