//! Members of a JSON object, found without parsing the rest: 16 bytes at a time in WebAssembly, which needs no flag, and byte
//! by byte in native builds. What has to be walked over is checked, not that the whole is JSON.

use lanes::{Lanes, STEP};

/// The values of the members `names` of the object in `text`, as they are written: a string with its quotes and escapes. The
/// last of several counts, and one that is not there is `None`. The whole is `None` if this is no object. Members that come in
/// the order of `names` are found fastest. Names with escapes in the text are not recognised, and what follows the object is
/// not looked at.
///
/// ```
/// let bid = br#"{"auction": 7, "price": 250, "channel": "a\"b"}"#;
/// let [price, channel, url] = streamproc_plugin::json::members(bid, ["price", "channel", "url"]).unwrap();
/// assert_eq!((price, channel, url), (Some(&b"250"[..]), Some(&br#""a\"b""#[..]), None));
/// ```
#[cfg_attr(all(target_arch = "wasm32", not(feature = "scalar")), target_feature(enable = "simd128"))]
pub fn members<'a, const N: usize>(text: &'a [u8], names: [&str; N]) -> Option<[Option<&'a [u8]>; N]> {
    let mut found = [None; N];
    let mut next = 0;
    let mut at = after(text, space(text, 0), b'{')?;
    if text.get(at) == Some(&b'}') {
        return Some(found);
    }
    loop {
        let close = string(text, expect(text, at, b'"')?)?;
        let from = after(text, space(text, close + 1), b':')?;
        let to = value(text, from)?;
        let name = &text[at + 1..close];
        for i in (next..N).chain(0..next) {
            if names[i].as_bytes() == name {
                found[i] = Some(&text[from..to]);
                next = i + 1;
                break;
            }
        }
        at = space(text, to);
        if text.get(at) == Some(&b'}') {
            return Some(found);
        }
        at = after(text, at, b',')?;
    }
}

/// What follows the byte that has to be here.
#[inline(always)]
fn expect(text: &[u8], at: usize, byte: u8) -> Option<usize> {
    (*text.get(at)? == byte).then_some(at + 1)
}

/// What follows it and blanks behind it.
#[inline(always)]
fn after(text: &[u8], at: usize, byte: u8) -> Option<usize> {
    Some(space(text, expect(text, at, byte)?))
}

#[inline(always)]
fn space(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// What follows the value that begins here.
#[inline(always)]
fn value(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' => Some(string(text, at + 1)? + 1),
        b'{' | b'[' => nested(text, at),
        _ => {
            let end = find(text, at, |b| b.up_to(b' ').or(b.is(b',')).or(b.is(b'}')));
            (end > at).then_some(end)
        }
    }
}

/// The closing quote of a string whose content begins here.
#[inline(always)]
fn string(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = find(text, at, |b| b.is(b'"').or(b.is(b'\\')));
        if *text.get(at)? == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// What follows the object or array that begins here.
#[cfg_attr(all(target_arch = "wasm32", not(feature = "scalar")), target_feature(enable = "simd128"))]
fn nested(text: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0;
    loop {
        at = find(text, at, |b| {
            let folded = b.with(0x20); // '[' is '{' without this bit, and ']' is '}'
            b.is(b'"').or(folded.is(b'{')).or(folded.is(b'}'))
        });
        match text.get(at)? {
            b'"' => at = string(text, at + 1)?,
            b'{' | b'[' => depth += 1,
            _ => depth -= 1,
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// The first byte from here on that is marked, or the end.
#[inline(always)]
fn find(text: &[u8], mut at: usize, mark: impl Fn(Lanes) -> Lanes) -> usize {
    while at < text.len() {
        let marks = mark(Lanes::load(text, at)).bits();
        if marks != 0 {
            return text.len().min(at + marks.trailing_zeros() as usize);
        }
        at += STEP;
    }
    text.len()
}

// Functions without the feature, always inlined into those with it, so that the loops above exist once.
#[cfg(all(target_arch = "wasm32", not(feature = "scalar")))]
mod lanes {
    use core::arch::wasm32::*;

    pub const STEP: usize = 16;

    #[derive(Clone, Copy)]
    pub struct Lanes(v128);

    impl Lanes {
        /// Bytes behind the end are 0.
        #[inline(always)]
        pub fn load(text: &[u8], at: usize) -> Lanes {
            let mut b = [0; STEP];
            let b = match text[at..].first_chunk() {
                Some(whole) => whole,
                None => {
                    b[..text.len() - at].copy_from_slice(&text[at..]);
                    &b
                }
            };
            Lanes(unsafe { v128_load(b.as_ptr().cast()) })
        }
        #[inline(always)]
        pub fn is(self, byte: u8) -> Lanes {
            Lanes(u8x16_eq(self.0, u8x16_splat(byte)))
        }
        #[inline(always)]
        pub fn up_to(self, byte: u8) -> Lanes {
            Lanes(u8x16_le(self.0, u8x16_splat(byte)))
        }
        #[inline(always)]
        pub fn with(self, bits: u8) -> Lanes {
            Lanes(v128_or(self.0, u8x16_splat(bits)))
        }
        #[inline(always)]
        pub fn or(self, other: Lanes) -> Lanes {
            Lanes(v128_or(self.0, other.0))
        }
        #[inline(always)]
        pub fn bits(self) -> u32 {
            u8x16_bitmask(self.0).into()
        }
    }
}

#[cfg(not(all(target_arch = "wasm32", not(feature = "scalar"))))]
mod lanes {
    pub const STEP: usize = 1;

    #[derive(Clone, Copy)]
    pub struct Lanes(u8);

    impl Lanes {
        #[inline(always)]
        pub fn load(text: &[u8], at: usize) -> Lanes {
            Lanes(text[at])
        }
        #[inline(always)]
        pub fn is(self, byte: u8) -> Lanes {
            Lanes((self.0 == byte).into())
        }
        #[inline(always)]
        pub fn up_to(self, byte: u8) -> Lanes {
            Lanes((self.0 <= byte).into())
        }
        #[inline(always)]
        pub fn with(self, bits: u8) -> Lanes {
            Lanes(self.0 | bits)
        }
        #[inline(always)]
        pub fn or(self, other: Lanes) -> Lanes {
            Lanes(self.0 | other.0)
        }
        #[inline(always)]
        pub fn bits(self) -> u32 {
            self.0.into()
        }
    }
}
