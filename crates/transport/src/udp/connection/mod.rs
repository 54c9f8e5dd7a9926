//! A connection over datagrams, as a value.
//!
//! It carries two sorts of things at once, each way:
//!
//! - one ordered *stream* of bytes, of which nothing is lost;
//! - *items*, each whole or not at all, in flows: a lost piece is sent again only while its item is worth it, and no item waits for one of
//!   another flow.
//!
//! Every datagram has a number, and is known to have arrived or to be lost (RFC 9002). From that come the round trip, the window, and what is
//! sent again. The other end tells as well what waits there unconsumed, so that a slow consumer is not sent more than it takes.
//!
//! The rule for driving it: give it what has arrived by [`handle_datagram`](Connection::handle_datagram); call
//! [`handle_timeout`](Connection::handle_timeout) at [`poll_timeout`](Connection::poll_timeout); after either, and after writing or
//! sending, drain [`poll_event`](Connection::poll_event), [`take_stream`](Connection::take_stream), [`take_item`](Connection::take_item) and
//! [`poll_transmit`](Connection::poll_transmit).
//!
//! A hub lets nobody in who has not echoed a cookie from the address that it says it has: see [`Door`]. An address is a connection: one that
//! changes has to begin anew. Nothing is encrypted.
//!
//! ```
//! use bytes::BytesMut;
//! use nyx_core::Instant;
//! use nyx_transport::udp::connection::{Config, Connection, Door, Entrance};
//!
//! let (now, peer) = (Instant::ZERO, "127.0.0.1:9".parse().unwrap());
//! let mut door = Door::new([7; 32]);
//! let mut client = Connection::client(now, 42, Config::default());
//! let (mut datagram, mut text) = (Vec::new(), BytesMut::new());
//! client.write(b"hello");
//!
//! client.poll_transmit(now, &mut datagram);
//! let Entrance::Answer(cookie) = door.handle(now, peer, &datagram) else { panic!() };
//! client.handle_datagram(now, &cookie).unwrap();
//! client.poll_transmit(now, &mut datagram);
//! let Entrance::Open { id } = door.handle(now, peer, &datagram) else { panic!() };
//! let mut server = Connection::server(now, id, Config::default());
//! server.handle_datagram(now, &datagram).unwrap();
//! server.take_stream(&mut text);
//! assert_eq!(&text[..], b"hello");
//! ```

mod assembly;
mod door;
mod input;
mod items;
mod output;
mod packet;
mod pieces;
mod ranges;
mod recovery;
mod stream;
mod varint;
mod window;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use nyx_core::Instant;

use super::arrivals::Arrivals;
use super::mtu::{self, Discovery};
use recovery::Recovery;
use window::Window;

pub use door::{Door, Entrance, Refused};
pub use items::{Fate, Item, Order};
pub use packet::{Ack, Frame, Frames, Packet, PacketError, Piece};

/// Bounds and times of a [`Connection`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The largest datagram that is tried, in bytes of UDP payload. Default 1,472, what Ethernet carries. Until the path is known to carry more,
    /// and when it does not any more, it is 1,200 (RFC 8899).
    pub datagram_bytes: usize,
    /// The largest item that is taken in, in bytes. Default 16 MiB and the head of a message.
    pub item_bytes: usize,
    /// Memory for items that are not delivered, in bytes, of which each takes 400 beside its own; what comes beyond is not acknowledged, and so
    /// comes again. One item of the largest size always has room. Default 20 MiB.
    pub incoming_bytes: usize,
    /// After how much silence the other end is taken to be gone, be it that nothing comes of it or that it acknowledges nothing. Default 30 s.
    pub silence: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            datagram_bytes: 1472,
            item_bytes: (16 << 20) + 4096,
            incoming_bytes: 20 << 20,
            silence: Duration::from_secs(30),
        }
    }
}

/// What every path carries, and the least that a client's first datagrams have.
pub const DATAGRAM_MIN: usize = 1200;

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is decided what became of an item.
    Settled {
        /// Its number, as [`Connection::send`] has returned it.
        number: u64,
        /// What became of it.
        fate: Fate,
    },
    /// The connection is over.
    Closed(Reason),
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// This side has closed it.
    #[error("it was closed here")]
    Here,
    /// The other side has.
    #[error("the other side closed the connection")]
    There,
    /// The hub knows of no such connection: it was restarted, or this side's address has changed. Connect again.
    #[error("the hub does not know this connection (any more): connect again")]
    Gone,
    /// Nothing was heard for too long.
    #[error("nothing was heard from the other side for too long")]
    Silent,
}

/// Totals of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Datagrams that were sent.
    pub sent: u64,
    /// Datagrams that arrived and had not been here.
    pub received: u64,
    /// Datagrams that came again, or so late that nobody can tell: replayed ones among them. Nothing else happens.
    pub repeated: u64,
    /// Datagrams that can't be read. They change nothing.
    pub malformed: u64,
    /// Datagrams of another connection.
    pub foreign: u64,
    /// Datagrams for which there was no room. They come again.
    pub refused: u64,
    /// Datagrams of this side that were lost, as far as is known.
    pub lost: u64,
    /// Of these, those that arrived after all.
    pub spurious: u64,
}

impl Stats {
    /// What has been counted since `before`, an earlier answer of the same connection.
    #[must_use]
    pub const fn since(&self, before: &Self) -> Self {
        Self {
            sent: self.sent.saturating_sub(before.sent),
            received: self.received.saturating_sub(before.received),
            repeated: self.repeated.saturating_sub(before.repeated),
            malformed: self.malformed.saturating_sub(before.malformed),
            foreign: self.foreign.saturating_sub(before.foreign),
            refused: self.refused.saturating_sub(before.refused),
            lost: self.lost.saturating_sub(before.lost),
            spurious: self.spurious.saturating_sub(before.spurious),
        }
    }
}

/// One end of a connection.
#[derive(Debug)]
pub struct Connection {
    id: u64,
    config: Config,
    stage: Stage,
    heard: Instant,
    next_number: u64,
    recovery: Recovery,
    window: Window,
    /// How large a datagram the path carries.
    size: Discovery,
    /// Until when the pace holds back what is to be sent.
    paced: Option<Instant>,
    /// Datagrams that may go out though the window is full.
    probes_due: u32,
    stream_out: stream::Outgoing,
    stream_in: stream::Incoming,
    items_out: items::Outgoing,
    items_in: assembly::Incoming,
    arrivals: Arrivals,
    receipts: Receipts,
    events: VecDeque<Event>,
    close_is_due: bool,
    stats: Stats,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// A client without a cookie.
    Knocking {
        due: Instant,
        attempts: u32,
    },
    /// A client that has a cookie and has heard nothing since.
    Opening {
        cookie: Bytes,
    },
    Open,
    Closed,
}

/// What of the other side's datagrams has arrived, and what it knows of that.
#[derive(Debug, Default)]
struct Receipts {
    numbers: ranges::Ranges,
    /// When the latest came.
    latest_at: Instant,
    /// By when it is to be told.
    due: Option<Instant>,
    /// Bytes that its consumer has not consumed.
    unconsumed: u64,
    /// What waits here as the other side was told last.
    told_backlog: u64,
    /// Whether less waits than it was told.
    relief_is_due: bool,
    /// What waits there, and the datagram that said so.
    peer_backlog: (u64, u64),
}

impl Connection {
    /// A client's end, which knocks at once. `id` should be drawn at random: who guesses it can disturb the connection.
    pub fn client(now: Instant, id: u64, config: Config) -> Self {
        Self::new(now, id, config, Stage::Knocking { due: now, attempts: 0 })
    }

    /// A hub's end, for one that a [`Door`] has let in. Give it the datagram that the door looked at.
    pub fn server(now: Instant, id: u64, config: Config) -> Self {
        Self::new(now, id, config, Stage::Open)
    }

    fn new(now: Instant, id: u64, config: Config, stage: Stage) -> Self {
        let bounds =
            assembly::Bounds { item_bytes: config.item_bytes as u64, bytes: config.incoming_bytes as u64 };
        Self {
            id,
            config,
            stage,
            heard: now,
            next_number: 0,
            recovery: Recovery::new(),
            window: Window::new(),
            size: Discovery::new(sizes(config.datagram_bytes)),
            paced: None,
            probes_due: 0,
            stream_out: stream::Outgoing::default(),
            stream_in: stream::Incoming::default(),
            items_out: items::Outgoing::default(),
            items_in: assembly::Incoming::new(bounds),
            arrivals: Arrivals::default(),
            receipts: Receipts::default(),
            events: VecDeque::new(),
            close_is_due: false,
            stats: Stats::default(),
        }
    }

    /// Takes in so many bytes of items at most, and few flows, until it is told `None`: of a peer that nobody knows yet. What does not fit comes
    /// again, as what is over [`Config::incoming_bytes`] does.
    pub fn limit_incoming(&mut self, bytes: Option<usize>) {
        self.items_in.set_limit(bytes.map(|bytes| bytes as u64));
    }

    /// Takes in items of so many bytes, where that is more than [`Config::item_bytes`], and that much more of all of them: of a peer that has said
    /// how large its own may be.
    pub fn allow_items(&mut self, bytes: usize) {
        self.items_in.allow(bytes as u64);
    }

    /// Its number.
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// Whether nothing is sent or delivered any more, but for what `poll_transmit` still returns.
    pub fn is_closed(&self) -> bool {
        self.stage == Stage::Closed
    }

    /// Appends to the stream.
    pub fn write(&mut self, bytes: &[u8]) {
        self.stream_out.write(bytes);
    }

    /// Sends an item behind what was written so far, if it is the first of its flow. Returns its number, which counts up from 0: its fate will
    /// be an event. An empty item is taken to be obsolete.
    pub fn send(&mut self, item: Item) -> u64 {
        let after = self.stream_out.end();
        self.items_out.push(item, after)
    }

    /// Whether all was sent once, so that now is the time to decide what is sent next.
    pub fn is_ready(&self) -> bool {
        let has_unsent = self.stream_out.has_unsent() || self.items_out.has_unsent();
        !has_unsent && !self.items_out.is_full() && matches!(self.stage, Stage::Open | Stage::Opening { .. })
    }

    /// Bytes of stream and items that were given to this end and are not known to have been consumed at the other one, or are given up.
    pub fn unsettled_bytes(&self) -> u64 {
        self.stream_out.unsettled() + self.items_out.unsettled() + self.receipts.peer_backlog.1
    }

    /// The first item that has no fate yet; the number of the next if all have one.
    pub fn first_unsettled(&self) -> u64 {
        self.items_out.first_unsettled()
    }

    /// Whether all that was written has arrived.
    pub fn is_stream_settled(&self) -> bool {
        self.stream_out.unsettled() == 0
    }

    /// Bytes that [`take_stream`](Self::take_stream) would move.
    pub fn stream_bytes(&self) -> usize {
        self.stream_in.waiting() as usize
    }

    /// Moves what has come of the stream to `into`.
    pub fn take_stream(&mut self, into: &mut BytesMut) {
        self.stream_in.take(into);
        self.receipts.note_relief(self.stream_in.waiting() + self.items_in.waiting());
    }

    /// The next whole item, once what comes before it in the stream was taken.
    pub fn take_item(&mut self) -> Option<Bytes> {
        let item = self.items_in.pop(self.stream_in.taken());
        self.receipts.note_relief(self.stream_in.waiting() + self.items_in.waiting());
        item
    }

    /// Of what was taken so many bytes are not consumed. The other end is told, and sends less while they are many.
    pub fn set_unconsumed(&mut self, bytes: u64) {
        self.receipts.unconsumed = bytes;
        self.receipts.note_relief(self.stream_in.waiting() + self.items_in.waiting());
    }

    /// What has happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        let settled = self.items_out.settled().map(|(number, fate)| Event::Settled { number, fate });
        // The end comes after what was decided before it.
        let at = self
            .events
            .iter()
            .position(|event| matches!(event, Event::Closed(_)))
            .unwrap_or(self.events.len());
        let behind = self.events.split_off(at);
        self.events.extend(settled);
        self.events.extend(behind);
        self.events.pop_front()
    }

    /// Ends it. What was not sent will not be: wait until all is settled where that matters. The other side is told once.
    pub fn close(&mut self) {
        self.end(Reason::Here);
    }

    fn end(&mut self, reason: Reason) {
        if self.stage == Stage::Closed {
            return;
        }
        self.close_is_due = matches!(reason, Reason::Here | Reason::Silent) && self.stage == Stage::Open;
        self.stage = Stage::Closed;
        self.events.push_back(Event::Closed(reason));
    }

    /// The largest datagram that the path is known to carry. What was lost is cut anew where that has changed.
    pub const fn datagram_bytes(&self) -> usize {
        self.size.size()
    }

    /// The round trip, smoothed, once it was measured.
    pub fn round_trip(&self) -> Option<Duration> {
        self.recovery.shortest().map(|_| self.recovery.round_trip())
    }

    /// Totals so far.
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    fn backlog(&self) -> u64 {
        self.receipts.unconsumed + self.stream_in.waiting() + self.items_in.waiting()
    }
}

impl Receipts {
    /// So much waits besides what is unconsumed: if that makes less than the other side knows, it is told.
    const fn note_relief(&mut self, waiting: u64) {
        if self.unconsumed + waiting < self.told_backlog {
            self.relief_is_due = true;
        }
    }
}

/// What is tried on a path. A size is confirmed by what is sent; where little is, a question in half a minute is enough.
fn sizes(max: usize) -> mtu::Config {
    let confirm = Duration::from_secs(30);
    mtu::Config { base: DATAGRAM_MIN, max, confirm, ..mtu::Config::default() }
}
