//! Joins the sentences of a message. What is held is a function of the last records of a partition: a message counts only if
//! its first sentence lies no further back than the step looks, and its sentences come in order. So it comes out the same
//! after the memory was lost and the records were given again.
use crate::sentence::Sentence;
use std::collections::HashMap;

/// The partitions, each with what waits in it.
#[derive(Default)]
pub struct Lanes {
    pub look_back: i64,
    lanes: HashMap<(u16, u32), Lane>,
}

impl Lanes {
    /// The lane of a partition. Offsets rise; one that does not is another run over the log, which begins with nothing.
    pub fn of(&mut self, topic: u16, partition: u32, offset: i64) -> &mut Lane {
        let lane = self.lanes.entry((topic, partition)).or_default();
        lane.look_back = self.look_back;
        if lane.last.is_some_and(|last| offset <= last) {
            lane.waiting.clear();
        }
        lane.last = Some(offset);
        lane
    }
}

#[derive(Default)]
pub struct Lane {
    look_back: i64,
    last: Option<i64>,
    waiting: HashMap<Vec<u8>, Message>,
}

/// The first sentences of a message.
struct Message {
    first: i64, // offset
    parts: u8,
    payload: Vec<u8>,
}

/// When more messages wait, those are looked for that wait in vain.
const SWEEP: usize = 64;

type Whole = (Vec<u8>, u8);

impl Lane {
    /// Adds a sentence, and returns the payload of the message that it ends, with the bits that fill it.
    pub fn add(&mut self, s: &Sentence, station: &[u8], offset: i64) -> Result<Option<Whole>, String> {
        if s.total == 1 {
            return Ok(Some((s.payload.to_vec(), s.fill)));
        }
        if self.waiting.len() > SWEEP {
            let oldest = offset - self.look_back;
            self.waiting.retain(|_, m| m.first >= oldest);
        }
        let key = [station, s.formatter, s.sequence, s.channel, &[s.total]].join(&0);
        if s.number == 1 {
            self.waiting.insert(key, Message { first: offset, parts: 1, payload: s.payload.to_vec() });
            return Ok(None);
        }
        let oldest = offset - self.look_back;
        let Some(mut m) = self.waiting.remove(&key).filter(|m| m.parts + 1 == s.number && m.first >= oldest) else {
            return Err(format!("sentence {} of {} without those before it within {} records", s.number, s.total, self.look_back));
        };
        m.payload.extend_from_slice(s.payload);
        if s.number == s.total {
            return Ok(Some((m.payload, s.fill)));
        }
        m.parts += 1;
        self.waiting.insert(key, m);
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(total: u8, number: u8, sequence: &'static [u8], payload: &'static [u8]) -> Sentence<'static> {
        Sentence { station: None, received: None, formatter: b"AIVDM", total, number, sequence, channel: b"A", payload, fill: 2 }
    }

    fn lanes() -> Lanes {
        Lanes { look_back: 10, ..Lanes::default() }
    }

    fn whole(text: &[u8]) -> Result<Option<Whole>, String> {
        Ok(Some((text.to_vec(), 2)))
    }

    #[test]
    fn sentences_of_stations_and_messages_do_not_mix() {
        let mut l = lanes();
        let lane = l.of(0, 0, 0);
        assert_eq!(lane.add(&part(1, 1, b"", b"x"), b"s", 0), whole(b"x"));
        assert_eq!(lane.add(&part(2, 1, b"1", b"a"), b"s", 1), Ok(None));
        assert_eq!(lane.add(&part(2, 1, b"2", b"b"), b"s", 2), Ok(None));
        assert_eq!(lane.add(&part(2, 1, b"1", b"c"), b"t", 3), Ok(None));
        assert_eq!(lane.add(&part(2, 2, b"1", b"C"), b"t", 4), whole(b"cC"));
        assert_eq!(lane.add(&part(2, 2, b"1", b"A"), b"s", 5), whole(b"aA"));
        assert_eq!(lane.add(&part(2, 2, b"2", b"B"), b"s", 6), whole(b"bB"));
        assert!(lane.add(&part(2, 2, b"1", b"A"), b"s", 7).is_err(), "a message ends once");
    }

    #[test]
    fn sentences_come_in_order_and_near_enough() {
        let mut l = lanes();
        let lane = l.of(0, 0, 0);
        assert!(lane.add(&part(3, 2, b"1", b"b"), b"s", 0).is_err());
        assert_eq!(lane.add(&part(3, 1, b"1", b"a"), b"s", 1), Ok(None));
        assert!(lane.add(&part(3, 3, b"1", b"c"), b"s", 2).is_err());
        assert_eq!(lane.add(&part(3, 1, b"1", b"a"), b"s", 3), Ok(None));
        assert_eq!(lane.add(&part(3, 2, b"1", b"b"), b"s", 4), Ok(None));
        assert_eq!(lane.add(&part(3, 3, b"1", b"c"), b"s", 13), whole(b"abc"));
        assert_eq!(lane.add(&part(2, 1, b"1", b"a"), b"s", 20), Ok(None));
        assert!(lane.add(&part(2, 2, b"1", b"b"), b"s", 31).is_err(), "too far back");
    }

    #[test]
    fn another_run_over_the_log_begins_with_nothing() {
        let mut l = lanes();
        assert_eq!(l.of(0, 0, 5).add(&part(2, 1, b"1", b"a"), b"s", 5), Ok(None));
        assert!(l.of(0, 0, 5).add(&part(2, 2, b"1", b"b"), b"s", 5).is_err());
        assert_eq!(l.of(0, 1, 5).add(&part(2, 1, b"1", b"a"), b"s", 5), Ok(None));
        assert!(l.of(0, 2, 6).add(&part(2, 2, b"1", b"b"), b"s", 6).is_err(), "partitions do not mix");
    }

    #[test]
    fn what_waits_in_vain_is_let_go() {
        let mut l = lanes();
        for i in 0..10_000 {
            let station = i.to_string();
            let _ = l.of(0, 0, i).add(&part(2, 1, b"1", b"a"), station.as_bytes(), i);
        }
        assert!(l.of(0, 0, 10_000).waiting.len() <= SWEEP + 11);
    }
}
