//! lookups: the value of a key that is the record's, or "absent".
use streamproc_plugin::{kv_get, metric_add, now_ms, Output, Outputs, Record, Verdict};

fn each(r: &Record, out: &mut Outputs) -> Verdict {
    let found = kv_get(r.value.unwrap());
    out.add(&Output::new().value(Some(found.as_deref().unwrap_or(b"absent"))).timestamp(now_ms()));
    metric_add(0, 1);
    Verdict::Replaced
}

streamproc_plugin::export!(each);
