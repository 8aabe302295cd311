//! ais: a sentence of a ship's radio, as a coastal station hears it, becomes what the ship says. Messages of several sentences
//! are joined: the plugin remembers the first ones, as far as its step looks back.
mod join;
mod message;
mod sentence;

use join::Lanes;
use serde::Deserialize;
use std::cell::RefCell;
use streamproc_plugin::{Outputs, Record, Verdict};

#[derive(Deserialize)]
struct Start {
    #[serde(default)]
    look_back: i64,
}

thread_local! {
    static LANES: RefCell<Lanes> = RefCell::new(Lanes::default());
}

fn configure(start: &str) -> Result<(), String> {
    let start: Start = serde_json::from_str(start).map_err(|e| format!("start message: {e}"))?;
    if start.look_back == 0 {
        return Err("say look_back: 1000 at the step: a message may lie in several records, and the first ones are remembered".into());
    }
    LANES.with_borrow_mut(|l| l.look_back = start.look_back);
    Ok(())
}

fn decode(r: &Record, out: &mut Outputs) -> Verdict {
    let Some(value) = r.value else { return Verdict::Keep };
    let s = match sentence::parse(value) {
        Ok(s) => s,
        Err(why) => return Verdict::Fail(why),
    };
    let station = s.station.or(r.key).unwrap_or(b"");
    let whole = LANES.with_borrow_mut(|l| l.of(r.topic, r.partition, r.offset).add(&s, station, r.offset));
    let (payload, fill) = match whole {
        Ok(Some(whole)) => whole,
        Ok(None) => return Verdict::Drop,
        Err(why) => return Verdict::Fail(why),
    };
    let heard = message::Heard { station, received: s.received.unwrap_or(r.timestamp) };
    match message::decode(&payload, fill, &heard) {
        Ok(Some(m)) => {
            out.put(Some(m.mmsi.as_bytes()), m.json.as_bytes());
            Verdict::Replaced
        }
        Ok(None) => Verdict::Drop,
        Err(why) => Verdict::Fail(why),
    }
}

streamproc_plugin::export!(decode, init = configure);
