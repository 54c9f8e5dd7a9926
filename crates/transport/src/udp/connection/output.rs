//! Datagrams out.

use std::time::Duration;

use nyx_core::Instant;

use super::items::Taken;
use super::packet::{Ack, Frame, Packet};
use super::recovery::Content;
use super::{Connection, DATAGRAM_MIN, Stage};

/// The wait before the second knock; each further one waits half as long again.
const KNOCK: Duration = Duration::from_millis(250);

/// The longest wait between knocks.
const KNOCK_MAX: Duration = Duration::from_secs(2);

/// Bytes of a piece of the stream beside its content.
const STREAM_HEAD: usize = 16;

/// Below so little room nothing is begun: it would only be cut up.
const ROOM_MIN: usize = 64;

/// The largest item that is begun where others are in the datagram already, in bytes. It is small beside what a receiver has room for, and wastes
/// most where it is not.
const BEHIND_OTHERS_MAX: usize = 32 * 1024;

/// Notices in one datagram.
const SKIPS_MAX: usize = 16;

impl Connection {
    /// Writes the next datagram to `out`, whose former content is discarded. `false`: there is none now.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        out.clear();
        match &mut self.stage {
            Stage::Closed => return self.say_goodbye(out),
            Stage::Knocking { due, attempts } => {
                if *due > now {
                    return false;
                }
                let wait = KNOCK.mul_f64(1.5f64.powi((*attempts).min(9) as i32)).min(KNOCK_MAX);
                (*due, *attempts) = (now + wait, *attempts + 1);
                Packet::Open { id: self.id, cookie: &[], number: 0, frames: &[] }.encode(out);
                out.resize(DATAGRAM_MIN, 0);
                self.stats.sent += 1;
                return true;
            }
            Stage::Opening { .. } | Stage::Open => {}
        }
        self.paced = None;
        let may_send = self.may_send(now);
        if !may_send && self.ask_size(now, out) {
            return true;
        }
        let tells = self.receipts.due.is_some_and(|at| at <= now);
        if !(tells || may_send) {
            return false;
        }
        self.compose(now, may_send, out);
        true
    }

    /// Asks whether the path carries a larger datagram, by one, when that is due and nothing else is to be sent.
    fn ask_size(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        let Some(size) = (self.stage == Stage::Open).then(|| self.size.poll_transmit(now)).flatten() else {
            return false;
        };
        let number = self.next_number;
        self.next_number += 1;
        Packet::Data { id: self.id, number, frames: &[] }.encode(out);
        Frame::Ping.encode(out);
        out.resize(size.max(out.len()), 0);
        self.stats.sent += 1;
        self.recovery.handle_sent(now, number, out.len(), vec![Content::Size]);
        true
    }

    /// Whether there is something to send that is to be acknowledged, and room for it.
    fn may_send(&mut self, now: Instant) -> bool {
        let wants = self.probes_due > 0
            || self.receipts.relief_is_due
            || self.items_out.has_unsent()
            || self.stream_out.may_take(self.receipts.peer_backlog.1);
        if !wants {
            return false;
        }
        if self.probes_due > 0 {
            return true;
        }
        match self.window.admits(now, self.recovery.in_flight()) {
            Ok(()) => true,
            Err(until) => {
                self.paced = until;
                false
            }
        }
    }

    fn compose(&mut self, now: Instant, may_send: bool, out: &mut Vec<u8>) {
        let number = self.next_number;
        self.next_number += 1;
        let is_opening = match &self.stage {
            Stage::Opening { cookie } => {
                Packet::Open { id: self.id, cookie, number, frames: &[] }.encode(out);
                true
            }
            _ => {
                Packet::Data { id: self.id, number, frames: &[] }.encode(out);
                false
            }
        };
        let mut contents = Vec::new();
        self.put_receipts(now, out, &mut contents);
        let mut is_eliciting = false;
        if may_send {
            self.put_contents(out, &mut contents);
            if contents.is_empty() {
                Frame::Ping.encode(out);
            }
            is_eliciting = true;
        }
        if is_opening && out.len() < DATAGRAM_MIN {
            // No answer is larger than what asked for it.
            out.resize(DATAGRAM_MIN, 0);
        }
        self.stats.sent += 1;
        if is_eliciting {
            self.probes_due = self.probes_due.saturating_sub(1);
            self.window.handle_sent(now, out.len(), self.recovery.round_trip());
            self.recovery.handle_sent(now, number, out.len(), contents);
        }
    }

    /// What has arrived goes with whatever is sent.
    fn put_receipts(&mut self, now: Instant, out: &mut Vec<u8>, contents: &mut Vec<Content>) {
        let backlog = self.backlog();
        let receipts = &mut self.receipts;
        if receipts.numbers.is_empty() || (receipts.due.is_none() && !receipts.relief_is_due) {
            return;
        }
        let delay = u64::try_from(now.since(receipts.latest_at).as_micros()).unwrap_or(u64::MAX);
        Frame::Ack(Ack::of(&receipts.numbers, delay, backlog)).encode(out);
        receipts.due = None;
        receipts.told_backlog = backlog;
        if std::mem::take(&mut receipts.relief_is_due) {
            contents.push(Content::Backlog(backlog));
        }
    }

    /// Fills what is left of a datagram.
    ///
    /// A receiver that has no room for an item refuses the datagram whole. So what would make room there, a skip or what was missing, must not go with the
    /// beginning of another item each time that it is sent; nor does a large item begin behind others.
    fn put_contents(&mut self, out: &mut Vec<u8>, contents: &mut Vec<Content>) {
        let limit = self.size.size();
        let mut has_others = false;
        let mut is_again = false;
        for _ in 0..SKIPS_MAX {
            let Some((flow, below)) = self.items_out.take_skip() else { break };
            Frame::Skip { flow, below }.encode(out);
            contents.push(Content::Skip(flow, below));
            (has_others, is_again) = (true, true);
        }
        let peer_backlog = self.receipts.peer_backlog.1;
        while let Some(room) = room(limit, out)
            && let Some((offset, bytes, again)) = self.stream_out.take(room - STREAM_HEAD, peer_backlog)
        {
            Frame::Stream { offset, bytes }.encode(out);
            contents.push(Content::Stream(offset..offset + bytes.len() as u64));
            (has_others, is_again) = (true, is_again | again);
        }
        let mut last = None;
        while let Some(room) = room(limit, out)
            && let Some(taken) = self.items_out.take(room, |id, size| {
                let is_alone = last.map_or(!has_others, |last| last == id);
                is_alone || (!is_again && size <= BEHIND_OTHERS_MAX)
            })
        {
            let Taken { frame, id, range, is_again: again } = taken;
            frame.encode(out);
            contents.push(Content::Item(id, range));
            (last, is_again) = (Some(id), is_again | again);
        }
    }

    fn say_goodbye(&mut self, out: &mut Vec<u8>) -> bool {
        if !std::mem::take(&mut self.close_is_due) {
            return false;
        }
        Packet::Data { id: self.id, number: self.next_number, frames: &[] }.encode(out);
        self.next_number += 1;
        Frame::Close.encode(out);
        self.stats.sent += 1;
        true
    }
}

fn room(limit: usize, out: &[u8]) -> Option<usize> {
    limit.checked_sub(out.len()).filter(|room| *room >= ROOM_MIN)
}
