//! NEXMark queries 1 and 2, one of them by feature; with the feature `fields` from the fields that the host finds.
#![cfg_attr(feature = "members", allow(dead_code))]
#[cfg(feature = "members")]
mod members;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use streamproc_plugin::{Outputs, Record, Verdict};

#[derive(Deserialize)]
#[cfg_attr(feature = "q2", allow(dead_code))]
#[cfg_attr(feature = "fields", allow(dead_code))]
struct Bid<'a> {
    auction: u64,
    bidder: u64,
    price: u64,
    channel: &'a str,
    #[serde(rename = "dateTime")]
    date_time: &'a str,
}

#[derive(Serialize)]
struct Euro<'a> {
    auction: u64,
    bidder: u64,
    price: Box<RawValue>,
    channel: &'a str,
    #[serde(rename = "dateTime")]
    date_time: &'a str,
}

#[derive(Serialize)]
struct Seen {
    auction: u64,
    price: u64,
}

#[cfg(not(feature = "fields"))]
fn each(r: &Record, out: &mut Outputs) -> Verdict {
    let Some(value) = r.value else { return Verdict::Keep };
    match serde_json::from_slice(value) {
        Ok(b) => answer(b, out),
        Err(e) => Verdict::Fail(format!("no bid: {e}")),
    }
}

#[cfg(feature = "fields")]
fn each(r: &Record, out: &mut Outputs) -> Verdict {
    let number = |i: usize| r.field(i).and_then(|f| f.number::<u64>());
    let (Some(auction), Some(price)) = (number(0), number(1)) else { return Verdict::Fail("no bid".into()) };
    if cfg!(feature = "q2") {
        return answer(Bid { auction, price, bidder: 0, channel: "", date_time: "" }, out);
    }
    let text = |i: usize| r.field(i).and_then(|f| f.text());
    match (number(2), text(3), text(4)) {
        (Some(bidder), Some(channel), Some(time)) => answer(Bid { auction, bidder, price, channel: &channel, date_time: &time }, out),
        _ => Verdict::Fail("no bid".into()),
    }
}

fn answer(b: Bid, out: &mut Outputs) -> Verdict {
    let made = if cfg!(feature = "q2") {
        if b.auction % 123 != 0 {
            return Verdict::Drop;
        }
        serde_json::to_vec(&Seen { auction: b.auction, price: b.price })
    } else {
        let thousandths = b.price * 908;
        RawValue::from_string(format!("{}.{:03}", thousandths / 1000, thousandths % 1000))
            .and_then(|price| serde_json::to_vec(&Euro { auction: b.auction, bidder: b.bidder, price, channel: b.channel, date_time: b.date_time }))
    };
    match made {
        Ok(v) => out.put(None, &v),
        Err(e) => return Verdict::Fail(e.to_string()),
    }
    Verdict::Replaced
}

#[cfg(not(any(feature = "members", feature = "fields")))]
streamproc_plugin::export!(each);
#[cfg(all(feature = "fields", feature = "q1"))]
streamproc_plugin::export!(each, fields = ["auction", "price", "bidder", "channel", "dateTime"]);
#[cfg(all(feature = "fields", feature = "q2"))]
streamproc_plugin::export!(each, fields = ["auction", "price"]);
#[cfg(feature = "members")]
streamproc_plugin::export!(members::each);
