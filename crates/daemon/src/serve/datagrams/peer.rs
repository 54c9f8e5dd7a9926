//! One peer over datagrams: its connection, and its session with the hub.

use std::net::IpAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use nyx_core::Instant;
use nyx_hub::{Closed, Fate, Ingest, Parcel, Session};
use nyx_transport::udp::connection::{self, Connection, Event, Item, Order};

/// Turns of taking and handing out before others get theirs.
const ROUNDS: usize = 4;

/// How long what was said last may take to arrive once a session is over.
const LINGER: Duration = Duration::from_secs(2);

/// Bytes of the stream that are not looked at while the hub takes no more: what comes beyond waits in the connection, which takes no more
/// than a window. A message that is not whole may be longer.
const INPUT_MAX: usize = 64 * 1024;

/// Bytes of items that are kept of a peer until it has said who it is: those that came ahead of its greeting. A piece of a byte can take a page of
/// memory, so what others may take would be a lot for who has not shown a token.
const UNKNOWN_BYTES: usize = 64 * 1024;

/// A connection and a session, and what is on its way between them.
pub(super) struct Peer {
    pub(super) connection: Connection,
    pub(super) session: Session,
    /// To which of our addresses it sends.
    pub(super) local: Option<IpAddr>,
    /// Of the stream, what the session has not taken.
    input: BytesMut,
    /// What it lacks where it is less than a message, of which nothing can be taken before the rest has come.
    lacks: Option<usize>,
    /// The same of an item.
    item: BytesMut,
    out: Vec<Bytes>,
    parcels: Vec<Parcel>,
    /// It has said who it is.
    is_known: bool,
    give_up: Option<Instant>,
}

/// Whether there is a peer any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It waits for something to come.
    Alive,
    /// It has more to do at once.
    Busy,
    Over,
}

impl Peer {
    pub(super) fn new(mut connection: Connection, session: Session, local: Option<IpAddr>) -> Self {
        connection.limit_incoming(Some(UNKNOWN_BYTES));
        Self {
            connection,
            session,
            local,
            input: BytesMut::new(),
            lacks: Some(0),
            item: BytesMut::new(),
            out: Vec::new(),
            parcels: Vec::new(),
            is_known: false,
            give_up: None,
        }
    }

    /// When there is something to do though nothing comes.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        [self.connection.poll_timeout(), self.session.poll_timeout(), self.give_up]
            .into_iter()
            .flatten()
            .min()
    }

    /// Moves what there is to move. `send` takes a datagram, and says whether it takes another one.
    pub(super) fn turn(
        &mut self,
        now: Instant,
        mut send: impl FnMut(&[u8], Option<IpAddr>) -> bool,
    ) -> State {
        self.handle_timeouts(now);
        let mut datagram = Vec::new();
        for _ in 0..ROUNDS {
            self.settle(now);
            self.take_input(now);
            self.hand_out(now);
            let mut has_sent = false;
            while self.connection.poll_transmit(now, &mut datagram) {
                has_sent = true;
                if !send(&datagram, self.local) {
                    return self.state();
                }
            }
            if self.state() == State::Over {
                return State::Over;
            }
            if !self.end_if_over(now) && !has_sent {
                return State::Alive;
            }
        }
        State::Busy
    }

    /// By what the connection is, and not by the event, which comes once: the goodbye itself may be what fills the batch.
    fn state(&self) -> State {
        if self.connection.is_drained() { State::Over } else { State::Alive }
    }

    fn handle_timeouts(&mut self, now: Instant) {
        if self.connection.poll_timeout().is_some_and(|at| at <= now) {
            self.connection.handle_timeout(now);
        }
        if self.session.poll_timeout().is_some_and(|at| at <= now) {
            self.session.handle_timeout(now);
        }
    }

    /// Tells the session what became of what it has sent.
    fn settle(&mut self, now: Instant) {
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Settled { number, fate } => self.session.handle_fate(now, number, told(fate)),
                // What is still to be said to the peer is said by the connection itself.
                Event::Closed(_) => {}
            }
        }
        self.session.handle_unsettled(now, self.connection.unsettled_bytes());
    }

    fn take_input(&mut self, now: Instant) {
        while self.take_stream(now) && self.take_item(now) {}
        if !self.is_known && self.session.is_greeted() {
            self.is_known = true;
            self.connection.limit_incoming(None);
        }
        // Did a part count, a message that is longer than the window could never become whole.
        let waiting = if self.lacks.is_some() { 0 } else { self.input.len() };
        self.connection.set_unconsumed((waiting + self.item.len()) as u64);
    }

    /// Whether the session goes on with what comes behind it.
    fn take_stream(&mut self, now: Instant) -> bool {
        if self.lacks.is_some() || self.input.len() < INPUT_MAX {
            self.make_room();
            self.connection.take_stream(&mut self.input);
        }
        if self.input.is_empty() {
            return true;
        }
        let taken = self.session.handle_input(now, &mut self.input);
        self.lacks = match taken {
            Ok(Ingest::Needs(bytes)) => Some(bytes),
            Ok(Ingest::Paused) | Err(Closed) => None,
        };
        match taken {
            Ok(Ingest::Needs(_)) => true,
            Ok(Ingest::Paused) => false,
            Err(Closed) => {
                self.give_up.get_or_insert(now + LINGER);
                false
            }
        }
    }

    /// Has a long message end in memory that fits it, as it is kept in that. It grows only as bytes arrive: at most twofold, whatever is claimed.
    fn make_room(&mut self) {
        let (len, lacks) = (self.input.len(), self.lacks.unwrap_or(0));
        let room = (2 * len).min(len + lacks).max(len + self.connection.stream_bytes());
        if len > INPUT_MAX && room > self.input.capacity() {
            let mut larger = BytesMut::with_capacity(room);
            larger.extend_from_slice(&self.input);
            self.input = larger;
        }
    }

    /// Whether there was one, and the session has taken it.
    fn take_item(&mut self, now: Instant) -> bool {
        if self.item.is_empty() {
            let Some(item) = self.connection.take_item() else { return false };
            self.item = item.into();
        }
        match self.session.handle_input(now, &mut self.item) {
            Ok(Ingest::Paused) => false,
            Ok(Ingest::Needs(_)) => {
                // Less than a message: nothing can come behind it.
                self.item.clear();
                true
            }
            Err(Closed) => {
                self.give_up.get_or_insert(now + LINGER);
                false
            }
        }
    }

    /// What is sent is decided when all that went before has left.
    fn hand_out(&mut self, now: Instant) {
        if !self.connection.is_ready() {
            return;
        }
        self.session.poll_transmit(now, &mut self.out);
        self.session.poll_parcels(&mut self.parcels);
        self.out.drain(..).for_each(|bytes| self.connection.write(&bytes));
        for parcel in self.parcels.drain(..) {
            let order = if parcel.is_latest { Order::Latest } else { Order::InOrder };
            let Parcel { number, flow, bytes, deadline, .. } = parcel;
            let sent = self.connection.send(Item { flow, bytes, order, deadline });
            debug_assert_eq!(sent, number, "hub and connection count the same");
        }
    }

    /// Whether it has come to its end just now.
    fn end_if_over(&mut self, now: Instant) -> bool {
        let is_said = self.session.is_finished() && self.connection.unsettled_bytes() == 0;
        if self.session.is_finished() {
            self.give_up.get_or_insert(now + LINGER);
        }
        let is_over = is_said || self.give_up.is_some_and(|at| at <= now);
        if is_over {
            self.connection.close();
        }
        is_over
    }
}

const fn told(fate: connection::Fate) -> Fate {
    match fate {
        connection::Fate::Delivered => Fate::Delivered,
        connection::Fate::Obsolete => Fate::Obsolete,
        connection::Fate::Expired => Fate::Expired,
    }
}
