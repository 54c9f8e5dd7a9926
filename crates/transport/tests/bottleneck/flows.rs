//! Who sends as much as it may.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use nyx_core::Instant;
use nyx_transport::udp::connection::{Config, Connection, Door, Entrance};

/// A sender and its receiver.
pub(crate) enum Flow {
    Udp(Box<Udp>),
    Tcp(Tcp),
}

impl Flow {
    /// A connection over datagrams.
    pub(crate) fn udp(now: Instant) -> Self {
        Self::Udp(Box::new(Udp::new(now)))
    }

    /// What TCP was for long: half of its window at a loss, and one segment more in a round trip.
    pub(crate) fn new_reno(now: Instant) -> Self {
        Self::Tcp(Tcp::new(now, 0.5, 1.0))
    }

    /// What TCP is on most machines now, where its windows are as small as here (RFC 9438, section 4.3).
    pub(crate) fn cubic(now: Instant) -> Self {
        Self::Tcp(Tcp::new(now, 0.7, 0.53))
    }

    pub(crate) fn delivered(&self) -> u64 {
        match self {
            Self::Udp(udp) => udp.delivered,
            Self::Tcp(tcp) => tcp.delivered,
        }
    }

    /// The sender is called by what came back.
    pub(crate) fn hear(&mut self, now: Instant, datagram: &[u8]) {
        match self {
            Self::Udp(udp) => udp.hear(now, datagram),
            Self::Tcp(tcp) => tcp.hear(now, datagram),
        }
    }

    /// The sender sends what it may.
    pub(crate) fn send(&mut self, now: Instant, out: impl FnMut(&[u8])) {
        match self {
            Self::Udp(udp) => udp.send(now, out),
            Self::Tcp(tcp) => tcp.send(now, out),
        }
    }

    /// The receiver takes what came over the line.
    pub(crate) fn receive(&mut self, now: Instant, datagram: &[u8]) {
        match self {
            Self::Udp(udp) => drop(udp.receiver.handle_datagram(now, datagram)),
            Self::Tcp(tcp) => tcp.receive(datagram),
        }
    }

    /// The receiver says what it has.
    pub(crate) fn answer(&mut self, now: Instant, out: impl FnMut(&[u8])) {
        match self {
            Self::Udp(udp) => udp.answer(now, out),
            Self::Tcp(tcp) => tcp.answer(out),
        }
    }
}

/// A hub's end that has always more to say, and its client.
pub(crate) struct Udp {
    door: Door,
    answers: Vec<Vec<u8>>,
    sender: Option<Connection>,
    receiver: Connection,
    delivered: u64,
}

impl Udp {
    fn new(now: Instant) -> Self {
        let receiver = Connection::client(now, 7, Config::default());
        Self { door: Door::new([9; 32]), answers: Vec::new(), sender: None, receiver, delivered: 0 }
    }

    fn hear(&mut self, now: Instant, datagram: &[u8]) {
        let peer = SocketAddr::from(([198, 51, 100, 7], 4000));
        match &mut self.sender {
            Some(sender) => drop(sender.handle_datagram(now, datagram)),
            None => match self.door.handle(now, peer, datagram) {
                Entrance::Answer(answer) => self.answers.push(answer),
                Entrance::Open { id } => {
                    let mut sender = Connection::server(now, id, Config::default());
                    sender.handle_datagram(now, datagram).unwrap();
                    self.sender = Some(sender);
                }
                Entrance::Refused(reason) => panic!("{reason:?}"),
            },
        }
    }

    fn send(&mut self, now: Instant, mut out: impl FnMut(&[u8])) {
        self.answers.drain(..).for_each(|answer| out(&answer));
        let Some(sender) = &mut self.sender else { return };
        if sender.poll_timeout().is_some_and(|at| at <= now) {
            sender.handle_timeout(now);
        }
        let mut datagram = Vec::new();
        loop {
            if sender.is_ready() && sender.unsettled_bytes() < 900_000 {
                sender.write(&[7; 16 * 1024]);
            }
            if !sender.poll_transmit(now, &mut datagram) {
                return;
            }
            out(&datagram);
        }
    }

    fn answer(&mut self, now: Instant, mut out: impl FnMut(&[u8])) {
        if self.receiver.poll_timeout().is_some_and(|at| at <= now) {
            self.receiver.handle_timeout(now);
        }
        let mut stream = BytesMut::new();
        self.receiver.take_stream(&mut stream);
        self.delivered += stream.len() as u64;
        let mut datagram = Vec::new();
        while self.receiver.poll_transmit(now, &mut datagram) {
            out(&datagram);
        }
    }
}

/// What TCP does about congestion, and little else: slow start, `alpha` segments more in a round trip, and at a loss down to `beta` of the window, once
/// in a round trip (RFC 5681, RFC 6675).
pub(crate) struct Tcp {
    beta: f64,
    alpha: f64,
    window: f64,
    threshold: f64,
    next: u64,
    /// Losses of segments below are of a time when the window was larger.
    recover: u64,
    sent: BTreeMap<u64, Instant>,
    heard: Instant,
    acks: Vec<u64>,
    delivered: u64,
}

const SEGMENT: usize = 1400;

impl Tcp {
    fn new(now: Instant, beta: f64, alpha: f64) -> Self {
        Self {
            beta,
            alpha,
            window: 10.0,
            threshold: f64::MAX,
            next: 0,
            recover: 0,
            sent: BTreeMap::new(),
            heard: now,
            acks: Vec::new(),
            delivered: 0,
        }
    }

    fn hear(&mut self, now: Instant, ack: &[u8]) {
        self.heard = now;
        let number = u64::from_be_bytes(ack.try_into().unwrap());
        if self.sent.remove(&number).is_some() {
            self.window += if self.window < self.threshold { 1.0 } else { self.alpha / self.window };
        }
        // Three later ones have arrived. What is lost comes again as a segment like any other.
        let kept = self.sent.split_off(&number.saturating_sub(2));
        let lost = std::mem::replace(&mut self.sent, kept);
        if lost.last_key_value().is_some_and(|(last, _)| *last >= self.recover) {
            self.window = (self.window * self.beta).max(2.0);
            self.threshold = self.window;
            self.recover = self.next;
        }
    }

    fn send(&mut self, now: Instant, mut out: impl FnMut(&[u8])) {
        if !self.sent.is_empty() && now.since(self.heard) > Duration::from_secs(1) {
            self.sent.clear();
            (self.threshold, self.window, self.recover) = ((self.window / 2.0).max(2.0), 1.0, self.next);
            self.heard = now;
        }
        let mut segment = [0; SEGMENT];
        while (self.sent.len() as f64) < self.window {
            segment[..8].copy_from_slice(&self.next.to_be_bytes());
            out(&segment);
            self.sent.insert(self.next, now);
            self.next += 1;
        }
    }

    fn receive(&mut self, segment: &[u8]) {
        self.delivered += segment.len() as u64;
        self.acks.push(u64::from_be_bytes(segment[..8].try_into().unwrap()));
    }

    fn answer(&mut self, mut out: impl FnMut(&[u8])) {
        self.acks.drain(..).for_each(|number| out(&number.to_be_bytes()));
    }
}
