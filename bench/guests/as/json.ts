// find returns where the value of a member of a flat JSON object begins, or 0; ending is where it ends.
export let ending: usize = 0;

export function find(from: usize, to: usize, name: StaticArray<u8>): usize {
  const n = <usize>name.length;
  for (let p = from; p < to; p++) {
    if (load<u8>(p) != 0x22) continue;
    const start = ++p;
    while (p < to && load<u8>(p) != 0x22) p += load<u8>(p) == 0x5c ? 2 : 1;
    if (p + 1 >= to || load<u8>(p + 1) != 0x3a) continue; // a value
    const same = p - start == n && memory.compare(start, changetype<usize>(name), n) == 0;
    let v = p + 2, end = v;
    if (load<u8>(v) == 0x22) {
      for (end++; end < to && load<u8>(end) != 0x22;) end += load<u8>(end) == 0x5c ? 2 : 1;
      end++;
    } else {
      while (end < to && load<u8>(end) != 0x2c && load<u8>(end) != 0x7d) end++;
    }
    if (same) {
      ending = end;
      return v;
    }
    p = end - 1;
  }
  return 0;
}

// natural reads digits.
export function natural(from: usize, to: usize): u64 {
  let n: u64 = 0;
  for (; from < to; from++) n = n * 10 + <u64>(load<u8>(from) - 0x30);
  return n;
}

const buffer = new StaticArray<u8>(4096);
let at: usize = 0;

export function begin(): usize { at = changetype<usize>(buffer); return at; }
export function copy(from: usize, n: usize): void { memory.copy(at, from, n); at += n; }
export function literal(s: StaticArray<u8>): void { copy(changetype<usize>(s), s.length); }
export function digit(d: u64): void { store<u8>(at++, <u8>(0x30 + d)); }
export function write(n: u64): void { if (n >= 10) write(n / 10); digit(n % 10); }
export function written(): u32 { return <u32>(at - changetype<usize>(buffer)); }

export function ascii(s: string): StaticArray<u8> {
  const a = new StaticArray<u8>(s.length);
  for (let i = 0; i < s.length; i++) a[i] = <u8>s.charCodeAt(i);
  return a;
}
