#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod json;

use std::borrow::Cow;

/// What becomes of a record.
pub enum Verdict {
    /// It goes on unchanged.
    Keep,
    /// It is filtered.
    Drop,
    /// It goes to the dead letters, with this text.
    Fail(String),
    /// Its outputs go on in its place; none is filtered.
    Replaced,
}

/// One input record. `None` is null.
pub struct Record<'a> {
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// Its offset in the partition.
    pub offset: i64,
    /// The partition that it was read from.
    pub partition: u32,
    /// Position in the `topics` of the start message; 65535 is none of them.
    pub topic: u16,
    batch: &'a [u8],
    headers: u32,
    header_count: u32,
    fields: &'a [u8],
}

impl<'a> Record<'a> {
    /// A record of this value and nothing else, for tests.
    pub fn of(value: &'a [u8]) -> Self {
        Record { key: None, value: Some(value), timestamp: 0, offset: 0, partition: 0, topic: 0, batch: &[], headers: 0, header_count: 0, fields: &[] }
    }

    /// The field of that place in the list of fields; `None` if the record has none.
    pub fn field(&self, place: usize) -> Option<Field<'a>> {
        let at = place * FIELD;
        self.fields.get(at..at + FIELD).and_then(|slot| column(self.batch, slot, 0)).map(|json| Field { json })
    }

    /// All headers, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        let (batch, at) = (self.batch, self.headers as usize);
        (0..self.header_count as usize).map(move |i| {
            let e = &batch[at + i * ENTRY..at + (i + 1) * ENTRY];
            (column(batch, e, 0).unwrap_or(b""), column(batch, e, 8))
        })
    }

    /// The value of the last header of that name: `None` if there is none, `Some(None)` if it is null.
    pub fn header(&self, name: &str) -> Option<Option<&'a [u8]>> {
        self.headers().filter(|(k, _)| *k == name.as_bytes()).last().map(|(_, v)| v)
    }
}

/// A field of a JSON object.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    json: &'a [u8],
}

impl<'a> Field<'a> {
    /// The field as it is written.
    pub fn json(&self) -> &'a [u8] {
        self.json
    }
    /// A whole number in digits, or a number, or whatever else reads itself from the JSON of one: `field.number::<u64>()`.
    pub fn number<N: std::str::FromStr>(&self) -> Option<N> {
        match self.json {
            [b'-' | b'0'..=b'9', ..] => std::str::from_utf8(self.json).ok()?.parse().ok(),
            _ => None,
        }
    }
    /// True or false.
    pub fn bool(&self) -> Option<bool> {
        match self.json {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }
    /// Null, which a missing field is not.
    pub fn is_null(&self) -> bool {
        self.json == b"null"
    }
    /// A string.
    pub fn text(&self) -> Option<Cow<'a, str>> {
        let [b'"', text @ .., b'"'] = self.json else { return None };
        let text = std::str::from_utf8(text).ok()?;
        Some(if text.contains('\\') { Cow::Owned(plain(text)) } else { Cow::Borrowed(text) })
    }
}

/// Resolves the escapes of a string. Half of a pair of surrogates becomes U+FFFD.
fn plain(mut text: &str) -> String {
    let unit = |s: &str| s.strip_prefix("\\u").and_then(|s| u16::from_str_radix(s.get(..4)?, 16).ok());
    let mut to = String::with_capacity(text.len());
    while let Some(at) = text.find('\\') {
        to.push_str(&text[..at]);
        text = &text[at..];
        let Some(first) = unit(text) else {
            let c = text[1..].chars().next().unwrap_or('\\');
            to.push(match c {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                c => c,
            });
            text = text.get(1 + c.len_utf8()..).unwrap_or("");
            continue;
        };
        text = &text[6..];
        let pair = unit(text).and_then(|second| char::decode_utf16([first, second]).next()?.ok()).filter(|&c| c > '\u{ffff}');
        if pair.is_some() {
            text = &text[6..];
        }
        to.push(pair.or(char::from_u32(first.into())).unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    to.push_str(text);
    to
}

/// One output. What is not set is as in the record.
#[derive(Default, Clone, Copy)]
pub struct Output<'a> {
    key: Option<Option<&'a [u8]>>,
    value: Option<Option<&'a [u8]>>,
    headers: Option<&'a [(&'a [u8], Option<&'a [u8]>)]>,
    timestamp: Option<i64>,
    output: u16,
}

impl<'a> Output<'a> {
    /// One that is as the record.
    pub fn new() -> Self {
        Self::default()
    }
    /// A new key; `None` is null.
    pub fn key(mut self, key: Option<&'a [u8]>) -> Self {
        self.key = Some(key);
        self
    }
    /// A new value; `None` is null, a tombstone.
    pub fn value(mut self, value: Option<&'a [u8]>) -> Self {
        self.value = Some(value);
        self
    }
    /// New headers, in the place of the record's.
    pub fn headers(mut self, headers: &'a [(&'a [u8], Option<&'a [u8]>)]) -> Self {
        self.headers = Some(headers);
        self
    }
    /// A new timestamp in milliseconds since the Unix epoch.
    pub fn timestamp(mut self, milliseconds: i64) -> Self {
        self.timestamp = Some(milliseconds);
        self
    }
    /// The n-th of the `outputs` in the start message, from 1; 0 is the step's own.
    pub fn to(mut self, output: u16) -> Self {
        self.output = output;
        self
    }
}

/// The outputs of a batch. Those of a record count only if its verdict is [`Verdict::Replaced`].
#[derive(Default)]
pub struct Outputs {
    descriptors: Vec<u8>,
    data: Vec<u8>,
    count: u32,
    source: u32,
}

const INHERIT: u32 = 0x8000_0000;
const NULL: u32 = 0xFFFF_FFFF;
const HEADER: usize = 32;
const RECORD: usize = 48;
const ENTRY: usize = 16;
const FIELD: usize = 8;

impl Outputs {
    /// Adds an output that keeps the record's headers and timestamp, and its key unless a new one is given.
    pub fn put(&mut self, key: Option<&[u8]>, value: &[u8]) {
        let out = Output::new().value(Some(value));
        self.add(&match key {
            Some(k) => out.key(Some(k)),
            None => out,
        });
    }

    /// Adds an output of any form.
    pub fn add(&mut self, out: &Output) {
        let mut d = [0u8; RECORD];
        self.column(&mut d[0..8], out.key);
        self.column(&mut d[8..16], out.value);
        match out.headers {
            None => d[16..20].copy_from_slice(&INHERIT.to_le_bytes()),
            Some(hs) => self.entries(&mut d[16..24], hs),
        }
        d[24..32].copy_from_slice(&out.timestamp.unwrap_or(i64::MIN).to_le_bytes());
        d[40..44].copy_from_slice(&self.source.to_le_bytes());
        d[44..46].copy_from_slice(&out.output.to_le_bytes());
        self.descriptors.extend_from_slice(&d);
        self.count += 1;
    }

    /// The values of the outputs so far, for tests, without those that are null or the record's.
    pub fn values(&self) -> Vec<&[u8]> {
        let given = |d: &&[u8]| u32_at(d, 8) != INHERIT;
        self.descriptors.chunks_exact(RECORD).filter(given).filter_map(|d| column(&self.data, d, 8)).collect()
    }

    // Offsets count from the start of the data here; finish moves them behind the descriptors.
    fn column(&mut self, d: &mut [u8], bytes: Option<Option<&[u8]>>) {
        let (off, len) = match bytes {
            None => (INHERIT, 0),
            Some(None) => (0, NULL),
            Some(Some(b)) => (self.data.len() as u32, b.len() as u32),
        };
        d[0..4].copy_from_slice(&off.to_le_bytes());
        d[4..8].copy_from_slice(&len.to_le_bytes());
        if let Some(Some(b)) = bytes {
            self.data.extend_from_slice(b);
        }
    }

    fn entries(&mut self, d: &mut [u8], headers: &[(&[u8], Option<&[u8]>)]) {
        let start = self.data.len();
        d[0..4].copy_from_slice(&(start as u32).to_le_bytes());
        d[4..8].copy_from_slice(&(headers.len() as u32).to_le_bytes());
        self.data.resize(start + headers.len() * ENTRY, 0);
        for (i, (k, v)) in headers.iter().enumerate() {
            let mut e = [0u8; ENTRY];
            self.column(&mut e[0..8], Some(Some(k)));
            self.column(&mut e[8..16], Some(*v));
            self.data[start + i * ENTRY..start + (i + 1) * ENTRY].copy_from_slice(&e);
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        let base = (HEADER + self.descriptors.len()) as u32;
        for i in 0..self.count as usize {
            let d = &mut self.descriptors[i * RECORD..(i + 1) * RECORD];
            shift(d, 0, base);
            shift(d, 8, base);
            if u32_at(d, 16) == INHERIT {
                continue;
            }
            let (start, n) = (u32_at(d, 16) as usize, u32_at(d, 20) as usize);
            shift(d, 16, base);
            for e in self.data[start..start + n * ENTRY].chunks_exact_mut(ENTRY) {
                shift(e, 0, base);
                shift(e, 8, base);
            }
        }
        out.clear();
        out.extend_from_slice(b"SPB1\x01\x00\x30\x00");
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&(base + self.data.len() as u32).to_le_bytes());
        out.extend_from_slice(&[0; 16]);
        out.extend_from_slice(&self.descriptors);
        out.extend_from_slice(&self.data);
    }
}

fn shift(d: &mut [u8], at: usize, base: u32) {
    let off = u32_at(d, at);
    if off != INHERIT {
        d[at..at + 4].copy_from_slice(&(off + base).to_le_bytes());
    }
}

fn u32_at(b: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

fn i64_at(b: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(b[at..at + 8].try_into().unwrap())
}

fn column<'a>(b: &'a [u8], d: &[u8], at: usize) -> Option<&'a [u8]> {
    let (off, len) = (u32_at(d, at) as usize, u32_at(d, at + 4));
    if len == NULL {
        return None;
    }
    Some(&b[off..off + len as usize])
}

/// How grave a line of the log is.
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// Writes a line to the log of the pipeline, where it is escaped and cut. Native builds write nothing.
pub fn log(level: Level, text: &str) {
    host::log(level as i32, text)
}

/// The time of the batch in milliseconds since the Unix epoch: its greatest timestamp, so that a replay sees the same.
/// 0 in native builds.
pub fn now_ms() -> i64 {
    host::now_ms()
}

/// Adds to a counter: that of place `id` in `metrics` of the start message, from 0. What is below 0 is left out, and so is
/// a counter that there is not. Native builds count nothing.
pub fn metric_add(id: u32, delta: i64) {
    host::metric_add(id as i32, delta)
}

/// The value of a key in the store that the configuration gives the plugin (`kv`); `None` if there is none. Within a batch a
/// key has one value. A store that does not answer is no matter of the plugin: the batch comes again. It is for the function
/// that is called for records, and panics elsewhere; native builds find nothing.
pub fn kv_get(key: &[u8]) -> Option<Vec<u8>> {
    let mut value = vec![0; FIRST_VALUE];
    let mut n = host::kv_get(key, &mut value);
    if n > value.len() as i32 {
        value.resize(n as usize, 0);
        n = host::kv_get(key, &mut value);
    }
    match n {
        ABSENT => None,
        REFUSED => panic!("kv_get outside of a call for records"),
        n => {
            value.truncate(n as usize);
            Some(value)
        }
    }
}

/// How large most values are at most; a larger one takes a second call.
const FIRST_VALUE: usize = 1 << 10;
const ABSENT: i32 = -1;
const REFUSED: i32 = -2;

#[cfg(target_arch = "wasm32")]
mod host {
    #[link(wasm_import_module = "sp1")]
    extern "C" {
        #[link_name = "error"]
        fn sp1_error(index: i32, ptr: *const u8, len: u32);
        #[link_name = "log"]
        fn sp1_log(level: i32, ptr: *const u8, len: u32);
        #[link_name = "now_ms"]
        fn sp1_now_ms() -> i64;
        #[link_name = "metric_add"]
        fn sp1_metric_add(id: i32, delta: i64);
        #[link_name = "kv_get"]
        fn sp1_kv_get(key: *const u8, len: u32, to: *mut u8, room: u32) -> i32;
    }
    pub fn error(index: i32, text: &str) {
        unsafe { sp1_error(index, text.as_ptr(), text.len() as u32) }
    }
    pub fn log(level: i32, text: &str) {
        unsafe { sp1_log(level, text.as_ptr(), text.len() as u32) }
    }
    pub fn now_ms() -> i64 {
        unsafe { sp1_now_ms() }
    }
    pub fn metric_add(id: i32, delta: i64) {
        unsafe { sp1_metric_add(id, delta) }
    }
    pub fn kv_get(key: &[u8], to: &mut [u8]) -> i32 {
        unsafe { sp1_kv_get(key.as_ptr(), key.len() as u32, to.as_mut_ptr(), to.len() as u32) }
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod host {
    pub fn error(_: i32, _: &str) {}
    pub fn log(_: i32, _: &str) {}
    pub fn now_ms() -> i64 {
        0
    }
    pub fn metric_add(_: i32, _: i64) {}
    pub fn kv_get(_: &[u8], _: &mut [u8]) -> i32 {
        super::ABSENT
    }
}

/// Everything an instance keeps between calls. Used by [`export!`].
#[doc(hidden)]
#[allow(missing_docs)]
#[derive(Default)]
pub struct State {
    arena: Vec<u8>,
    outputs: Outputs,
    buffer: Vec<u8>,
}

impl State {
    pub const fn new() -> State {
        State {
            arena: Vec::new(),
            outputs: Outputs { descriptors: Vec::new(), data: Vec::new(), count: 0, source: 0 },
            buffer: Vec::new(),
        }
    }

    pub fn alloc(&mut self, n: u32) -> *mut u8 {
        self.arena.resize(self.arena.len().max(n as usize), 0);
        self.arena.as_mut_ptr()
    }

    /// Answers `sp_init`: 0 is ready.
    pub fn init(&mut self, len: u32, f: fn(&str) -> Result<(), String>) -> i32 {
        let text = String::from_utf8_lossy(&self.arena[..len as usize]).into_owned();
        match f(&text) {
            Ok(()) => 0,
            Err(why) => {
                host::error(-1, &why);
                1
            }
        }
    }

    pub fn process(&mut self, len: u32, f: fn(&Record, &mut Outputs) -> Verdict) -> i64 {
        let batch = &mut self.arena[..len as usize];
        let stride = u16::from_le_bytes([batch[6], batch[7]]) as usize;
        let count = u32_at(batch, 8) as usize;
        let out = &mut self.outputs;
        out.descriptors.clear();
        out.data.clear();
        out.count = 0;
        for i in 0..count {
            batch[24..28].copy_from_slice(&(i as u32).to_le_bytes());
            let at = HEADER + i * stride;
            out.source = i as u32;
            let before = (out.descriptors.len(), out.data.len(), out.count);
            let verdict = f(&record(batch, at, stride), out);
            if !matches!(verdict, Verdict::Replaced) {
                out.descriptors.truncate(before.0);
                out.data.truncate(before.1);
                out.count = before.2;
            }
            batch[at + 46] = match verdict {
                Verdict::Keep => 0,
                Verdict::Drop => 1,
                Verdict::Fail(text) => {
                    host::error(i as i32, &text);
                    2
                }
                Verdict::Replaced => 3,
            };
        }
        if out.count == 0 {
            return 0;
        }
        out.finish(&mut self.buffer);
        ((self.buffer.as_ptr() as usize as u64) << 32 | self.buffer.len() as u64) as i64
    }
}

fn record(batch: &[u8], at: usize, stride: usize) -> Record<'_> {
    let d = &batch[at..at + RECORD];
    Record {
        key: column(batch, d, 0),
        value: column(batch, d, 8),
        timestamp: i64_at(d, 24),
        offset: i64_at(d, 32),
        partition: u32_at(d, 40),
        topic: u16::from_le_bytes([d[44], d[45]]),
        batch,
        headers: u32_at(d, 16),
        header_count: u32_at(d, 20),
        fields: &batch[at + RECORD..at + stride],
    }
}

/// Exports a `fn(&Record, &mut Outputs) -> Verdict` as a plugin; with `init = f`, a `fn(&str) -> Result<(), String>` is
/// called first.
///
/// `fields = ["price", "channel"]` behind these are the fields of JSON values that it wants; `value` behind them asks for
/// the value too.
#[macro_export]
macro_rules! export {
    ($f:path $(, init = $init:path)?, fields = [$($name:literal),+ $(,)?], value) => {
        $crate::export!($f $(, init = $init)?);
        $crate::export!(@fields 7, $($name),+);
    };
    ($f:path $(, init = $init:path)?, fields = [$($name:literal),+ $(,)?]) => {
        $crate::export!($f $(, init = $init)?);
        $crate::export!(@fields 5, $($name),+);
    };
    (@fields $needs:literal, $($name:literal),+) => {
        #[no_mangle]
        pub extern "C" fn sp_needs() -> i32 {
            $needs // 1 keys, 2 values, 4 headers
        }

        #[no_mangle]
        pub extern "C" fn sp_fields() -> i64 {
            const NAMES: &str = concat!($($name, "\0"),+);
            ((NAMES.as_ptr() as usize as u64) << 32 | NAMES.len() as u64) as i64
        }
    };
    ($f:path, init = $init:path) => {
        $crate::export!($f);

        #[no_mangle]
        pub extern "C" fn sp_init(_ptr: *mut u8, len: u32) -> i32 {
            unsafe { (*(&raw mut STATE)).init(len, $init) }
        }
    };
    ($f:path) => {
        static mut STATE: $crate::State = $crate::State::new();

        #[no_mangle]
        pub extern "C" fn sp_abi_v1() {}

        #[no_mangle]
        pub extern "C" fn sp_alloc(n: u32) -> *mut u8 {
            unsafe { (*(&raw mut STATE)).alloc(n) }
        }

        #[no_mangle]
        pub extern "C" fn sp_process(_ptr: *mut u8, len: u32) -> i64 {
            unsafe { (*(&raw mut STATE)).process(len, $f) }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A batch of values, each with the headers given.
    fn batch(values: &[&[u8]], headers: &[(&[u8], Option<&[u8]>)]) -> Vec<u8> {
        let mut out = Outputs::default();
        for (i, v) in values.iter().enumerate() {
            out.source = i as u32;
            out.add(&Output::new().key(None).value(Some(v)).headers(headers).timestamp(i as i64));
        }
        let mut b = Vec::new();
        out.finish(&mut b);
        b
    }

    fn process(b: &[u8], f: fn(&Record, &mut Outputs) -> Verdict) -> (State, Vec<u8>) {
        let mut s = State::new();
        s.alloc(b.len() as u32);
        s.arena[..b.len()].copy_from_slice(b);
        s.process(b.len() as u32, f);
        let verdicts = (0..u32_at(b, 8) as usize).map(|i| s.arena[HEADER + i * RECORD + 46]).collect();
        (s, verdicts)
    }

    #[test]
    fn every_record_gets_its_verdict_and_a_failed_one_puts_nothing() {
        let (s, verdicts) = process(&batch(&[b"keep", b"drop", b"fail", b"two"], &[]), |r, out| match r.value.unwrap() {
            b"keep" => Verdict::Keep,
            b"drop" => Verdict::Drop,
            b"fail" => {
                out.put(None, b"does not count");
                Verdict::Fail("because".into())
            }
            _ => {
                out.put(None, b"x");
                out.put(Some(b"k"), b"y");
                Verdict::Replaced
            }
        });
        assert_eq!(verdicts, [0, 1, 2, 3]);
        assert_eq!(u32_at(&s.buffer, 8), 2);
        let last = &s.buffer[HEADER + RECORD..HEADER + 2 * RECORD];
        assert_eq!((column(&s.buffer, last, 0), column(&s.buffer, last, 8)), (Some(&b"k"[..]), Some(&b"y"[..])));
        assert_eq!(u32_at(last, 40), 3);
    }

    #[test]
    fn values_are_what_was_put() {
        let mut out = Outputs::default();
        out.put(Some(b"k"), b"a");
        out.add(&Output::new());
        out.add(&Output::new().value(None));
        out.put(None, b"");
        assert_eq!(out.values(), [&b"a"[..], b""]);
        let r = Record::of(b"v");
        assert!(r.header("h").is_none() && r.field(0).is_none());
    }

    #[test]
    fn headers_go_in_and_out() {
        let (s, _) = process(&batch(&[b"v"], &[(b"trace", Some(b"1")), (b"none", None)]), |r, out| {
            assert_eq!(r.header("trace"), Some(Some(&b"1"[..])));
            assert_eq!(r.header("none"), Some(None));
            assert_eq!(r.header("other"), None);
            out.add(&Output::new().headers(&[(b"made", Some(b"2"))]).timestamp(9).to(1));
            Verdict::Replaced
        });
        let d = &s.buffer[HEADER..HEADER + RECORD];
        assert_eq!((u32_at(d, 0), u32_at(d, 8), i64_at(d, 24)), (INHERIT, INHERIT, 9));
        let headers = entries(&s.buffer, u32_at(d, 16) as usize, u32_at(d, 20) as usize);
        assert_eq!(headers, [(b"made".to_vec(), Some(b"2".to_vec()))]);
    }

    fn entries(b: &[u8], at: usize, n: usize) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let read = |e: &[u8]| (column(b, e, 0).unwrap().to_vec(), column(b, e, 8).map(<[u8]>::to_vec));
        b[at..at + n * ENTRY].chunks_exact(ENTRY).map(read).collect()
    }

    /// A batch of one record whose value is not there, with the JSON of fields; "" is missing.
    fn projected(fields: &[&str]) -> Vec<u8> {
        let one = batch(&[b""], &[]);
        let data = HEADER + RECORD + fields.len() * FIELD;
        let (mut b, mut text) = (one[..HEADER + RECORD].to_vec(), Vec::new());
        b[6..8].copy_from_slice(&((RECORD + fields.len() * FIELD) as u16).to_le_bytes());
        b[HEADER + 12..HEADER + 16].copy_from_slice(&NULL.to_le_bytes());
        for f in fields {
            b.extend_from_slice(&((data + text.len()) as u32).to_le_bytes());
            b.extend_from_slice(&(if f.is_empty() { NULL } else { f.len() as u32 }).to_le_bytes());
            text.extend_from_slice(f.as_bytes());
        }
        b.extend_from_slice(&text);
        b
    }

    #[test]
    fn fields_have_the_kind_they_are_written_in() {
        let b = projected(&["-12", "1.5e3", "true", "null", "", r#""\u00e9\ud83d\ude00 \ud83dA\"\n""#, r#""plain""#]);
        let (_, verdicts) = process(&b, |r, _| {
            let field = |i| r.field(i).unwrap();
            assert!(r.value.is_none() && r.field(4).is_none() && r.field(7).is_none());
            assert_eq!((field(0).number(), field(0).number::<u8>(), field(0).json()), (Some(-12), None, &b"-12"[..]));
            assert_eq!((field(1).number(), field(1).number::<i64>(), field(1).bool()), (Some(1500.0), None, None));
            assert_eq!((field(2).bool(), field(2).number::<f64>(), field(2).text()), (Some(true), None, None));
            assert!(field(3).is_null() && !field(2).is_null());
            assert_eq!(field(5).text().unwrap(), "é😀 \u{fffd}A\"\n");
            assert!(matches!(field(6).text(), Some(Cow::Borrowed("plain"))));
            Verdict::Keep
        });
        assert_eq!(verdicts, [0]);
    }

    #[test]
    fn the_start_message_can_be_refused() {
        let mut s = State::new();
        s.alloc(2);
        s.arena[..2].copy_from_slice(b"{}");
        assert_eq!(s.init(2, |text| if text == "{}" { Err("empty".into()) } else { Ok(()) }), 1);
        assert_eq!(s.init(2, |_| Ok(())), 0);
    }
}
