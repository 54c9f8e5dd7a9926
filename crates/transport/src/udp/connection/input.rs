//! Datagrams in.

use std::time::Duration;

use bytes::Bytes;
use nyx_core::Instant;

use super::assembly::{Promised, Unfit};
use super::packet::{Ack, Frame, Frames, Packet, PacketError};
use super::recovery::{Content, Outcome, Recovery};
use super::{Connection, Event, Reason, Stage};
use crate::udp::arrivals::Arrival;

/// How long an acknowledgement may wait for something that it can go with: that the consumer has consumed, above all. RFC 9000 allows 25 ms;
/// here deltas hang on it.
const ACK_DELAY: Duration = Duration::from_millis(2);

/// Ranges of numbers that are remembered. Those below have been told often.
const RANGES_MAX: usize = 64;

/// The longest cookie that a client echoes.
const COOKIE_MAX: usize = 64;

impl Connection {
    /// Takes in a datagram from the other end's address.
    ///
    /// # Errors
    /// It can't be read, or says what can't be. It changed nothing, and was counted: anybody may have sent it.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) -> Result<(), PacketError> {
        let result = self.take_in(now, datagram);
        if result.is_err() {
            self.stats.malformed += 1;
        }
        result
    }

    fn take_in(&mut self, now: Instant, datagram: &[u8]) -> Result<(), PacketError> {
        let packet = Packet::decode(datagram)?;
        let (Packet::Open { id, .. }
        | Packet::Cookie { id, .. }
        | Packet::Data { id, .. }
        | Packet::Gone { id }) = packet;
        if id != self.id {
            self.stats.foreign += 1;
            return Ok(());
        }
        match (packet, &self.stage) {
            (_, Stage::Closed) => Ok(()),
            (Packet::Cookie { cookie, .. }, Stage::Knocking { .. } | Stage::Opening { .. }) => {
                if cookie.len() <= COOKIE_MAX {
                    self.stage = Stage::Opening { cookie: Bytes::copy_from_slice(cookie) };
                    // It is echoed though there may be nothing else to say.
                    self.probes_due = self.probes_due.max(1);
                }
                Ok(())
            }
            (Packet::Gone { .. }, Stage::Open) => {
                self.end(Reason::Gone);
                Ok(())
            }
            (Packet::Data { number, frames, .. }, _) | (Packet::Open { number, frames, .. }, Stage::Open) => {
                self.handle_packet(now, number, frames)
            }
            _ => Ok(()),
        }
    }

    fn handle_packet(&mut self, now: Instant, number: u64, frames: &[u8]) -> Result<(), PacketError> {
        // All of it is looked at before any of it counts.
        let mut has_room = true;
        let mut is_eliciting = false;
        let mut promised = Promised::default();
        for frame in Frames::new(frames) {
            let frame = frame?;
            is_eliciting |= frame.is_eliciting();
            match frame {
                Frame::Ack(ack) if !Recovery::is_possible(&ack, self.next_number) => {
                    return Err(PacketError::Ack);
                }
                Frame::Stream { offset, bytes } => {
                    has_room &= self.stream_in.admits(offset, bytes.len()).is_ok()
                }
                Frame::Item(piece) => match self.items_in.admits(&piece, &mut promised) {
                    Ok(()) => {}
                    Err(Unfit::NoRoom) => has_room = false,
                    Err(Unfit::Contradiction) => return Err(PacketError::Piece),
                },
                _ => {}
            }
        }
        if !has_room {
            self.stats.refused += 1;
            return Ok(());
        }
        let arrival = self.arrivals.handle(number as u32);
        if let Arrival::Duplicate | Arrival::TooOld = arrival {
            self.stats.repeated += 1;
            // That it has arrived may have been lost on the way back.
            if arrival == Arrival::Duplicate && is_eliciting {
                self.receipts.due = Some(now);
            }
            return Ok(());
        }
        self.stats.received += 1;
        self.heard = now;
        if matches!(self.stage, Stage::Knocking { .. } | Stage::Opening { .. }) {
            self.stage = Stage::Open;
        }
        self.note(now, number, is_eliciting, arrival);
        for frame in Frames::new(frames) {
            self.handle_frame(now, number, frame?);
        }
        Ok(())
    }

    fn note(&mut self, now: Instant, number: u64, is_eliciting: bool, arrival: Arrival) {
        let receipts = &mut self.receipts;
        receipts.numbers.insert(number..number + 1);
        if receipts.numbers.len() > RANGES_MAX {
            receipts.numbers.pop_first();
        }
        if matches!(arrival, Arrival::Next { .. }) {
            receipts.latest_at = now;
        }
        if is_eliciting {
            // What is missing is told at once, so that it comes again soon (RFC 9000, section 13.2.1).
            let is_next = arrival == Arrival::Next { skipped: 0 };
            let due = if is_next { now + ACK_DELAY } else { now };
            receipts.due = Some(receipts.due.map_or(due, |at| at.min(due)));
        }
    }

    fn handle_frame(&mut self, now: Instant, number: u64, frame: Frame<'_>) {
        match frame {
            Frame::Padding | Frame::Ping => {}
            Frame::Ack(ack) => self.handle_ack(now, number, &ack),
            Frame::Stream { offset, bytes } => self.stream_in.handle(offset, bytes),
            Frame::Item(piece) => self.items_in.handle(&piece),
            Frame::Skip { flow, below } => self.items_in.handle_skip(flow, below),
            Frame::Close => self.end(Reason::There),
        }
    }

    fn handle_ack(&mut self, now: Instant, number: u64, ack: &Ack) {
        if number >= self.receipts.peer_backlog.0 {
            self.receipts.peer_backlog = (number, ack.backlog);
        }
        let outcome = self.recovery.handle_ack(now, ack);
        self.stats.spurious += outcome.spurious;
        self.apply(now, outcome);
    }

    /// Tells stream and items what became of what was sent.
    pub(super) fn apply(&mut self, now: Instant, outcome: Outcome) {
        self.stats.lost += outcome.lost_datagrams;
        outcome.lost_sizes.iter().for_each(|size| self.size.handle_lost(now, *size));
        outcome.arrived_sizes.iter().for_each(|size| self.size.handle_acked(now, *size));
        self.window.handle(now, &outcome, self.next_number);
        for content in outcome.arrived {
            match content {
                Content::Stream(range) => self.stream_out.handle_arrived(range),
                Content::Item(id, range) => self.items_out.handle_arrived(id, range),
                Content::Skip(..) | Content::Backlog(_) | Content::Size => {}
            }
        }
        self.send_again(outcome.lost);
    }

    pub(super) fn send_again(&mut self, contents: Vec<Content>) {
        for content in contents {
            match content {
                Content::Stream(range) => self.stream_out.handle_lost(range),
                Content::Item(id, range) => self.items_out.handle_lost(id, range),
                Content::Skip(flow, below) => self.items_out.handle_skip_lost(flow, below),
                Content::Backlog(told) => self.receipts.relief_is_due |= told == self.receipts.told_backlog,
                Content::Size => {}
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called. `None`: not any more.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Closed => None,
            Stage::Knocking { due, .. } => Some((*due).min(self.heard + self.config.silence)),
            Stage::Opening { .. } | Stage::Open => {
                let silence = Some(self.heard + self.config.silence);
                let recovery = [self.recovery.loss_time(), self.recovery.probe_time()];
                let size = (self.stage == Stage::Open).then(|| self.size.poll_timeout());
                let mine = [self.receipts.due, self.paced, self.items_out.next_deadline(), silence, size];
                recovery.into_iter().chain(mine).flatten().min()
            }
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.is_closed() {
            return;
        }
        // Who speaks and acknowledges nothing would have all that it is asked by kept for it.
        let unanswered = self.recovery.unanswered_since().unwrap_or(now);
        if self.heard.min(unanswered) + self.config.silence <= now {
            return self.end(Reason::Silent);
        }
        if self.recovery.loss_time().is_some_and(|at| at <= now) {
            let outcome = self.recovery.handle_timeout(now);
            self.apply(now, outcome);
        } else if self.recovery.probe_time().is_some_and(|at| at <= now) {
            let again = self.recovery.probe(now);
            self.send_again(again);
            self.probes_due = PROBES;
            if self.recovery.probes() > PROBES_PATIENT {
                self.window.restart();
            }
        }
        self.items_out.expire(now);
        self.size.handle_timeout(now);
    }

    /// Whether it has come to its end, for whatever reason, and that was told.
    pub fn is_drained(&self) -> bool {
        self.is_closed()
            && !self.close_is_due
            && !self.events.iter().any(|event| matches!(event, Event::Closed(_)))
    }
}

/// Datagrams that ask for a sign of life at a time (RFC 9002, section 6.2.4).
const PROBES: u32 = 2;

/// Questions in a row that may go unanswered before the path counts as another one.
const PROBES_PATIENT: u32 = 3;
