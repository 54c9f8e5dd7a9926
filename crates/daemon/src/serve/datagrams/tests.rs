//! Publishers and subscribers over bad paths, in virtual time: what arrives is right, and what does not is told.

use std::collections::{HashMap, VecDeque};
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

/// Lets everybody in, and counts.
struct Open {
    hub: Hub,
    answered: usize,
    refused: HashMap<Refused, usize>,
    left: Vec<Stats>,
}

impl Reception for Open {
    fn admit(&mut self, now: Instant, peer: SocketAddr) -> Option<(Session, Option<Visit>)> {
        self.hub.session(now, Peer::new(peer, Transport::Udp)).ok().map(|session| (session, None))
    }

    fn answered(&mut self) {
        self.answered += 1;
    }

    fn refused(&mut self, _: SocketAddr, reason: Refused) {
        *self.refused.entry(reason).or_default() += 1;
    }

    fn left(&mut self, _: SocketAddr, stats: Stats) {
        self.left.push(stats);
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
        let open = Open { hub: hub.clone(), answered: 0, refused: HashMap::new(), left: Vec::new() };
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
            self.missing += first - self.next + total;
            self.next = first + total;
        }
    }

    fn item(&mut self, now: Instant, sequence: u64) {
        assert!(sequence >= self.next, "item {sequence} after {}", self.next);
        self.missing += sequence - self.next;
        self.next = sequence + 1;
        self.items.push((sequence, now));
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

/// A document of 64 KiB that changes a little every 16 ms, for ten seconds. Returns the subscriber's view, and the ages of what it saw in ms.
fn watch_state(change: impl Fn(&mut Conditions)) -> (Sim, usize, Vec<u64>) {
    let mut sim = Sim::new();
    let filler = "x".repeat(64 << 10);
    sim.publish_state("world", 0, &filler);
    let place = sim.subscriber("world", change);
    sim.run(Duration::from_secs(8), |_, _| {});
    assert_eq!(only(&sim, place).versions.len(), 1, "the snapshot came");
    let mut published: HashMap<u64, Instant> = HashMap::new();
    let mut n = 0;
    sim.run(Duration::from_secs(10), |sim, millis| {
        if millis % 16 == 0 {
            n += 1;
            sim.publish_state("world", n, &filler);
            published.insert(1 + n as u64, sim.now);
        }
    });
    sim.run(Duration::from_secs(3), |_, _| {});
    let topic = only(&sim, place);
    let at = |version: &u64| published.get(version).copied();
    let age = |(version, came): &(u64, Instant)| at(version).map(|born| came.since(born).as_millis() as u64);
    let mut ages: Vec<u64> = topic.updates.iter().filter_map(age).collect();
    ages.sort_unstable();
    (sim, place, ages)
}

fn final_value(sim: &Sim) -> Value {
    match sim.hub.latest(&Name::new("world").unwrap()) {
        Some(Latest::Document(value)) => value,
        other => panic!("{other:?}"),
    }
}

#[test]
fn state_is_fresh_at_five_percent_loss_and_no_delta_misfits() {
    let (sim, place, ages) = watch_state(|path| path.loss = "5%".parse().unwrap());
    let topic = only(&sim, place);
    assert!(topic.latest() == final_value(&sim), "the last version came");
    assert_eq!(topic.misfits, 0);
    let p99 = ages[ages.len() * 99 / 100];
    assert!(ages.len() > 500 && p99 <= 60, "{} updates, p99 {p99} ms", ages.len());
}

#[test]
fn state_goes_on_at_thirty_percent_loss() {
    let (sim, place, ages) = watch_state(|path| path.loss = "30%".parse().unwrap());
    let topic = only(&sim, place);
    assert!(topic.latest() == final_value(&sim));
    assert!(ages.len() > 200, "{} updates", ages.len());
    assert_eq!(topic.misfits, 0);
}

#[test]
fn state_survives_reordering_by_fifty_doubles_and_jitter() {
    let (sim, place, ages) = watch_state(|path| {
        path.reorder = Some("5%:50".parse().unwrap());
        path.duplicate = "10%".parse().unwrap();
        path.jitter = Duration::from_millis(15);
    });
    assert!(only(&sim, place).latest() == final_value(&sim));
    assert!(ages.len() > 400, "{} updates", ages.len());
}

/// Items of `kind` and size every `every` ms for five seconds. Returns the subscriber's topic.
fn watch_items(
    kind: Kind,
    bytes: usize,
    every: u64,
    change: impl Fn(&mut Conditions),
) -> (Sim, usize, HashMap<u64, Instant>) {
    let mut sim = Sim::new();
    sim.hub.topic_for(&Name::new("live").unwrap(), kind).unwrap();
    let place = sim.subscriber("live", change);
    sim.run(Duration::from_secs(8), |_, _| {});
    let mut born = HashMap::new();
    sim.run(Duration::from_secs(5), |sim, millis| {
        if millis % every == 0 {
            born.insert(born.len() as u64, sim.now);
            sim.publish("live", kind, bytes);
        }
    });
    sim.run(Duration::from_secs(3), |_, _| {});
    let topic = only(&sim, place);
    let accounted = topic.items.len() as u64 + topic.missing;
    assert_eq!(accounted, born.len() as u64, "delivered and missing make all that was published");
    (sim, place, born)
}

#[test]
fn sound_comes_in_order_and_in_time_or_is_told_as_missing() {
    // 20 ms of 48 kHz in stereo: four datagrams.
    let (sim, place, born) = watch_items(Kind::Audio, 3_840, 20, |path| path.loss = "5%".parse().unwrap());
    let topic = only(&sim, place);
    assert!(topic.items.len() >= 245, "{} came, {} are missing", topic.items.len(), topic.missing);
    let late =
        topic.items.iter().filter(|(number, came)| came.since(born[number]) > Duration::from_millis(600));
    assert_eq!(late.count(), 0);
}

#[test]
fn frames_arrive_whole_though_hardly_one_does_at_the_first_try() {
    let (sim, place, _) = watch_items(Kind::Frame, 46_000, 50, |path| path.loss = "5%".parse().unwrap());
    let topic = only(&sim, place);
    assert!(topic.items.len() >= 20, "{} came, {} are missing", topic.items.len(), topic.missing);
}

#[test]
fn events_are_all_there_at_thirty_percent_loss() {
    let mut sim = Sim::new();
    sim.hub.topic_for(&Name::new("log").unwrap(), Kind::Event).unwrap();
    let place = sim.subscriber("log", |path| path.loss = "30%".parse().unwrap());
    sim.run(Duration::from_secs(8), |_, _| {});
    sim.run(Duration::from_secs(2), |sim, _| sim.publish("log", Kind::Event, 100));
    sim.run(Duration::from_secs(30), |_, _| {});
    let topic = only(&sim, place);
    assert_eq!((topic.items.len(), topic.missing), (2_000, 0));
}

#[test]
fn publishers_patches_are_applied_in_order_and_their_frames_come_through() {
    let mut sim = Sim::new();
    let place = sim.join(|path| path.loss = "10%".parse().unwrap());
    let watcher = sim.subscriber("up/*", |_| {});
    for (alias, topic, kind) in [(1, "up/state", Kind::State), (2, "up/frames", Kind::Frame)] {
        let kind = control::Kind::from(kind).into();
        sim.clients[place].say(control::Advertise { alias, topic: topic.into(), kind, ..Default::default() });
    }
    sim.run(Duration::from_secs(8), |_, _| {});
    let mut n = 0;
    sim.run(Duration::from_secs(3), |sim, millis| {
        if millis % 30 != 0 {
            return;
        }
        n += 1;
        let now = sim.now;
        let connection = &mut sim.clients[place].connection;
        let (mut patch, mut message) = (BytesMut::new(), BytesMut::new());
        Patch::Set(Value::map([("n", Value::from(n))])).encode(&mut patch);
        let header = Header { topic: 1, codec: wire::codec::STATE_PATCH, ..Header::data(Kind::State) };
        wire::put_message(&mut message, header, &patch);
        connection.write(&message);
        let mut frame = BytesMut::new();
        let header = Header { topic: 2, flags: Flags::KEYFRAME, codec: 1, ..Header::data(Kind::Frame) };
        wire::put_message(&mut frame, header, &[7; 20_000]);
        let deadline = Some(now + Duration::from_secs(1));
        connection.send(Item { flow: 2, bytes: frame.freeze(), order: Order::Latest, deadline });
    });
    sim.run(Duration::from_secs(5), |_, _| {});
    assert_eq!(sim.clients[place].errors, Vec::<String>::new());
    let topics: Vec<&Topic> = sim.clients[watcher].topics.values().collect();
    let state = topics.iter().find(|topic| topic.kind == Some(Kind::State)).unwrap();
    assert_eq!(state.latest(), Value::map([("n", Value::from(n))]));
    assert_eq!(state.updates.last().unwrap().0, n as u64, "each patch made a version");
    let frames = topics.iter().find(|topic| topic.kind == Some(Kind::Frame)).unwrap();
    // Of 17 datagrams each; those that have to be sent again are obsolete when a later one was not.
    assert!(frames.items.len() > 25, "{} of {n} frames", frames.items.len());
}

#[test]
fn a_flood_of_forged_addresses_takes_no_memory_and_disturbs_nobody() {
    let mut sim = Sim::new();
    sim.publish_state("world", 0, "x");
    let place = sim.subscriber("world", |_| {});
    sim.run(Duration::from_secs(1), |_, _| {});
    let mut knock = Vec::new();
    Connection::client(sim.now, 9, Config::default()).poll_transmit(sim.now, &mut knock);
    let mut cookie = knock.clone();
    Packet::Open { id: 9, cookie: &[7; 40], number: 0, frames: &[1] }.encode(&mut cookie);
    let mut published = 0;
    sim.run(Duration::from_secs(2), |sim, millis| {
        let mut batch = Batch::default();
        for port in 0..200u16 {
            let forged = SocketAddr::from(([203, 0, 113, millis as u8], port));
            for datagram in [&knock[..], &cookie[1200..], &knock[..20], &[3; 30], b""] {
                sim.host.handle_datagram(sim.now, forged, None, datagram, &mut batch);
                while let Some((_, answer)) = batch.pop() {
                    assert!(answer.len() < datagram.len());
                }
            }
        }
        if millis % 20 == 0 {
            published += 1;
            sim.publish_state("world", published, "x");
        }
    });
    assert_eq!(sim.host.len(), 1);
    assert!(sim.host.reception.answered > 100_000);
    assert!(sim.host.reception.refused[&Refused::Cookie] > 100_000);
    assert!(sim.host.reception.refused[&Refused::Malformed] > 100_000);
    sim.run(Duration::from_secs(1), |_, _| {});
    let topic = only(&sim, place);
    assert!(topic.latest() == final_value(&sim));
    assert!(topic.updates.len() as i64 > published * 9 / 10, "others are not affected");
}

#[test]
fn a_handshake_that_was_recorded_lets_nobody_in_again() {
    let mut sim = Sim::new();
    let place = sim.join(|_| {});
    let client = &mut sim.clients[place];
    let (now, address, mut datagram, mut batch) = (sim.now, client.address, Vec::new(), Batch::default());
    client.connection.poll_transmit(now, &mut datagram);
    sim.host.handle_datagram(now, address, None, &datagram, &mut batch);
    client.connection.handle_datagram(now, &batch.pop().unwrap().1).unwrap();
    client.connection.poll_transmit(now, &mut datagram);
    for _ in 0..100 {
        sim.host.handle_datagram(now, address, None, &datagram, &mut batch);
    }
    assert_eq!(sim.host.len(), 1);
    sim.run(Duration::from_secs(1), |_, _| {});
    assert!(sim.clients[place].is_welcome);
    sim.clients[place].connection.close();
    sim.run(Duration::from_secs(1), |_, _| {});
    assert_eq!((sim.host.len(), sim.host.reception.left[0].repeated), (0, 99));
    sim.host.handle_datagram(sim.now, address, None, &datagram, &mut batch);
    assert_eq!((sim.host.len(), sim.host.reception.refused[&Refused::Replayed]), (0, 1));
}

#[test]
fn who_says_no_hello_is_told_and_gone_and_who_is_silent_too() {
    let mut sim = Sim::new();
    let place = sim.join(|_| {});
    // A client that never gets as far as its hello: its stream says something else.
    let mut stranger = Connection::client(sim.now, 99, Config::default());
    let mut ping = BytesMut::new();
    control::put(&mut ping, control::Ping { nonce: 1 });
    stranger.write(&ping);
    sim.clients[place].connection = stranger;
    sim.run(Duration::from_secs(4), |_, _| {});
    assert_eq!(sim.clients[place].errors.len(), 1, "{:?}", sim.clients[place].errors);
    assert!(sim.clients[place].connection.is_closed());
    assert_eq!(sim.host.len(), 0);

    let silent = sim.subscriber("*", |_| {});
    sim.run(Duration::from_secs(1), |_, _| {});
    assert_eq!(sim.host.len(), 1);
    let now = sim.now;
    sim.clients[silent].up.cut(now, true);
    sim.run(Duration::from_secs(35), |_, _| {});
    assert_eq!(sim.host.len(), 0);
}

#[test]
fn at_the_end_peers_get_what_is_there_and_a_goodbye() {
    let mut sim = Sim::new();
    sim.publish_state("world", 1, "x");
    let place = sim.subscriber("world", |path| path.loss = "20%".parse().unwrap());
    sim.run(Duration::from_secs(5), |_, _| {});
    sim.publish_state("world", 2, "x");
    sim.hub.drain();
    sim.run(Duration::from_secs(4), |_, _| {});
    assert!(sim.clients[place].goodbye);
    assert!(only(&sim, place).latest() == final_value(&sim));
    assert_eq!(sim.host.len(), 0);
}

#[test]
fn who_comes_back_from_its_address_takes_the_place_of_what_was_there() {
    let mut sim = Sim::new();
    sim.publish_state("world", 1, "x");
    let place = sim.subscriber("world", |_| {});
    sim.run(Duration::from_secs(1), |_, _| {});
    let address = sim.clients[place].address;
    let again = sim.subscriber("world", |_| {});
    sim.clients.swap_remove(place);
    sim.clients[again - 1].address = address;
    sim.run(Duration::from_secs(1), |_, _| {});
    assert_eq!((sim.host.len(), sim.host.reception.left.len()), (1, 1));
    assert!(only(&sim, 0).latest() == final_value(&sim));
}
