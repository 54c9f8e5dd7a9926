//! Publishers and subscribers over bad paths, in virtual time: what arrives is right, and what does not is told.

mod kinds;
mod peers;
mod state;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use nyx_core::Instant;
use nyx_hub::{Config as HubConfig, Hub, Latest, Peer, Session, Transport};
use nyx_netem::{Conditions, Path};
use nyx_protocol::control::{self, Body, Hello, Subscribe};
use nyx_protocol::state::{Document, Limits, Patch, Value, base_of};
use nyx_protocol::topic::Name;
use nyx_protocol::wire::{self, Flags, Header, Kind, Message, Scan};
use nyx_transport::udp::Batch;
use nyx_transport::udp::connection::{Config, Connection, Item, Order, Packet, Refused, Stats};

use super::host::{Host, Reception};
use crate::serve::doorstep::Visit;
use crate::serve::native::farewell;

/// Lets everybody in, and counts.
struct Open {
    hub: Hub,
    answered: usize,
    refused: HashMap<Refused, usize>,
    counts: Vec<Stats>,
    left: usize,
    /// As one who has no place any more.
    is_full: bool,
}

impl Reception for Open {
    fn admit(&mut self, now: Instant, peer: SocketAddr) -> Result<(Session, Option<Visit>), BytesMut> {
        if self.is_full {
            return Err(farewell("no place"));
        }
        let session = self.hub.session(now, Peer::new(peer, Transport::Udp)).map_err(farewell)?;
        Ok((session, None))
    }

    fn answered(&mut self) {
        self.answered += 1;
    }

    fn refused(&mut self, _: SocketAddr, reason: Refused) {
        *self.refused.entry(reason).or_default() += 1;
    }

    fn counted(&mut self, stats: &Stats) {
        self.counts.push(*stats);
    }

    fn left(&mut self, _: SocketAddr) {
        self.left += 1;
    }
}

/// A peer of the hub: its end of a connection, what it has understood, and its way to the hub and back.
struct Client {
    address: SocketAddr,
    connection: Connection,
    up: Path,
    down: Path,
    input: BytesMut,
    topics: HashMap<u32, Topic>,
    errors: Vec<String>,
    is_welcome: bool,
    goodbye: bool,
}

/// A topic as a subscriber sees it.
#[derive(Default)]
struct Topic {
    kind: Option<Kind>,
    /// The document's versions, the latest last.
    versions: VecDeque<Document>,
    misfits: usize,
    /// The sequence of the next item, items that came, and items that are missing.
    next: u64,
    items: Vec<(u64, Instant)>,
    missing: u64,
    /// Gaps that were told of before what comes before them.
    ahead: BTreeMap<u64, u64>,
    /// When each version came.
    updates: Vec<(u64, Instant)>,
}

struct Sim {
    now: Instant,
    hub: Hub,
    host: Host<Open>,
    clients: Vec<Client>,
}

impl Sim {
    fn new() -> Self {
        let mut config = HubConfig::default();
        config.epoch_seed = Some(7);
        let hub = Hub::new(config);
        let (refused, counts) = (HashMap::new(), Vec::new());
        let open = Open { hub: hub.clone(), answered: 0, refused, counts, left: 0, is_full: false };
        let host = Host::new(open, [3; 32], Config::default());
        Self { now: Instant::ZERO, hub, host, clients: Vec::new() }
    }

    /// Adds a client over a path each way; returns its place.
    fn join(&mut self, change: impl Fn(&mut Conditions)) -> usize {
        let place = self.clients.len();
        let address = SocketAddr::from(([198, 51, 100, 7], 4000 + place as u16));
        let path = |seed| {
            let mut conditions = Conditions::default();
            conditions.delay = Duration::from_millis(25);
            conditions.seed = seed;
            change(&mut conditions);
            Path::new(conditions)
        };
        let mut connection = Connection::client(self.now, place as u64 + 1, Config::default());
        let mut hello = BytesMut::new();
        control::put(
            &mut hello,
            Hello { version: 1, name: "x".into(), acknowledges: true, ..Hello::default() },
        );
        connection.write(&hello);
        self.clients.push(Client {
            address,
            connection,
            up: path(2 * place as u64),
            down: path(2 * place as u64 + 1),
            input: BytesMut::new(),
            topics: HashMap::new(),
            errors: Vec::new(),
            is_welcome: false,
            goodbye: false,
        });
        place
    }

    fn subscriber(&mut self, pattern: &str, change: impl Fn(&mut Conditions)) -> usize {
        let place = self.join(change);
        self.clients[place].say(Subscribe { id: 1, pattern: pattern.into(), ..Subscribe::default() });
        place
    }

    fn run(&mut self, time: Duration, mut each: impl FnMut(&mut Self, u64)) {
        let end = self.now + time;
        while self.now < end {
            self.now = self.now + Duration::from_millis(1);
            let millis = self.now.as_nanos() / 1_000_000;
            each(self, millis);
            self.turn();
        }
    }

    fn turn(&mut self) {
        let (now, mut batch) = (self.now, Batch::default());
        for client in &mut self.clients {
            client.send(now);
            while let Some(datagram) = client.up.poll_output(now) {
                self.host.handle_datagram(now, client.address, None, &datagram, &mut batch);
            }
        }
        loop {
            self.host.turn(now, &mut batch);
            while let Some((to, datagram)) = batch.pop() {
                match self.clients.iter_mut().find(|client| client.address == to) {
                    Some(client) => client.down.handle_input(now, datagram),
                    None => assert!(datagram.len() < 100, "{} bytes to a stranger", datagram.len()),
                }
            }
            if !self.host.is_touched() {
                break;
            }
        }
        for client in &mut self.clients {
            while let Some(datagram) = client.down.poll_output(now) {
                let _ = client.connection.handle_datagram(now, &datagram);
            }
            client.take_in(now);
        }
    }

    fn publish_state(&mut self, name: &str, n: i64, filler: &str) {
        let topic = self.hub.topic_for(&Name::new(name).unwrap(), Kind::State).unwrap();
        let value = Value::map([("n", Value::from(n)), ("filler", filler.into())]);
        self.hub.patch(&topic, &Patch::Set(value)).unwrap();
    }

    fn publish(&self, name: &str, kind: Kind, bytes: usize) {
        let topic = self.hub.topic_for(&Name::new(name).unwrap(), kind).unwrap();
        self.hub.publish(self.now, &topic, 1, None, &vec![7; bytes]).unwrap();
    }
}

impl Client {
    fn say(&mut self, body: impl Into<Body>) {
        let mut out = BytesMut::new();
        control::put(&mut out, body);
        self.connection.write(&out);
    }

    fn send(&mut self, now: Instant) {
        if self.connection.poll_timeout().is_some_and(|at| at <= now) {
            self.connection.handle_timeout(now);
        }
        let mut datagram = Vec::new();
        while self.connection.poll_transmit(now, &mut datagram) {
            self.up.handle_input(now, Bytes::copy_from_slice(&datagram));
        }
        while self.connection.poll_event().is_some() {}
    }

    fn take_in(&mut self, now: Instant) {
        let mut input = std::mem::take(&mut self.input);
        self.connection.take_stream(&mut input);
        self.understand(now, &mut input);
        self.input = input;
        while let Some(item) = self.connection.take_item() {
            let mut item = BytesMut::from(item);
            self.understand(now, &mut item);
            assert!(item.is_empty(), "an item is whole messages");
        }
    }

    fn understand(&mut self, now: Instant, input: &mut BytesMut) {
        loop {
            match wire::scan(input, 1 << 24).unwrap() {
                Scan::Incomplete { .. } => return,
                Scan::Control { len } => match control::parse(&input.split_to(len)).unwrap().unwrap() {
                    Body::Welcome(_) => self.is_welcome = true,
                    Body::Announce(announce) => {
                        let topic = self.topics.entry(announce.topic_id).or_default();
                        topic.kind = announce.kind().to_wire();
                        topic.next = announce.position;
                    }
                    Body::Gap(gap) => {
                        let total: u64 = gap.drops.iter().map(|drop| drop.count).sum();
                        let topic = self.topics.get_mut(&gap.topic_id).expect("announced");
                        topic.gap(u64::from(gap.first_sequence), total);
                    }
                    Body::Ping(ping) => self.say(control::Pong { nonce: ping.nonce }),
                    Body::Error(error) => self.errors.push(error.message),
                    Body::Goodbye(_) => self.goodbye = true,
                    _ => {}
                },
                Scan::Run(run) => {
                    let bytes = input.split_to(run.len);
                    let topic =
                        self.topics.get_mut(&run.topic).expect("no data comes before its announcement");
                    assert_eq!(topic.kind, Some(run.kind));
                    for message in wire::Messages::new(&bytes) {
                        if run.kind == Kind::State {
                            if topic.update(now, &message) == Fit::Misfit {
                                let mut out = BytesMut::new();
                                control::put(&mut out, control::Resync { topic_id: run.topic });
                                self.connection.write(&out);
                            }
                        } else {
                            topic.item(now, u64::from(message.header.sequence));
                        }
                    }
                }
            }
        }
    }
}

#[derive(PartialEq)]
enum Fit {
    Applied,
    Misfit,
}

impl Topic {
    fn gap(&mut self, first: u64, total: u64) {
        if self.kind != Some(Kind::State) && first >= self.next {
            self.ahead.insert(first, total);
        }
        self.advance();
    }

    fn advance(&mut self) {
        while let Some(next) = self.ahead.first_entry().filter(|next| *next.key() <= self.next) {
            let (first, total) = next.remove_entry();
            if first == self.next {
                self.missing += total;
                self.next += total;
            }
        }
    }

    fn item(&mut self, now: Instant, sequence: u64) {
        assert!(sequence >= self.next, "item {sequence} after {}", self.next);
        self.missing += sequence - self.next;
        self.next = sequence + 1;
        self.items.push((sequence, now));
        self.advance();
    }

    /// As a client does: from the version that the delta means, of the last sixteen.
    fn update(&mut self, now: Instant, message: &Message<'_>) -> Fit {
        let is_snapshot = message.header.flags.contains(Flags::SNAPSHOT);
        let mut next = if is_snapshot {
            Document::new(0, Limits::default())
        } else {
            let base = base_of(message.payload).unwrap();
            match self.versions.iter().find(|document| document.version() == base) {
                Some(document) => document.clone(),
                None => {
                    self.misfits += 1;
                    return Fit::Misfit;
                }
            }
        };
        next.apply(message.payload, is_snapshot).unwrap();
        self.updates.push((next.version(), now));
        if self.versions.len() == 16 {
            self.versions.pop_front();
        }
        self.versions.push_back(next);
        Fit::Applied
    }

    fn latest(&self) -> Value {
        self.versions.back().unwrap().value()
    }
}

fn only(sim: &Sim, place: usize) -> &Topic {
    assert_eq!(sim.clients[place].topics.len(), 1);
    sim.clients[place].topics.values().next().unwrap()
}

fn final_value(sim: &Sim) -> Value {
    match sim.hub.latest(&Name::new("world").unwrap()) {
        Some(Latest::Document(value)) => value,
        other => panic!("{other:?}"),
    }
}
