//! Confirmation: a `Pong` says that everything before its `Ping` has been taken in.

use std::collections::VecDeque;

use nyx_protocol::control;
use tokio::sync::oneshot;

use crate::FlushError;

/// Pings that have not been answered, oldest first, and what their answers confirm.
#[derive(Debug, Default)]
pub(crate) struct Pings {
    next_nonce: u64,
    waiting: VecDeque<Ping>,
    /// Messages, of all that were ever appended, that the hub has taken in or that were lost with a connection.
    confirmed: u64,
}

#[derive(Debug)]
struct Ping {
    nonce: u64,
    /// Messages that had been appended before it.
    messages: u64,
    /// Whether it went out, or is to when there is a connection.
    is_sent: bool,
    flush: Option<oneshot::Sender<Result<(), FlushError>>>,
}

impl Pings {
    /// A new ping, behind `messages` messages.
    pub(crate) fn add(
        &mut self,
        messages: u64,
        is_sent: bool,
        flush: Option<oneshot::Sender<Result<(), FlushError>>>,
    ) -> control::Ping {
        let nonce = self.next_nonce;
        self.next_nonce += 1;
        self.waiting.push_back(Ping { nonce, messages, is_sent, flush });
        control::Ping { nonce }
    }

    /// Messages that the hub is known to have taken in, or that are given up.
    pub(crate) const fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// Whether messages after those that pings are under way for would need another.
    pub(crate) fn covers(&self, messages: u64) -> bool {
        messages <= self.waiting.back().map_or(self.confirmed, |ping| ping.messages)
    }

    /// Pongs come in the order of the pings.
    pub(crate) fn pong(&mut self, nonce: u64) {
        while self.waiting.front().is_some_and(|ping| ping.nonce <= nonce) {
            let Some(ping) = self.waiting.pop_front() else { return };
            self.confirmed = self.confirmed.max(ping.messages);
            if let Some(flush) = ping.flush {
                let _ = flush.send(Ok(()));
            }
        }
    }

    /// Pings that wait for a connection: now there is one.
    pub(crate) fn connect(&mut self) -> Vec<control::Ping> {
        let unsent = self.waiting.iter_mut().filter(|ping| !ping.is_sent);
        unsent
            .map(|ping| {
                ping.is_sent = true;
                control::Ping { nonce: ping.nonce }
            })
            .collect()
    }

    /// Messages up to `messages` are beyond confirmation.
    pub(crate) const fn give_up(&mut self, messages: u64) {
        self.confirmed = messages;
    }

    /// The connection is lost: what went out on it stays unanswered.
    pub(crate) fn disconnect(&mut self, unconfirmed: u64) {
        for ping in self.waiting.drain(..) {
            if let Some(flush) = ping.flush {
                let _ = flush.send(Err(FlushError::Interrupted { unconfirmed }));
            }
        }
    }

    /// Nothing is answered any more.
    pub(crate) fn close(&mut self) {
        for ping in self.waiting.drain(..) {
            if let Some(flush) = ping.flush {
                let _ = flush.send(Err(FlushError::Closed));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pong_confirms_what_was_appended_before_its_ping() {
        let mut pings = Pings::default();
        let first = pings.add(10, true, None);
        let second = pings.add(20, true, None);
        assert!(pings.covers(20) && !pings.covers(21));
        pings.pong(first.nonce);
        assert_eq!(pings.confirmed(), 10);
        pings.pong(second.nonce);
        assert_eq!(pings.confirmed(), 20);
        pings.pong(999);
        assert_eq!(pings.confirmed(), 20);
    }

    #[test]
    fn a_flush_waits_for_a_connection_and_is_told_when_that_is_lost() {
        let mut pings = Pings::default();
        let (flush, mut flushed) = oneshot::channel();
        let ping = pings.add(1, false, Some(flush));
        assert_eq!(pings.connect(), [ping]);
        assert_eq!(pings.connect(), []);
        pings.disconnect(1);
        assert_eq!(flushed.try_recv(), Ok(Err(FlushError::Interrupted { unconfirmed: 1 })));
    }
}
