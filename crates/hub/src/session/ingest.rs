//! Bytes in.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use nyx_core::Instant;
use nyx_protocol::compress::ParseError;
use nyx_protocol::control::{self, ErrorCode};
use nyx_protocol::pack::{self, UnpackError};
use nyx_protocol::requests::ROUND;
use nyx_protocol::state::Patch;
use nyx_protocol::trail::Trail;
use nyx_protocol::wire::{self, DecodeError, Header, Kind, Messages, Run, Scan, codec};

use super::{Closed, Ingest, Phase, Session, Target};
use crate::compression::is_block;
use crate::topic::{Author, Topic, Untaken};

/// Output that may wait before no more input is taken: a peer that asks and does not read the answers waits for itself.
const OUTBOX_MAX: usize = 64 * 1024;

/// Topics that are compared with patterns in one turn: a few bytes may ask for as many comparisons as there are topics, and others wait meanwhile.
const LOOKS_MAX: usize = 10_000;

impl Session {
    /// Takes whole messages off the front of `buffer`. Data of size is split off without a copy.
    ///
    /// # Errors
    /// The peer erred in a way after which its stream can't be trusted, or the session is over.
    pub fn handle_input(&mut self, now: Instant, buffer: &mut BytesMut) -> Result<Ingest, Closed> {
        if self.phase == Phase::Ended {
            return Err(Closed);
        }
        self.check_standing(now)?;
        if buffer.len() != self.left {
            self.heard = now;
        }
        let outcome = self.take_messages(now, buffer);
        self.route_gathered(now);
        self.left = buffer.len();
        outcome
    }

    fn take_messages(&mut self, now: Instant, buffer: &mut BytesMut) -> Result<Ingest, Closed> {
        loop {
            let is_full = self.outbox.len() > OUTBOX_MAX || self.results.is_full();
            if is_full || self.owes_until.is_some_and(|until| until > now) {
                return Ok(Ingest::Paused);
            }
            self.allocation.observe(buffer);
            self.check_greeting(buffer)?;
            match wire::scan(buffer, self.hub.inner.config.message_bytes) {
                Ok(Scan::Incomplete { needed }) => {
                    self.paused_until = None;
                    return Ok(Ingest::Needs(needed));
                }
                Ok(Scan::Control { .. }) if self.calls.gathered() >= ROUND => {
                    // Whom they concern is woken first.
                    self.route_gathered(now);
                    self.shared.wake();
                    return Ok(Ingest::Paused);
                }
                Ok(Scan::Control { .. }) if self.looked > LOOKS_MAX => {
                    self.looked = 0;
                    self.shared.wake();
                    return Ok(Ingest::Paused);
                }
                Ok(Scan::Control { len }) => self.take_control(now, buffer.split_to(len).freeze())?,
                Ok(Scan::Run(run)) => {
                    if self.hub.is_draining() {
                        // The acknowledgements that stand behind it will not be read.
                        self.acknowledges = false;
                        self.set_mode();
                        return Ok(Ingest::Paused);
                    }
                    let run = match self.budget.fit(now, buffer, run) {
                        Ok(part) => part,
                        Err(until) => {
                            self.owe(now, until);
                            return Ok(Ingest::Paused);
                        }
                    };
                    if let Err(until) = self.take_run(now, buffer, run) {
                        self.paused_until = Some(until);
                        return Ok(Ingest::Paused);
                    }
                    self.budget.charge(now, run);
                }
                Err(error) => {
                    // What came before it counts.
                    self.route_gathered(now);
                    let code = match error {
                        DecodeError::TooLarge { .. } => ErrorCode::TooLarge,
                        _ => ErrorCode::Malformed,
                    };
                    return Err(self.fail(code, error));
                }
            }
        }
    }

    /// Of who has not said hello, data is refused by its header: to wait for what that promises would be to keep it.
    fn check_greeting(&mut self, buffer: &[u8]) -> Result<(), Closed> {
        let is_data = || {
            let header = buffer.first_chunk().and_then(|bytes| Header::parse(bytes).ok());
            header.is_some_and(|header| header.kind.is_some())
        };
        if matches!(self.phase, Phase::Greeting { .. }) && is_data() {
            return Err(self.fail(ErrorCode::Unexpected, "data came before Hello: send Hello first"));
        }
        Ok(())
    }

    fn take_control(&mut self, now: Instant, message: Bytes) -> Result<(), Closed> {
        match control::parse_shared(message) {
            Ok(Some(body)) => self.handle_control(now, body),
            Ok(None) => Ok(()),
            Err(error) => {
                self.route_gathered(now);
                Err(self.fail(ErrorCode::Malformed, error))
            }
        }
    }

    /// Publishes a run, or answers why not. `Err`: it has to wait.
    fn take_run(&mut self, now: Instant, buffer: &mut BytesMut, run: Run) -> Result<(), Instant> {
        match self.aliases.get(run.topic as usize).and_then(Option::as_ref) {
            Some(alias) => match &alias.target {
                Target::Topic(topic) if topic.spec.kind == run.kind => {
                    if run.kind == Kind::State {
                        let topic = Arc::clone(topic);
                        let trail = alias.trail.clone();
                        self.take_patch(&topic, buffer.split_to(run.len), run.topic, &trail);
                        return Ok(());
                    }
                    match check_block(buffer, run, self.hub.inner.config.message_bytes) {
                        Ok(content) => {
                            let author = Author { session: Some(&self.shared), trail: &alias.trail };
                            let pinned = self.allocation.bytes;
                            match topic.publish_run(now, buffer, run, pinned, author, content) {
                                Ok(first) if alias.results => {
                                    self.results.accept(run.topic, run.count, first)
                                }
                                Ok(_) => {}
                                Err(Untaken::Wait(until)) => return Err(until),
                                // No topic gives way while it has a publisher.
                                Err(Untaken::Gone) => {
                                    debug_assert!(false, "a topic that is published is gone");
                                    buffer.advance(run.len);
                                }
                            }
                            return Ok(());
                        }
                        Err(error) => self.refuse_block(run, &error),
                    }
                }
                Target::Topic(topic) => {
                    let text =
                        format!("topic `{}` carries {}, not {}", topic.name, topic.spec.kind, run.kind);
                    self.refuse_run(run, ErrorCode::KindMismatch, text);
                }
                // It was told when it advertised.
                Target::Refused(code, text) => {
                    self.hub.inner.refusals.count_many(*code, run.count.into());
                    if alias.results {
                        self.results.refuse(run.topic, run.count, *code, text);
                    }
                }
            },
            None => {
                self.refuse_alias(run.topic, ErrorCode::UnknownAlias, "advertise the alias first".to_owned())
            }
        }
        buffer.advance(run.len);
        Ok(())
    }

    /// The peer has published what it may. It is not read from meanwhile, so it is not its silence that it is not heard.
    fn owe(&mut self, now: Instant, until: Instant) {
        self.owes_until = Some(until);
        self.heard = self.heard.max(until);
        self.show_life(now);
        self.hub.inner.slowed.inc();
    }

    fn take_patch(&mut self, topic: &Arc<Topic>, message: BytesMut, alias: u32, trail: &Trail) {
        let run = Run { kind: Kind::State, topic: alias, len: message.len(), count: 1 };
        let message = match topic.unpacked(message.freeze()) {
            Ok(message) => message,
            Err(error) => return self.refuse_block(run, &error),
        };
        let Some(message) = Messages::new(&message).next() else { return };
        if message.header.codec != codec::STATE_PATCH {
            let text = format!("state is published as patches, codec 1, not codec {}", message.header.codec);
            return self.refuse_run(run, ErrorCode::BadDocument, text);
        }
        let outcome = Patch::decode(message.payload, &self.hub.inner.config.document)
            .map_err(|error| error.to_string())
            .and_then(|patch| topic.publish_patch(&patch, run.len, trail).map_err(|error| error.to_string()));
        match outcome {
            Ok((_, version)) if self.wants_results(alias) => self.results.accept_patch(alias, version),
            Ok(_) => {}
            Err(text) => self.refuse_run(run, ErrorCode::BadDocument, text),
        }
    }

    fn refuse_block(&mut self, run: Run, error: &UnpackError) {
        let code = match error {
            UnpackError::Block(ParseError::TooLarge { .. }) => ErrorCode::TooLarge,
            _ => ErrorCode::Malformed,
        };
        self.refuse_run(run, code, error.to_string());
    }

    /// Tells the publisher that these messages were refused: by an error, or among its results.
    fn refuse_run(&mut self, run: Run, code: ErrorCode, text: String) {
        if self.wants_results(run.topic) {
            self.hub.inner.refusals.count_many(code, run.count.into());
            self.results.refuse(run.topic, run.count, code, &text);
        } else {
            self.refuse_alias(run.topic, code, text);
        }
    }

    fn wants_results(&self, alias: u32) -> bool {
        self.aliases.get(alias as usize).and_then(Option::as_ref).is_some_and(|alias| alias.results)
    }

    pub(super) fn refuse_alias(&mut self, alias: u32, code: ErrorCode, message: String) {
        self.refuse(control::Error { code: code.into(), message, alias: Some(alias), ..Default::default() });
    }
}

/// What the run at the front of `buffer` holds, if it is a block; and that it is one that can be relayed.
fn check_block(buffer: &[u8], run: Run, limit: usize) -> Result<Option<usize>, UnpackError> {
    if !is_block(buffer) {
        return Ok(None);
    }
    let message = Messages::new(&buffer[..run.len.min(buffer.len())]).next();
    message.map(|message| pack::check(&message, limit)).transpose()
}
