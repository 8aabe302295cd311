//! NAME: keeps paid orders, and marks them as seen.
use streamproc_plugin::{Outputs, Record, Verdict};

fn plugin(r: &Record, out: &mut Outputs) -> Verdict {
    let Some(value) = r.value else { return Verdict::Keep }; // a tombstone
    let Some(rest) = value.strip_prefix(b"{") else {
        return Verdict::Fail("the value is not a JSON object".into());
    };
    if !value.windows(11).any(|w| w == b"\"paid\":true") {
        return Verdict::Drop;
    }
    out.put(None, &[b"{\"seen\":true,", rest].concat());
    Verdict::Replaced
}

streamproc_plugin::export!(plugin);
