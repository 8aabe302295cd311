//! NEXMark query 2 without a parser.
use streamproc_plugin::{json, Outputs, Record, Verdict};

pub fn each(r: &Record, out: &mut Outputs) -> Verdict {
    let Some(value) = r.value else { return Verdict::Keep };
    let Some([Some(auction), Some(price)]) = json::members(value, ["auction", "price"]) else {
        return Verdict::Fail("no bid".into());
    };
    match std::str::from_utf8(auction).ok().and_then(|n| n.parse::<u64>().ok()) {
        None => return Verdict::Fail("no auction".into()),
        Some(n) if n % 123 != 0 => return Verdict::Drop,
        _ => out.put(None, &[b"{\"auction\":", auction, b",\"price\":", price, b"}"].concat()),
    }
    Verdict::Replaced
}
