//! NEXMark queries 1 and 2, one of them by feature.
#![cfg_attr(feature = "members", allow(dead_code))]
#[cfg(feature = "members")]
mod members;
use serde::{Deserialize, Serialize};
use streamproc_plugin::{Outputs, Record, Verdict};

#[derive(Deserialize)]
#[cfg_attr(feature = "q2", allow(dead_code))]
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
    price: f64,
    channel: &'a str,
    #[serde(rename = "dateTime")]
    date_time: &'a str,
}

#[derive(Serialize)]
struct Seen {
    auction: u64,
    price: u64,
}

fn each(r: &Record, out: &mut Outputs) -> Verdict {
    let Some(value) = r.value else { return Verdict::Keep };
    let b: Bid = match serde_json::from_slice(value) {
        Ok(b) => b,
        Err(e) => return Verdict::Fail(format!("no bid: {e}")),
    };
    let made = if cfg!(feature = "q2") {
        if b.auction % 123 != 0 {
            return Verdict::Drop;
        }
        serde_json::to_vec(&Seen { auction: b.auction, price: b.price })
    } else {
        serde_json::to_vec(&Euro { auction: b.auction, bidder: b.bidder, price: (b.price * 908) as f64 / 1000.0, channel: b.channel, date_time: b.date_time })
    };
    match made {
        Ok(v) => out.put(None, &v),
        Err(e) => return Verdict::Fail(e.to_string()),
    }
    Verdict::Replaced
}

#[cfg(not(feature = "members"))]
streamproc_plugin::export!(each);
#[cfg(feature = "members")]
streamproc_plugin::export!(members::each);
