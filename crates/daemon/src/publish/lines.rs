//! Lines: state and events.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::{Bytes, BytesMut};
use nyx_client::publish::{Events, SendCause, SendError, State};
use nyx_client::{Patch, Value};
use nyx_core::clock::{Clock as _, Monotonic};
use nyx_stream::pacer::Beat;
use nyx_stream::queue::{self, Config, Policy};
use tokio::sync::oneshot;

use super::Source;
use super::input::{Input, Place, read_some};
use super::notes::Notes;
use super::tally::Tally;
use super::throttle::Throttle;
use crate::exit::Outcome;
use crate::pace::Rate;
use crate::tell;

/// Whole lines that were read together.
pub(super) struct Block {
    text: Bytes,
    /// Where they stand, for error messages.
    pub(super) place: Arc<Place>,
    first_line: u64,
}

impl queue::Item for Block {
    fn bytes(&self) -> usize {
        self.text.len()
    }
}

/// Lines from a thread of its own, since reading a file or a pipe blocks.
pub(super) struct Lines {
    pub(super) blocks: queue::Receiver<Block>,
    /// How reading ended. Known when there are no more blocks.
    pub(super) ended: oneshot::Receiver<Outcome>,
    pub(super) turns: Turns,
    pub(super) notes: Notes,
}

impl Lines {
    pub(super) fn read(source: Source, rate: Option<Rate>, throttle: Throttle) -> Outcome<Self> {
        let (sender, blocks) = queue::channel(Config::new(BLOCKS_WAITING, BLOCK_MAX, Policy::Block))?;
        let (end, ended) = oneshot::channel();
        let turns = Turns { pace: rate.map(Rate::beat), throttle, clock: Monotonic::new() };
        std::thread::spawn(move || {
            let outcome = source.each(|place, input| {
                read_blocks(place, input, |block| sender.blocking_send(block, Duration::MAX).is_ok())
            });
            // Nobody listens when the command is ending.
            let _ = end.send(outcome);
        });
        Ok(Self { blocks, ended, turns, notes: Notes::new()? })
    }

    /// Publishes each line as an event.
    pub(super) async fn publish_events(self, events: &Events, json: bool, tally: &Tally) -> Outcome {
        let Self { blocks, ended, mut turns, mut notes } = self;
        while let Ok(block) = blocks.recv().await {
            let (mut lines, current) = (block.lines(), AtomicU64::new(0));
            loop {
                let mut good = lines.by_ref().filter_map(|(number, line)| {
                    let checked = if json { check_json(line) } else { text(line) };
                    current.store(number, Ordering::Relaxed);
                    checked.map_err(|why| block.reject(number, &why, &mut notes, tally)).ok()
                });
                let sent = if turns.are_free() {
                    events.send_batch(good.inspect(|line| tally.send(line.len()))).await
                } else if let Some(line) = good.next() {
                    turns.wait(line.len()).await;
                    tally.send(line.len());
                    events.send_batch([line]).await
                } else {
                    break;
                };
                match sent {
                    Ok(_) if turns.are_free() => break,
                    Ok(_) => {}
                    // The last that was taken.
                    Err(SendError { payload, cause }) => {
                        tally.unsend(payload.len());
                        block.reject_unsendable(current.load(Ordering::Relaxed), cause, &mut notes, tally)?;
                    }
                }
            }
        }
        ended.await?
    }

    /// Makes each line the document, or changes it by each line.
    pub(super) async fn publish_state(self, state: &State, patch: bool, tally: &Tally) -> Outcome {
        let Self { blocks, ended, mut turns, mut notes } = self;
        while let Ok(block) = blocks.recv().await {
            for (number, line) in block.lines().filter(|(_, line)| !line.trim_ascii().is_empty()) {
                let value = match value(line) {
                    Ok(value) => value,
                    Err(why) => {
                        block.reject(number, &why, &mut notes, tally);
                        continue;
                    }
                };
                turns.wait(line.len()).await;
                let sent = if patch {
                    state.patch(Patch::merge(value)).await.map_err(|error| error.cause)
                } else {
                    state.set(value).await.map_err(|error| error.cause)
                };
                match sent {
                    Ok(()) => tally.send(line.len()),
                    Err(cause) => block.reject_unsendable(number, cause, &mut notes, tally)?,
                }
            }
        }
        ended.await?
    }
}

/// When each line may go.
pub(super) struct Turns {
    pace: Option<Beat>,
    throttle: Throttle,
    clock: Monotonic,
}

impl Turns {
    /// Whether all may go at once.
    pub(super) const fn are_free(&self) -> bool {
        self.pace.is_none() && !self.throttle.is_on()
    }

    pub(super) async fn wait(&mut self, bytes: usize) {
        if let Some(beat) = &mut self.pace {
            let now = self.clock.now();
            let wait = beat.next(now) - now;
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
        }
        self.throttle.let_go(bytes).await;
    }
}

impl Block {
    /// The lines with their numbers, without what ends them.
    pub(super) fn lines(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let text = self.text.strip_suffix(b"\n").unwrap_or(&self.text);
        let lines = text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        (self.first_line..).zip(lines)
    }

    pub(super) fn reject(&self, line: u64, why: &str, notes: &mut Notes, tally: &Tally) {
        tally.reject(1);
        let place = &self.place;
        match notes.next() {
            Some(0) => tell::note(format_args!("{place}, line {line}: {why}; not published")),
            Some(untold) => tell::note(format_args!(
                "{place}, line {line}: {why}; not published, nor {untold} other bad lines before it"
            )),
            None => {}
        }
    }

    /// Rejects a line that is too long for the hub. What else keeps it from being sent is no fault of the line, and ends all.
    fn reject_unsendable(
        &self,
        line: u64,
        cause: SendCause,
        notes: &mut Notes,
        tally: &Tally,
    ) -> Result<(), SendCause> {
        match cause {
            SendCause::TooLarge { .. } => {
                self.reject(line, &cause.to_string(), notes, tally);
                Ok(())
            }
            cause => Err(cause),
        }
    }
}

/// Reads whole lines until the end, or until `take` wants no more.
fn read_blocks(
    place: &Place,
    mut input: Input,
    mut take: impl FnMut(Block) -> bool,
) -> Outcome<ControlFlow<(), bool>> {
    let place = Arc::new(place.clone());
    let mut first_line = 1;
    let mut text = BytesMut::new();
    let mut piece = vec![0; PIECE];
    let mut has_some = false;
    loop {
        let read = read_some(&mut input, &mut piece).with_context(|| format!("can't read {place}"))?;
        text.extend_from_slice(&piece[..read]);
        let whole = match piece[..read].iter().rposition(|byte| *byte == b'\n') {
            Some(newline) => text.len() - read + newline + 1,
            None if read == 0 => text.len(),
            None if text.len() > LINE_MAX => {
                return Err(anyhow!(
                    "{place}, line {first_line}: longer than {LINE_MAX} bytes: is this text?"
                )
                .into());
            }
            None => 0,
        };
        if whole > 0 {
            let block = Block { text: text.split_to(whole).freeze(), place: place.clone(), first_line };
            first_line += block.text.iter().filter(|byte| **byte == b'\n').count() as u64;
            if !take(block) {
                return Ok(ControlFlow::Break(()));
            }
            has_some = true;
        }
        if read == 0 {
            return Ok(ControlFlow::Continue(has_some));
        }
    }
}

pub(super) fn text(line: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(line)
        .map_err(|error| format!("no UTF-8 text from column {} on", error.valid_up_to() + 1))
}

pub(super) fn check_json(line: &[u8]) -> Result<&str, String> {
    let text = text(line)?;
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => Ok(text),
        Err(error) => Err(json_error(&error)),
    }
}

fn value(line: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(line).map_err(|error| json_error(&error))
}

/// What is wrong, with the column alone: serde_json sees one line only.
fn json_error(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    format!("column {}: bad JSON: {}", error.column(), text.strip_suffix(&place).unwrap_or(&text))
}

/// Bytes read at a time: what a pipe holds.
const PIECE: usize = 64 * 1024;

/// Blocks that may wait for the connection; more stay in the pipe.
const BLOCKS_WAITING: usize = 4;

/// The most that a block has, and that all of them have together: the longest line, and what was read with its end.
const BLOCK_MAX: usize = LINE_MAX + PIECE;

/// What a hub takes in one message, by default.
const LINE_MAX: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &'static [u8]) -> Block {
        Block { text: text.into(), place: Arc::new(Place::Stdin), first_line: 7 }
    }

    #[test]
    fn lines_keep_their_numbers_and_lose_their_ends() {
        let lines = |text| block(text).lines().map(|(n, line)| (n, line.to_vec())).collect::<Vec<_>>();
        assert_eq!(lines(b"a\r\n\nb\n"), [(7, b"a".to_vec()), (8, vec![]), (9, b"b".to_vec())]);
        assert_eq!(lines(b"a\nb"), lines(b"a\nb\n"));
    }

    #[test]
    fn bad_json_names_the_column() {
        assert_eq!(value(br#"{"a": 1,}"#).unwrap_err(), "column 9: bad JSON: trailing comma");
        assert_eq!(value(b"[1] 2").unwrap_err(), "column 5: bad JSON: trailing characters");
        assert!(check_json(b"\xff").unwrap_err().contains("column 1"));
        assert_eq!(check_json(b" [1e5] "), Ok(" [1e5] "));
    }

    #[test]
    fn numbers_are_kept_as_exactly_as_a_document_can() {
        let cases = [
            ("9223372036854775807", Value::I64(i64::MAX)),
            ("-9223372036854775808", Value::I64(i64::MIN)),
            ("9223372036854775808", Value::F64(9_223_372_036_854_775_808.0)),
            ("123456789012345678901234567890", Value::F64(1.2345678901234568e29)),
            ("1.0", Value::F64(1.0)),
            ("-0.0", Value::F64(-0.0)),
        ];
        for (text, expected) in cases {
            assert_eq!(value(text.as_bytes()).unwrap(), expected, "{text}");
        }
        assert!(value(b"1e999").is_err());
    }

    #[test]
    fn json_that_nests_endlessly_is_refused() {
        let deep = "[".repeat(100_000);
        assert!(value(deep.as_bytes()).unwrap_err().contains("recursion limit"));
    }
}
