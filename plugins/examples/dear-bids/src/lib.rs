//! Keeps the dear bids of one channel. It wants two fields: it never sees the rest of a bid, and needs no JSON reader.

use streamproc_plugin::{Outputs, Record, Verdict};

const PRICE: usize = 0;
const CHANNEL: usize = 1;

fn each(r: &Record, _: &mut Outputs) -> Verdict {
    let (Some(price), Some(channel)) = (r.field(PRICE), r.field(CHANNEL)) else {
        return Verdict::Fail("a bid has a price and a channel".into());
    };
    match (price.number::<u64>(), channel.text()) {
        (Some(price), Some(channel)) if price >= 1_000_000 && channel == "Apple" => Verdict::Keep,
        (Some(_), Some(_)) => Verdict::Drop,
        _ => Verdict::Fail("a price is a whole number, and a channel a text".into()),
    }
}

streamproc_plugin::export!(each, fields = ["price", "channel"]);
