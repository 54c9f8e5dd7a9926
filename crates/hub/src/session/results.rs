//! What became of each message on an alias whose publisher wants to know.
//!
//! A run is one outcome, and outcomes that follow each other become one: so what travels back is some bytes for each read, however many
//! messages that held.

use bytes::BytesMut;
use nyx_protocol::control::{self, ErrorCode, Outcome};

/// Outcomes that may wait before no more input is taken. Only who mixes what is refused with what is not, or aliases, message by
/// message, comes near it.
const OUTCOMES_MAX: usize = 4096;

/// Bytes of outcomes in one control message, which may have 64 KiB.
const MESSAGE_BYTES: usize = 32 * 1024;

/// The longest reason of a refusal.
const REASON_MAX: usize = 512;

/// Bytes of an outcome beside its reason, encoded, at most.
const OUTCOME_BYTES: usize = 32;

/// What is to be told, in the order in which it happened.
#[derive(Default)]
pub(super) struct Results {
    messages: Vec<control::Results>,
    /// Outcomes in all of them.
    count: usize,
    /// Bytes of the last of them, about.
    bytes: usize,
}

impl Results {
    /// Whether enough waits.
    pub(super) const fn is_full(&self) -> bool {
        self.count >= OUTCOMES_MAX
    }

    /// `count` messages on `alias` were accepted, the first of them as number `sequence` of its topic.
    pub(super) fn accept(&mut self, alias: u32, count: u32, sequence: u64) {
        let count = u64::from(count);
        self.add(alias, Outcome { count, sequence: Some(sequence), ..Outcome::default() }, |last| {
            last.sequence.is_some_and(|first| first + last.count == sequence)
        });
    }

    /// One message was accepted, and its state topic is now at `version`.
    pub(super) fn accept_patch(&mut self, alias: u32, version: u64) {
        let outcome = Outcome { count: 1, sequence: Some(version), ..Outcome::default() };
        self.add(alias, outcome, |last| last.sequence == Some(version));
    }

    /// `count` messages on `alias` were refused.
    pub(super) fn refuse(&mut self, alias: u32, count: u32, code: ErrorCode, reason: &str) {
        let reason = &reason[..reason.floor_char_boundary(REASON_MAX)];
        let outcome =
            Outcome { count: count.into(), sequence: None, code: code.into(), message: reason.to_owned() };
        self.add(alias, outcome, |last| {
            last.sequence.is_none() && last.code() == code && last.message == reason
        });
    }

    fn add(&mut self, alias: u32, outcome: Outcome, continues: impl FnOnce(&Outcome) -> bool) {
        let fits = self.bytes < MESSAGE_BYTES;
        let current = self.messages.last_mut().filter(|message| message.alias == alias && fits);
        let Some(message) = current else {
            self.bytes = OUTCOME_BYTES + outcome.message.len();
            self.count += 1;
            self.messages.push(control::Results { alias, outcomes: vec![outcome] });
            return;
        };
        match message.outcomes.last_mut() {
            Some(last) if continues(last) => last.count += outcome.count,
            _ => {
                self.bytes += OUTCOME_BYTES + outcome.message.len();
                self.count += 1;
                message.outcomes.push(outcome);
            }
        }
    }

    /// Writes all of it.
    pub(super) fn write(&mut self, out: &mut BytesMut) {
        self.count = 0;
        for message in self.messages.drain(..) {
            control::put(out, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use nyx_protocol::control::Body;
    use nyx_protocol::wire::{self, Scan};

    use super::*;

    fn written(results: &mut Results) -> Vec<control::Results> {
        let (mut out, mut found) = (BytesMut::new(), Vec::new());
        results.write(&mut out);
        while let Ok(Scan::Control { len }) = wire::scan(&out, 0) {
            let Ok(Some(Body::Results(message))) = control::parse(&out.split_to(len)) else {
                panic!("results")
            };
            found.push(message);
        }
        assert!(out.is_empty());
        found
    }

    #[test]
    fn what_follows_without_a_hole_is_one_outcome() {
        let mut results = Results::default();
        results.accept(1, 10, 5);
        results.accept(1, 2, 15);
        results.accept(1, 1, 18);
        results.refuse(1, 3, ErrorCode::Limit, "no");
        results.refuse(1, 4, ErrorCode::Limit, "no");
        results.refuse(1, 1, ErrorCode::Limit, "never");
        let told = written(&mut results);
        let counts: Vec<_> =
            told[0].outcomes.iter().map(|outcome| (outcome.count, outcome.sequence)).collect();
        assert_eq!((told.len(), counts), (1, vec![(12, Some(5)), (1, Some(18)), (7, None), (1, None)]));
        assert_eq!(written(&mut results), []);
    }

    #[test]
    fn each_alias_is_told_in_its_order_and_no_message_is_too_long() {
        let mut results = Results::default();
        let reason = "r".repeat(10_000);
        for n in 0..1_000 {
            results.refuse(n / 500, 1, ErrorCode::Limit, &format!("{n}{reason}"));
        }
        let told = written(&mut results);
        assert!(told.len() > 10);
        let order = told.iter().flat_map(|message| {
            message.outcomes.iter().map(|outcome| (message.alias, outcome.message[..3].to_owned()))
        });
        let order: Vec<_> = order.collect();
        assert_eq!((order.len(), &order[999]), (1_000, &(1, "999".to_owned())));
        assert!(order.is_sorted_by_key(|(alias, _)| *alias));
    }

    #[test]
    fn versions_of_a_document_are_told_as_they_are() {
        let mut results = Results::default();
        [7, 7, 8].into_iter().for_each(|version| results.accept_patch(1, version));
        let told = &written(&mut results)[0].outcomes;
        assert_eq!(
            told.iter().map(|o| (o.count, o.sequence)).collect::<Vec<_>>(),
            [(2, Some(7)), (1, Some(8))]
        );
    }
}
