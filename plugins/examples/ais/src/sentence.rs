//! A sentence VDM or VDO of IEC 61162-1, with an optional tag block of IEC 61162-450 before it:
//! `\s:2190047,c:1289558772*3F\!AIVDM,2,1,3,A,55?MbV02;H...,0*1C`.

#[derive(Debug)]
pub struct Sentence<'a> {
    /// Who heard it, and when, in milliseconds since 1970; None where the tag block does not say.
    pub station: Option<&'a [u8]>,
    pub received: Option<i64>,
    /// Of talker and kind, such as AIVDM.
    pub formatter: &'a [u8],
    pub total: u8,
    pub number: u8,
    /// What tells apart messages of several sentences that a station sends at a time.
    pub sequence: &'a [u8],
    pub channel: &'a [u8],
    pub payload: &'a [u8],
    pub fill: u8,
}

pub fn parse(line: &[u8]) -> Result<Sentence<'_>, String> {
    let line = line.trim_ascii();
    let (tags, rest) = match line.strip_prefix(b"\\") {
        None => (None, line),
        Some(inner) => {
            let end = inner.iter().position(|c| *c == b'\\').ok_or("the tag block has no end")?;
            (Some(checked(&inner[..end], "tag block")?), &inner[end + 1..])
        }
    };
    let body = checked(rest.strip_prefix(b"!").ok_or("this is no sentence: it does not begin with !")?, "sentence")?;
    let mut fields = [&b""[..]; 7];
    let mut n = 0;
    for f in body.split(|c| *c == b',') {
        if n == fields.len() {
            return Err("the sentence has more than 7 fields".into());
        }
        fields[n] = f;
        n += 1;
    }
    let [formatter, total, number, sequence, channel, payload, fill] = fields;
    if n != 7 || formatter.len() != 5 || !(formatter.ends_with(b"VDM") || formatter.ends_with(b"VDO")) {
        return Err("this is no VDM or VDO with 7 fields".into());
    }
    let mut s = Sentence { station: None, received: None, formatter, total: digit(total)?, number: digit(number)?, sequence, channel, payload, fill: digit(fill)? };
    if s.number < 1 || s.number > s.total {
        return Err(format!("there is no sentence {} of {}", s.number, s.total));
    }
    if s.fill > 5 || s.payload.is_empty() {
        return Err(format!("a payload of {} characters with {} bits to fill it", s.payload.len(), s.fill));
    }
    if let Some(tags) = tags {
        read_tags(tags, &mut s)?;
    }
    Ok(s)
}

/// What stands before `*hh`, if hh is the exclusive or of it. Behind it many receivers put a comma and things of their own.
fn checked<'a>(text: &'a [u8], what: &str) -> Result<&'a [u8], String> {
    let star = text.iter().position(|c| *c == b'*').unwrap_or(text.len());
    let (body, end) = text.split_at(star);
    let hex = match end {
        [b'*', h, l] | [b'*', h, l, b',', ..] => [*h, *l],
        _ => return Err(format!("the {what} does not end in a checksum")),
    };
    let said = std::str::from_utf8(&hex).ok().and_then(|h| u8::from_str_radix(h, 16).ok()).ok_or(format!("the checksum of the {what} is not hexadecimal"))?;
    let sum = body.iter().fold(0, |sum, c| sum ^ c);
    if said != sum {
        return Err(format!("the checksum of the {what} is {said:02X}, and should be {sum:02X}"));
    }
    Ok(body)
}

fn digit(field: &[u8]) -> Result<u8, String> {
    match field {
        [d @ b'0'..=b'9'] => Ok(d - b'0'),
        _ => Err(format!("{:?} is not a digit", String::from_utf8_lossy(field))),
    }
}

/// Times of up to ten digits are in seconds, as the standard has it; longer ones, as many receivers write, in milliseconds.
const SECONDS_DIGITS: usize = 10;

fn read_tags<'a>(tags: &'a [u8], s: &mut Sentence<'a>) -> Result<(), String> {
    for tag in tags.split(|c| *c == b',') {
        if let Some(station) = tag.strip_prefix(b"s:") {
            s.station = Some(station);
        } else if let Some(time) = tag.strip_prefix(b"c:") {
            let at: i64 = std::str::from_utf8(time).ok().and_then(|t| t.parse().ok()).filter(|at| *at >= 0).ok_or("the time of the tag block is not a number")?;
            s.received = Some(if time.len() > SECONDS_DIGITS { at } else { at * 1000 });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_taken_apart() {
        for line in [&b"!AIVDM,2,1,3,B,abc,0*75\r\n"[..], b"!AIVDM,2,1,3,B,abc,0*75,1289558772"] {
            let s = parse(line).unwrap();
            assert_eq!((s.formatter, s.total, s.number, s.sequence, s.channel, s.payload, s.fill), (&b"AIVDM"[..], 2, 1, &b"3"[..], &b"B"[..], &b"abc"[..], 0));
            assert_eq!((s.station, s.received), (None, None));
        }
    }

    #[test]
    fn a_tag_block_says_who_heard_it_and_when() {
        for (tags, received) in [("s:st1,c:1289558772", 1289558772000), ("c:1289558772123,s:st1", 1289558772123)] {
            let sum = tags.bytes().fold(0, |sum, c| sum ^ c);
            let line = format!("\\{tags}*{sum:02x}\\!AIVDM,2,1,3,B,abc,0*75");
            let s = parse(line.as_bytes()).unwrap();
            assert_eq!((s.station, s.received), (Some(&b"st1"[..]), Some(received)));
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, want) in [
            ("", "does not begin with !"),
            ("$GPGGA,1*00", "does not begin with !"),
            ("!AIVDM,2,1,3,B,abc,0*76", "is 76, and should be 75"),
            ("!AIVDM,2,1,3,B,abc,0", "does not end in a checksum"),
            ("!AIVDM,2,1,3,B,abc,0*7G", "not hexadecimal"),
            ("\\s:x*00", "has no end"),
            ("\\s:x*00\\!AIVDM,2,1,3,B,abc,0*75", "checksum of the tag block"),
        ] {
            let why = parse(line.as_bytes()).unwrap_err();
            assert!(why.contains(want), "{line}: {why}");
        }
        for (body, want) in [
            ("AIVDM,2,3,3,B,abc,0", "no sentence 3 of 2"),
            ("AIVDM,2,0,3,B,abc,0", "no sentence 0 of 2"),
            ("AIVDM,x,1,3,B,abc,0", "not a digit"),
            ("AIVDM,1,1,,B,,0", "a payload of 0"),
            ("AIVDM,1,1,,B,abc,6", "6 bits"),
            ("AIVDM,1,1,,B,abc", "no VDM"),
            ("AIVSI,1,1,,B,abc,0", "no VDM"),
            ("AIVDM,1,1,,B,abc,0,1", "more than 7"),
        ] {
            let sum = body.bytes().fold(0, |sum, c| sum ^ c);
            let why = parse(format!("!{body}*{sum:02X}").as_bytes()).unwrap_err();
            assert!(why.contains(want), "{body}: {why}");
        }
    }
}
