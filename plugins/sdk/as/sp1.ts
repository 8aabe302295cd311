// ABI sp1 for plugins in AssemblyScript, batched. Export what index.ts of an example exports, and write
//   export function plugin(value: Uint8Array, index: i32): i32
// which answers KEEP, DROP, FAIL or REPLACED after as many put(bytes) as it likes.
export const KEEP: i32 = 0, DROP: i32 = 1, FAIL: i32 = 2, REPLACED: i32 = 3;
const INHERIT: u32 = 0x80000000, NULL: u32 = 0xFFFFFFFF;

// @ts-ignore: decorator
@external("sp1", "error")
declare function sp_error(index: i32, ptr: usize, len: u32): void;

let arena: StaticArray<u8> = new StaticArray<u8>(0);
let out: StaticArray<u8> = new StaticArray<u8>(65536);
let data: usize = 0; // bytes of data so far, behind the descriptors in scratch
let scratch: StaticArray<u8> = new StaticArray<u8>(65536);
let descriptors: StaticArray<u8> = new StaticArray<u8>(48 * 64);
let count: i32 = 0;
let current: i32 = 0;

function grown(a: StaticArray<u8>, n: usize): StaticArray<u8> {
  if (<usize>a.length >= n) return a;
  const b = new StaticArray<u8>(<i32>(n + n / 2));
  memory.copy(changetype<usize>(b), changetype<usize>(a), a.length);
  return b;
}

export function sp_abi_v1(): void {}

export function sp_alloc(n: u32): usize {
  if (<u32>arena.length < n) arena = new StaticArray<u8>(n + n / 2);
  return changetype<usize>(arena);
}

// put adds an output of the current record: a new value, everything else as in the input.
export function put(ptr: usize, len: u32): void {
  scratch = grown(scratch, data + len);
  descriptors = grown(descriptors, (count + 1) * 48);
  memory.copy(changetype<usize>(scratch) + data, ptr, len);
  const d = changetype<usize>(descriptors) + count * 48;
  memory.fill(d, 0, 48);
  store<u32>(d, INHERIT);
  store<u32>(d, <u32>data, 8);
  store<u32>(d, len, 12);
  store<u32>(d, INHERIT, 16);
  store<i64>(d, i64.MIN_VALUE, 24);
  store<u32>(d, current, 40);
  data += len;
  count++;
}

export function fail(text: string): i32 {
  const b = String.UTF8.encode(text);
  sp_error(current, changetype<usize>(b), b.byteLength);
  return FAIL;
}

// process runs each over a batch: the value's address and length; a null value is kept.
export function process(input: usize, each: (ptr: usize, len: u32) => i32): i64 {
  const stride = <u32>load<u16>(input, 6), n = load<u32>(input, 8);
  data = 0;
  count = 0;
  for (let i: u32 = 0; i < n; i++) {
    const d = input + 32 + i * stride;
    store<u32>(input, i, 24);
    current = i;
    const len = load<u32>(d, 12);
    store<u8>(d, len == NULL ? KEEP : each(input + load<u32>(d, 8), len), 46);
  }
  return count == 0 ? 0 : finish();
}

function finish(): i64 {
  const base = 32 + count * 48, total = <usize>base + data;
  out = grown(out, total);
  const o = changetype<usize>(out);
  memory.fill(o, 0, 32);
  store<u32>(o, 0x31425053);
  store<u16>(o, 1, 4);
  store<u16>(o, 48, 6);
  store<u32>(o, count, 8);
  store<u32>(o, <u32>total, 12);
  memory.copy(o + 32, changetype<usize>(descriptors), count * 48);
  for (let i = 0; i < count; i++) {
    const d = o + 32 + i * 48;
    store<u32>(d, load<u32>(d, 8) + base, 8);
  }
  memory.copy(o + base, changetype<usize>(scratch), data);
  return <i64>((<u64>o << 32) | <u64>total);
}
