//! The driver of one connection over datagrams.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use nyx_core::{Clock as _, Instant};
use nyx_protocol::control::{self, Body};
use nyx_protocol::wire::{Flags, Header, Kind};
use nyx_transport::udp::connection::{Event, Fate, Item, Order, Reason};
use tokio::time::Interval;

use super::Link;
use super::wire::Wire;
use crate::connection::keepalive::Keepalive;
use crate::connection::messages::{self, Taken};
use crate::connection::packing::Packing;
use crate::connection::{End, poll_turns, ticks};
use crate::outgoing::Segment;
use crate::shared::Shared;
use crate::subscribe::Acks;

/// A session in progress.
#[derive(Debug)]
pub(in crate::connection) struct Session<'a> {
    shared: &'a Shared,
    wire: Wire,
    acks: Arc<Acks>,
    /// Packs nothing, as the hub takes no blocks over datagrams.
    packing: Packing,
    /// Of the stream, what was not taken.
    input: BytesMut,
    /// The same of an item.
    item: BytesMut,
    /// Room for what is taken from the outgoing buffer.
    taken: Vec<Segment>,
    /// Pings that wait until the items before them have a fate: their answers say that what came before has been taken in.
    pings: VecDeque<(u64, BytesMut)>,
    /// Items that were ever sent.
    items: u64,
    keepalive: Keepalive,
    tick: Interval,
    deaf: bool,
    held_back: bool,
    /// Until when what was written last may take to arrive, once the client is closing.
    give_up: Option<Instant>,
}

impl<'a> Session<'a> {
    pub(in crate::connection) fn new(shared: &'a Shared, link: Link) -> Self {
        shared.registry.lock().dispatch.is_unordered = true;
        Self {
            shared,
            wire: link.wire,
            acks: Arc::new(Acks::new(shared.outgoing.clone())),
            packing: Packing::new(shared.clock.clone(), false),
            input: link.input,
            item: BytesMut::new(),
            taken: Vec::new(),
            pings: VecDeque::new(),
            items: 0,
            keepalive: Keepalive::new(shared.clock.now()),
            tick: ticks(),
            deaf: false,
            held_back: false,
            give_up: None,
        }
    }

    /// Runs until the connection is over, and returns why. Nothing is known to be unwritten: what is in doubt is told by pings.
    pub(in crate::connection) async fn run(mut self) -> (End, Vec<Segment>) {
        let end = poll_fn(|cx| poll_turns(cx, |cx| self.turn(cx))).await;
        self.wire.connection.close();
        // The hub notices by itself if this is lost.
        let _ = poll_fn(|cx| Poll::Ready(self.wire.poll_send(cx, self.shared.clock.now()))).await;
        (end, Vec::new())
    }

    /// One turn. `false`: there is nothing to do, and the task will be woken when there is.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let now = self.shared.clock.now();
        let received = self.wire.poll(cx, now)?;
        if received {
            self.keepalive.hear(now);
        }
        self.handle_events()?;
        self.take_in()?;
        self.shared.expire_calls();
        // The timer is registered only by a poll that finds it pending.
        while self.tick.poll_tick(cx).is_ready() {
            self.keepalive.handle_tick(self.shared, self.deaf)?;
        }
        let has_written = self.write(now);
        self.wire.poll_send(cx, now)?;
        if self.is_done(now) {
            return Err(End::Closed);
        }
        if received || has_written {
            return Ok(true);
        }
        let is_busy = !self.wire.connection.is_ready();
        let Some(lingers) = self.shared.outgoing.park(cx.waker(), is_busy) else { return Ok(true) };
        let lingers = lingers.map(|time| now + time);
        let also = [lingers, self.shared.calls.next_deadline(), self.give_up].into_iter().flatten().min();
        Ok(self.wire.poll_alarm(cx, now, also).is_ready())
    }

    fn handle_events(&mut self) -> Result<(), End> {
        while let Some(event) = self.wire.connection.poll_event() {
            match event {
                Event::Settled { fate: Fate::Delivered, .. } => {}
                Event::Settled { .. } => self.shared.history.lock().lost += 1,
                Event::Closed(Reason::There) => {
                    // What the hub said last may say why.
                    self.take_in()?;
                    return Err(End::ByHub);
                }
                Event::Closed(reason) => return Err(End::Datagrams(reason)),
            }
        }
        Ok(())
    }

    /// Takes what has come of the stream, then the items, while not too much waits to be consumed.
    fn take_in(&mut self) -> Result<(), End> {
        self.deaf = self.acks.pause();
        if !self.deaf {
            self.held_back = false;
            self.wire.connection.take_stream(&mut self.input);
            self.held_back = take(self.shared, &self.acks, &mut self.packing, &mut self.input)?;
            while !self.held_back {
                if self.item.is_empty() {
                    let Some(item) = self.wire.connection.take_item() else { break };
                    self.item = item.into();
                }
                self.held_back = take(self.shared, &self.acks, &mut self.packing, &mut self.item)?;
                if !self.held_back {
                    // Less than a message: nothing can come behind it.
                    self.item.clear();
                }
            }
        }
        // What is due says only that the hub may want to know, which it is told so.
        let _ = self.acks.take_due(false);
        // Of what is less than a message nothing can be consumed: did it count, one that is longer than the window could never become whole.
        let waiting = if self.held_back { self.input.len() + self.item.len() } else { 0 };
        self.wire.connection.set_unconsumed(self.acks.unconsumed() + waiting as u64);
        Ok(())
    }

    /// Hands out what waits, when all that went before has left. Says whether that was anything.
    fn write(&mut self, now: Instant) -> bool {
        let first_unsettled = self.wire.connection.first_unsettled();
        let mut has_written = false;
        while let Some((_, ping)) = self.pings.pop_front_if(|(items, _)| *items <= first_unsettled) {
            self.wire.connection.write(&ping);
            has_written = true;
        }
        if !self.wire.connection.is_ready() || self.wire.connection.unsettled_bytes() > UNSETTLED_MAX {
            return has_written;
        }
        self.shared.outgoing.take(self.shared.is_closing(), &mut self.taken);
        for segment in std::mem::take(&mut self.taken) {
            has_written = true;
            self.shared.outgoing.written(segment.len());
            self.put(now, &segment);
        }
        has_written
    }

    /// Sorts a segment's messages into stream and items.
    fn put(&mut self, now: Instant, segment: &Segment) {
        let mut at = 0;
        for header in segment.headers() {
            let end = at + header.message_len();
            let head = &segment.head[at..end.min(segment.head.len())];
            let body: &[u8] = if end > segment.head.len() { &segment.body } else { &[] };
            at = end;
            match header.kind {
                Some(Kind::Frame | Kind::Audio) => self.send(now, &header, [head, body].concat().into()),
                None if is_ping(head) => self.pings.push_back((self.items, head.into())),
                _ => {
                    self.wire.connection.write(head);
                    self.wire.connection.write(body);
                }
            }
        }
    }

    fn send(&mut self, now: Instant, header: &Header, bytes: Bytes) {
        let is_frame = header.kind == Some(Kind::Frame);
        let usual = if is_frame { FRAME_MAX_AGE } else { AUDIO_MAX_AGE };
        let max_age = self.shared.registry.lock().max_age(header.topic).unwrap_or(usual);
        let is_latest = is_frame && header.flags.contains(Flags::KEYFRAME);
        let order = if is_latest { Order::Latest } else { Order::InOrder };
        self.wire.connection.send(Item { flow: header.topic, bytes, order, deadline: Some(now + max_age) });
        self.items += 1;
    }

    /// Whether the client was closed and all has arrived, or will not.
    fn is_done(&mut self, now: Instant) -> bool {
        if !self.shared.is_closing() {
            return false;
        }
        let give_up = *self.give_up.get_or_insert(now + LINGER);
        let has_arrived = self.wire.connection.is_stream_settled()
            && self.wire.connection.first_unsettled() == self.items
            && self.pings.is_empty();
        give_up <= now || (has_arrived && self.shared.outgoing.waiting() == 0)
    }
}

/// Takes messages off `buffer`; says whether some were held back.
fn take(
    shared: &Shared,
    acks: &Arc<Acks>,
    packing: &mut Packing,
    buffer: &mut BytesMut,
) -> Result<bool, End> {
    loop {
        match messages::take(shared, acks, (packing, false), buffer)? {
            // It has arrived for long, and is sent when all of it was taken.
            Taken::More => {}
            taken => return Ok(taken == Taken::HeldBack),
        }
    }
}

fn is_ping(message: &[u8]) -> bool {
    matches!(control::parse(message), Ok(Some(Body::Ping(_))))
}

/// Bytes that may be under way or unconsumed at the hub before more is taken: as many as its window for the stream.
const UNSETTLED_MAX: u64 = 1 << 20;

/// How long what was written last may take to arrive.
const LINGER: Duration = Duration::from_secs(5);

/// How old frames and sound may become on their way to the hub, unless the topic says otherwise: as old as on their way from it.
const FRAME_MAX_AGE: Duration = Duration::from_secs(1);
const AUDIO_MAX_AGE: Duration = Duration::from_millis(500);
