//! members: what the SDK's reader of JSON members makes of a value, as sdk/members.txt writes it.
use streamproc_plugin::{json, Outputs, Record, Verdict};

fn each(r: &Record, out: &mut Outputs) -> Verdict {
    match json::members(r.value.unwrap(), ["a", "price", "a longer name"]) {
        None => out.put(None, b"!"),
        Some(found) => out.put(None, &found.map(|v| v.unwrap_or(b"-")).join(&b" | "[..])),
    }
    Verdict::Replaced
}

streamproc_plugin::export!(each);
