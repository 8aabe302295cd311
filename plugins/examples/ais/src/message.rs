//! Messages 1, 2, 3, 5, 18 and 24 of ITU-R M.1371-5, annex 8. Fields lie at fixed bits, the most significant first. A message
//! becomes JSON with decimals that are exact: nothing is computed in floating point.
use std::fmt::Write;

/// Who heard a message, and when.
pub struct Heard<'a> {
    pub station: &'a [u8],
    pub received: i64, // milliseconds since 1970
}

#[derive(Debug)]
pub struct Message {
    pub mmsi: String,
    pub json: String,
}

/// Decodes a payload whose last `fill` bits do not count. None is a message of another kind.
pub fn decode(payload: &[u8], fill: u8, heard: &Heard) -> Result<Option<Message>, String> {
    let bits = Bits::of(payload, fill)?;
    let kind = bits.unsigned(0, 6);
    let least = match kind {
        1..=3 | 18 => 168,
        5 => 422, // the last two bits are often left out
        24 if bits.len >= 40 && bits.unsigned(38, 2) > 1 => return Ok(None), // parts that there are not
        24 if bits.len >= 40 && bits.unsigned(38, 2) == 1 => 162,
        24 => 160,
        _ => return Ok(None),
    };
    if bits.len < least {
        return Err(format!("a message {kind} of {} bits, which has {least}", bits.len));
    }
    let mmsi = format!("{:09}", bits.unsigned(8, 30));
    let mut j = Json(format!("{{\"type\":{kind},\"mmsi\":\"{mmsi}\",\"received\":{},\"station\":", heard.received));
    j.string(&String::from_utf8_lossy(heard.station));
    match kind {
        1..=3 => class_a(&bits, &mut j),
        5 => voyage(&bits, &mut j),
        18 => position(&bits, &mut j, 46),
        _ if bits.unsigned(38, 2) == 0 => j.text("name", &bits, 40, 20),
        _ => part_b(&bits, &mut j),
    }
    j.member("payload");
    j.string(&String::from_utf8_lossy(payload)); // it has been read, so it is text
    j.0.push('}');
    Ok(Some(Message { mmsi, json: j.0 }))
}

fn class_a(b: &Bits, j: &mut Json) {
    let status = b.unsigned(38, 4);
    j.number("status", status, 15);
    position(b, j, 50);
}

/// The fields that all position reports have, from the speed on.
fn position(b: &Bits, j: &mut Json, at: usize) {
    j.tenths("speed", b.unsigned(at, 10), 1023);
    j.degrees("lon", b.signed(at + 11, 28), 180);
    j.degrees("lat", b.signed(at + 39, 27), 90);
    j.tenths("course", b.unsigned(at + 66, 12), 3600);
    j.number("heading", b.unsigned(at + 78, 9), 511);
    j.number("second", b.unsigned(at + 87, 6), 60);
}

fn voyage(b: &Bits, j: &mut Json) {
    j.number("imo", b.unsigned(40, 30), 0);
    j.text("callsign", b, 70, 7);
    j.text("name", b, 112, 20);
    j.number("ship_type", b.unsigned(232, 8), 0);
    dimensions(b, j, 240);
    j.tenths("draught", b.unsigned(294, 8), 0);
    j.text("destination", b, 302, 20);
}

fn part_b(b: &Bits, j: &mut Json) {
    j.number("ship_type", b.unsigned(40, 8), 0);
    j.text("callsign", b, 90, 7);
    dimensions(b, j, 132);
}

/// From where the antenna is to the four sides, in metres.
fn dimensions(b: &Bits, j: &mut Json, at: usize) {
    for (name, at, n) in [("bow", at, 9), ("stern", at + 9, 9), ("port", at + 18, 6), ("starboard", at + 24, 6)] {
        j.number(name, b.unsigned(at, n), 0);
    }
}

/// The bits of a payload, six in each element.
struct Bits {
    six: Vec<u8>,
    len: usize,
}

impl Bits {
    /// A character stands for six bits: 0 to W for 0 to 39, ` to w for 40 to 63.
    fn of(payload: &[u8], fill: u8) -> Result<Bits, String> {
        let mut six = Vec::with_capacity(payload.len());
        for c in payload {
            six.push(match c {
                b'0'..=b'W' => c - b'0',
                b'`'..=b'w' => c - b'`' + 40,
                _ => return Err(format!("{:?} stands for no six bits", *c as char)),
            });
        }
        let len = (six.len() * 6).checked_sub(fill as usize).filter(|n| *n >= 38).ok_or("a payload that is too short for a message")?;
        Ok(Bits { six, len })
    }

    /// n bits from a place, 30 at most; what is behind the end is 0.
    fn unsigned(&self, at: usize, n: usize) -> u32 {
        let mut v = 0u64;
        let last = (at + n - 1) / 6;
        for i in at / 6..=last {
            v = v << 6 | u64::from(*self.six.get(i).unwrap_or(&0));
        }
        (v >> ((last + 1) * 6 - at - n) & ((1 << n) - 1)) as u32
    }

    fn signed(&self, at: usize, n: usize) -> i32 {
        let unused = 32 - n as u32;
        (self.unsigned(at, n) << unused) as i32 >> unused
    }

    /// Six-bit text: @ to _ are 0 to 31, space to ? are 32 to 63. @ ends it, and spaces before the end are none of it.
    fn text(&self, at: usize, n: usize) -> String {
        let mut s = String::new();
        for i in 0..n {
            match self.unsigned(at + 6 * i, 6) as u8 {
                0 => break,
                c if c < 32 => s.push((c + 64) as char),
                c => s.push(c as char),
            }
        }
        s.truncate(s.trim_end().len());
        s
    }
}

/// A JSON object in the making.
struct Json(String);

impl Json {
    fn member(&mut self, name: &str) {
        let _ = write!(self.0, ",\"{name}\":"); // a String takes everything
    }

    fn string(&mut self, s: &str) {
        self.0.push('"');
        for c in s.chars() {
            match c {
                '"' | '\\' => self.0.extend(['\\', c]),
                c if c < ' ' => drop(write!(self.0, "\\u{:04x}", c as u32)),
                c => self.0.push(c),
            }
        }
        self.0.push('"');
    }

    fn text(&mut self, name: &str, b: &Bits, at: usize, n: usize) {
        let s = b.text(at, n);
        if !s.is_empty() {
            self.member(name);
            self.string(&s);
        }
    }

    /// A number, unless it is one that says that it is not known: `unknown`, or above where it is the greatest.
    fn number(&mut self, name: &str, n: u32, unknown: u32) {
        if n < unknown || unknown == 0 && n > 0 {
            self.member(name);
            let _ = write!(self.0, "{n}");
        }
    }

    fn tenths(&mut self, name: &str, n: u32, unknown: u32) {
        if n < unknown || unknown == 0 && n > 0 {
            self.member(name);
            let _ = write!(self.0, "{}.{}", n / 10, n % 10);
        }
    }

    /// Degrees from ten-thousandths of a minute, to the seventh decimal, which tells all of them apart. Beyond the greatest
    /// it is not known.
    fn degrees(&mut self, name: &str, v: i32, greatest: i64) {
        const PER_DEGREE: i64 = 600_000;
        const DECIMALS: i64 = 10_000_000;
        let v = i64::from(v);
        if v.abs() > greatest * PER_DEGREE {
            return;
        }
        let n = (v.abs() * DECIMALS + PER_DEGREE / 2) / PER_DEGREE;
        self.member(name);
        let _ = write!(self.0, "{}{}.{:07}", if v < 0 { "-" } else { "" }, n / DECIMALS, n % DECIMALS);
    }
}

#[cfg(test)]
mod tests;
