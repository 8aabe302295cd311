//! ABI sp1 for streamproc plugins. Write a function and name it in `streamproc_plugin::export!(function);`. It is called
//! once for each record, and answers with a [`Verdict`] after as many [`Outputs::put`] as it likes.

/// What becomes of a record.
pub enum Verdict {
    Keep,
    Drop,
    Fail(String),
    /// Its outputs stand in for it.
    Replaced,
}

/// One input record. `None` is null.
pub struct Record<'a> {
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub timestamp: i64,
    pub offset: i64,
    pub partition: u32,
    pub topic: u16,
}

/// The outputs of a batch.
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

impl Outputs {
    /// Adds an output that keeps the record's headers and timestamp, and its key unless a new one is given.
    pub fn put(&mut self, key: Option<&[u8]>, value: &[u8]) {
        let mut d = [0u8; RECORD];
        match key {
            None => d[0..4].copy_from_slice(&INHERIT.to_le_bytes()),
            Some(k) => self.column(&mut d[0..8], k),
        }
        self.column(&mut d[8..16], value);
        d[16..20].copy_from_slice(&INHERIT.to_le_bytes());
        d[24..32].copy_from_slice(&i64::MIN.to_le_bytes());
        d[40..44].copy_from_slice(&self.source.to_le_bytes());
        self.descriptors.extend_from_slice(&d);
        self.count += 1;
    }

    fn column(&mut self, d: &mut [u8], bytes: &[u8]) {
        d[0..4].copy_from_slice(&(self.data.len() as u32).to_le_bytes());
        d[4..8].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.data.extend_from_slice(bytes);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        let base = (HEADER + self.descriptors.len()) as u32;
        for d in self.descriptors.chunks_exact_mut(RECORD) {
            for at in [0, 8] {
                let off = u32_at(d, at);
                if off != INHERIT {
                    d[at..at + 4].copy_from_slice(&(off + base).to_le_bytes());
                }
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

/// Everything an instance keeps between calls. Used by [`export!`].
#[derive(Default)]
pub struct State {
    arena: Vec<u8>,
    outputs: Outputs,
    buffer: Vec<u8>,
}

#[link(wasm_import_module = "sp1")]
#[cfg(target_arch = "wasm32")]
extern "C" {
    #[link_name = "error"]
    fn sp1_error(index: i32, ptr: *const u8, len: u32);
}

#[cfg(target_arch = "wasm32")]
fn report(index: usize, text: &str) {
    unsafe { sp1_error(index as i32, text.as_ptr(), text.len() as u32) }
}

#[cfg(not(target_arch = "wasm32"))]
fn report(_: usize, _: &str) {}

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
            let verdict = {
                let d = &batch[at..at + RECORD];
                let record = Record {
                    key: column(batch, d, 0),
                    value: column(batch, d, 8),
                    timestamp: i64_at(d, 24),
                    offset: i64_at(d, 32),
                    partition: u32_at(d, 40),
                    topic: u16::from_le_bytes([d[44], d[45]]),
                };
                f(&record, out)
            };
            batch[at + 46] = match verdict {
                Verdict::Keep => 0,
                Verdict::Drop => 1,
                Verdict::Fail(text) => {
                    report(i, &text);
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

/// Exports a `fn(&Record, &mut Outputs) -> Verdict` as a plugin.
#[macro_export]
macro_rules! export {
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
