// Members of a JSON object, found without parsing the rest: 16 bytes at a time with asc's `--enable simd`, and byte by byte
// without. What has to be walked over is checked, not that the whole is JSON.
//
//   const bid = new Members(["price", "channel"]);
//   if (!bid.read(ptr, len) || bid.at[0] == 0) return fail("no bid"); // the price: bid.length[0] bytes at bid.at[0]

// What ends a run: of a string, of what is nested, of a number or word.
const QUOTES = 0, BRACKETS = 1, ENDS = 2;
const QUOTE: u8 = 0x22, COMMA: u8 = 0x2c, COLON: u8 = 0x3a, BACKSLASH: u8 = 0x5c, OPEN: u8 = 0x7b, CLOSE: u8 = 0x7d;
const FOLD: u8 = 0x20; // '[' is '{' without this bit, and ']' is '}'

// Members are those of some names, given in the order in which they mostly come, which is found fastest.
export class Members {
  // Where the values are, as they are written, a string with its quotes and escapes; 0 is one that is not there. The last of
  // several counts. Names with escapes in the text are not recognised.
  at: StaticArray<usize>;
  length: StaticArray<u32>;
  private names: StaticArray<ArrayBuffer>;

  constructor(names: string[]) {
    const n = names.length;
    this.at = new StaticArray<usize>(n);
    this.length = new StaticArray<u32>(n);
    this.names = new StaticArray<ArrayBuffer>(n);
    for (let i = 0; i < n; i++) this.names[i] = String.UTF8.encode(names[i]);
  }

  // read finds them in the object at ptr, and says whether it is one. What follows it is not looked at.
  read(ptr: usize, len: u32): bool {
    const end = ptr + len;
    memory.fill(changetype<usize>(this.at), 0, this.at.length * sizeof<usize>());
    let next = 0, p = after(space(ptr, end), end, OPEN);
    if (p == 0) return false;
    if (is(p, end, CLOSE)) return true;
    while (true) {
      if (!is(p, end, QUOTE)) return false;
      const name = p + 1, close = quoted(name, end);
      if (close == 0) return false;
      const from = after(space(close + 1, end), end, COLON);
      if (from == 0) return false;
      p = value(from, end);
      if (p == 0) return false;
      next = this.keep(next, name, <u32>(close - name), from, <u32>(p - from));
      p = space(p, end);
      if (is(p, end, CLOSE)) return true;
      p = after(p, end, COMMA);
      if (p == 0) return false;
    }
  }

  // keep keeps a value if its name is wanted, and returns where to look for the next.
  // @ts-ignore: decorator
  @inline
  private keep(next: i32, name: usize, n: u32, from: usize, len: u32): i32 {
    const count = this.names.length;
    for (let i = 0; i < count; i++) {
      const at = next + i < count ? next + i : next + i - count, wanted = unchecked(this.names[at]);
      if (wanted.byteLength != n || memory.compare(changetype<usize>(wanted), name, n) != 0) continue;
      unchecked(this.at[at] = from);
      unchecked(this.length[at] = len);
      return at + 1;
    }
    return next;
  }
}

// @ts-ignore: decorator
@inline
function is(p: usize, end: usize, byte: u8): bool { return p < end && load<u8>(p) == byte; }

// after returns what follows the byte that has to be here, and blanks behind it, or 0.
// @ts-ignore: decorator
@inline
function after(p: usize, end: usize, byte: u8): usize { return is(p, end, byte) ? space(p + 1, end) : 0; }

// @ts-ignore: decorator
@inline
function space(p: usize, end: usize): usize {
  for (; p < end; p++) {
    const c = load<u8>(p);
    if (c > 0x20 || (c != 0x20 && c != 0x09 && c != 0x0a && c != 0x0d)) break;
  }
  return p;
}

// value returns what follows the value that begins here, or 0.
// @ts-ignore: decorator
@inline
function value(p: usize, end: usize): usize {
  if (p >= end) return 0;
  const c = load<u8>(p);
  if (c == QUOTE) {
    const close = quoted(p + 1, end);
    return close == 0 ? 0 : close + 1;
  }
  if ((c | FOLD) == OPEN) return nested(p, end);
  const e = find(p, end, ENDS);
  return e > p ? e : 0;
}

// quoted returns the closing quote of a string whose content begins here, or 0.
function quoted(p: usize, end: usize): usize {
  while (true) {
    p = find(p, end, QUOTES);
    if (p >= end) return 0;
    if (load<u8>(p) == QUOTE) return p;
    p += 2;
  }
}

// nested returns what follows the object or array that begins here, or 0.
function nested(p: usize, end: usize): usize {
  let depth = 0;
  while (true) {
    p = find(p, end, BRACKETS);
    if (p >= end) return 0;
    const c = load<u8>(p);
    if (c == QUOTE) {
      p = quoted(p + 1, end);
      if (p == 0) return 0;
    } else if ((c | FOLD) == OPEN) depth++;
    else if (--depth == 0) return p + 1;
    p++;
  }
}

// find returns the first byte from here on that ends a run of this kind, or the end.
// @ts-ignore: decorator
@inline
function find(p: usize, end: usize, kind: i32): usize {
  if (ASC_FEATURE_SIMD) {
    for (; p + 16 <= end; p += 16) {
      const marks = i8x16.bitmask(lanes(v128.load(p), kind));
      if (marks != 0) return p + ctz(marks);
    }
  }
  while (p < end && !ends(load<u8>(p), kind)) p++;
  return p;
}

// @ts-ignore: decorator
@inline
function lanes(v: v128, kind: i32): v128 {
  const quote = i8x16.eq(v, i8x16.splat(QUOTE));
  if (kind == QUOTES) return v128.or(quote, i8x16.eq(v, i8x16.splat(BACKSLASH)));
  if (kind == ENDS) return v128.or(i8x16.le_u(v, i8x16.splat(0x20)), v128.or(i8x16.eq(v, i8x16.splat(COMMA)), i8x16.eq(v, i8x16.splat(CLOSE))));
  const folded = v128.or(v, i8x16.splat(FOLD));
  return v128.or(quote, v128.or(i8x16.eq(folded, i8x16.splat(OPEN)), i8x16.eq(folded, i8x16.splat(CLOSE))));
}

// @ts-ignore: decorator
@inline
function ends(c: u8, kind: i32): bool {
  if (kind == QUOTES) return c == QUOTE || c == BACKSLASH;
  if (kind == ENDS) return c <= 0x20 || c == COMMA || c == CLOSE;
  return c == QUOTE || (c | FOLD) == OPEN || (c | FOLD) == CLOSE;
}
