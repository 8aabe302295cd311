//! NEXMark queries 1 and 2, or a filter that keeps every bid, one of them by feature; with the feature `fields` from the fields that the host finds.
#![cfg_attr(any(feature = "members", feature = "filter"), allow(dead_code))]
#[cfg(feature = "members")]
mod members;
use serde::{Deserialize, Serialize};
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

/// The bid of query 1, with a price of three decimals, which a struct of serde has no word for.
fn euros(b: &Bid) -> serde_json::Result<Vec<u8>> {
    let thousandths = b.price * 908;
    let mut v = Vec::with_capacity(160);
    v.extend_from_slice(b"{\"auction\":");
    serde_json::to_writer(&mut v, &b.auction)?;
    v.extend_from_slice(b",\"bidder\":");
    serde_json::to_writer(&mut v, &b.bidder)?;
    v.extend_from_slice(b",\"price\":");
    serde_json::to_writer(&mut v, &(thousandths / 1000))?;
    v.push(b'.');
    v.extend([100, 10, 1].map(|place| b'0' + (thousandths / place % 10) as u8));
    v.extend_from_slice(b",\"channel\":");
    serde_json::to_writer(&mut v, b.channel)?;
    v.extend_from_slice(b",\"dateTime\":");
    serde_json::to_writer(&mut v, b.date_time)?;
    v.push(b'}');
    Ok(v)
}

fn answer(b: Bid, out: &mut Outputs) -> Verdict {
    let made = if cfg!(feature = "q2") {
        if b.auction % 123 != 0 {
            return Verdict::Drop;
        }
        serde_json::to_vec(&Seen { auction: b.auction, price: b.price })
    } else {
        euros(&b)
    };
    match made {
        Ok(v) => out.put(None, &v),
        Err(e) => return Verdict::Fail(e.to_string()),
    }
    Verdict::Replaced
}

/// A filter that keeps every bid.
#[cfg(all(feature = "filter", not(feature = "fields")))]
fn keep(r: &Record, _: &mut Outputs) -> Verdict {
    #[derive(Deserialize)]
    struct Bid<'a> {
        price: u64,
        channel: &'a str,
    }
    let Some(value) = r.value else { return Verdict::Keep };
    match serde_json::from_slice::<Bid>(value) {
        Ok(b) if b.price >= 100 && !b.channel.is_empty() => Verdict::Keep,
        Ok(_) => Verdict::Drop,
        Err(e) => Verdict::Fail(format!("no bid: {e}")),
    }
}

#[cfg(all(feature = "filter", feature = "fields"))]
fn keep(r: &Record, _: &mut Outputs) -> Verdict {
    match (r.field(0).and_then(|f| f.number::<u64>()), r.field(1).and_then(|f| f.text())) {
        (Some(price), Some(channel)) if price >= 100 && !channel.is_empty() => Verdict::Keep,
        (Some(_), Some(_)) => Verdict::Drop,
        _ => Verdict::Fail("no bid".into()),
    }
}

#[cfg(all(feature = "filter", not(feature = "fields")))]
streamproc_plugin::export!(keep);
#[cfg(all(feature = "filter", feature = "fields"))]
streamproc_plugin::export!(keep, fields = ["price", "channel"]);
#[cfg(not(any(feature = "members", feature = "fields", feature = "filter")))]
streamproc_plugin::export!(each);
#[cfg(all(feature = "fields", feature = "q1"))]
streamproc_plugin::export!(each, fields = ["auction", "price", "bidder", "channel", "dateTime"]);
#[cfg(all(feature = "fields", feature = "q2"))]
streamproc_plugin::export!(each, fields = ["auction", "price"]);
#[cfg(feature = "members")]
streamproc_plugin::export!(members::each);
