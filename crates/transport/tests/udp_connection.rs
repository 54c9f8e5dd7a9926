//! Two ends of a connection over bad paths, in virtual time.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use nyx_core::Instant;
use nyx_netem::{Conditions, Path};
use nyx_transport::udp::connection::{
    Config, Connection, DATAGRAM_MIN, Door, Entrance, Event, Fate, Item, Order, Packet, Reason,
};

/// A client, a hub behind its door, and a path each way.
struct Pair {
    now: Instant,
    door: Door,
    client: Connection,
    server: Option<Connection>,
    config: Config,
    up: Path,
    down: Path,
    /// What has come out at the hub's end and at the client's.
    heard: [Heard; 2],
    most_answered: usize,
}

#[derive(Default)]
struct Heard {
    stream: BytesMut,
    items: Vec<Bytes>,
    fates: Vec<(u64, Fate)>,
    closed: Option<Reason>,
}

impl Heard {
    fn drain(&mut self, end: &mut Connection) {
        end.take_stream(&mut self.stream);
        self.items.extend(std::iter::from_fn(|| end.take_item()));
        while let Some(event) = end.poll_event() {
            match event {
                Event::Settled { number, fate } => self.fates.push((number, fate)),
                Event::Closed(reason) => self.closed = Some(reason),
            }
        }
    }

    fn count(&self, fate: Fate) -> usize {
        self.fates.iter().filter(|(_, found)| *found == fate).count()
    }
}

fn peer() -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 7], 4000))
}

fn conditions(change: impl FnOnce(&mut Conditions)) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.delay = Duration::from_millis(25);
    change(&mut conditions);
    conditions
}

impl Pair {
    fn new(conditions: &Conditions, config: Config) -> Self {
        let mut back = conditions.clone();
        back.seed += 1000;
        Self {
            now: Instant::ZERO,
            door: Door::new([9; 32]),
            client: Connection::client(Instant::ZERO, 7, config),
            server: None,
            config,
            up: Path::new(conditions.clone()),
            down: Path::new(back),
            heard: Default::default(),
            most_answered: 0,
        }
    }

    /// Lets time pass, and has `at` look and act every millisecond.
    fn run(&mut self, time: Duration, mut each: impl FnMut(&mut Self)) {
        let end = self.now + time;
        while self.now < end {
            self.now = self.now + Duration::from_millis(1);
            each(self);
            self.turn();
        }
    }

    fn connect(&mut self) {
        self.run(Duration::from_secs(5), |_| {});
        assert!(self.server.is_some() && self.client.is_ready());
    }

    fn turn(&mut self) {
        let now = self.now;
        let mut datagram = Vec::new();
        if self.client.poll_timeout().is_some_and(|at| at <= now) {
            self.client.handle_timeout(now);
        }
        while self.client.poll_transmit(now, &mut datagram) {
            self.up.handle_input(now, Bytes::copy_from_slice(&datagram));
        }
        while let Some(datagram) = self.up.poll_output(now) {
            self.receive(&datagram);
        }
        if let Some(server) = &mut self.server {
            if server.poll_timeout().is_some_and(|at| at <= now) {
                server.handle_timeout(now);
            }
            self.heard[0].drain(server);
            while server.poll_transmit(now, &mut datagram) {
                self.down.handle_input(now, Bytes::copy_from_slice(&datagram));
            }
        }
        while let Some(datagram) = self.down.poll_output(now) {
            let _ = self.client.handle_datagram(now, &datagram);
        }
        self.heard[1].drain(&mut self.client);
    }

    fn receive(&mut self, datagram: &[u8]) {
        if let Some(server) = &mut self.server {
            server.handle_datagram(self.now, datagram).unwrap();
            return;
        }
        match self.door.handle(self.now, peer(), datagram) {
            Entrance::Answer(answer) => {
                assert!(answer.len() < datagram.len());
                self.most_answered = self.most_answered.max(answer.len());
                self.down.handle_input(self.now, answer.into());
            }
            Entrance::Open { id } => {
                let server = self.server.insert(Connection::server(self.now, id, self.config));
                server.handle_datagram(self.now, datagram).unwrap();
            }
            Entrance::Refused(reason) => panic!("{reason:?}"),
        }
    }
}

fn text(length: usize, salt: usize) -> Vec<u8> {
    (0..length).map(|at| ((at * 31 + salt * 7) % 251) as u8).collect()
}

/// A megabyte each way, whatever the path does.
fn carries_the_stream(change: impl FnOnce(&mut Conditions), within: Duration) {
    let mut pair = Pair::new(&conditions(change), Config::default());
    let (up, down) = (text(1_000_000, 1), text(1_000_000, 2));
    pair.client.write(&up);
    let mut begun = false;
    pair.run(within, |pair| {
        if let Some(server) = pair.server.as_mut().filter(|_| !std::mem::replace(&mut begun, true)) {
            server.write(&down);
        } else if pair.server.is_none() {
            begun = false;
        }
    });
    assert!(pair.heard[0].stream == up, "{} of {} bytes came up", pair.heard[0].stream.len(), up.len());
    assert!(pair.heard[1].stream == down, "{} of {} bytes came down", pair.heard[1].stream.len(), down.len());
    assert_eq!(pair.client.unsettled_bytes(), 0);
}

#[test]
fn the_stream_loses_nothing_at_five_percent() {
    carries_the_stream(|path| path.loss = "5%".parse().unwrap(), Duration::from_secs(20));
}

#[test]
fn the_stream_loses_nothing_at_thirty_percent() {
    carries_the_stream(|path| path.loss = "30%".parse().unwrap(), Duration::from_secs(120));
}

#[test]
fn the_stream_keeps_its_order_where_the_path_does_not() {
    carries_the_stream(
        |path| {
            path.reorder = Some("5%:50".parse().unwrap());
            path.duplicate = "10%".parse().unwrap();
            path.jitter = Duration::from_millis(10);
        },
        Duration::from_secs(30),
    );
}

/// Sends an item of `bytes` every 20 ms for ten seconds, of the given order and with 200 ms for each. Returns the pair when all is over.
fn send_items(change: impl FnOnce(&mut Conditions), bytes: usize, order: Order) -> Pair {
    let mut pair = Pair::new(&conditions(change), Config::default());
    pair.connect();
    let mut sent = 0;
    pair.run(Duration::from_secs(10), |pair| {
        if pair.now.as_nanos() / 1_000_000 % 20 == 0 {
            let mut item = text(bytes, sent);
            item[..4].copy_from_slice(&u32::try_from(sent).unwrap().to_be_bytes());
            let deadline = Some(pair.now + Duration::from_millis(200));
            pair.client.send(Item { flow: 3, bytes: item.into(), order, deadline });
            sent += 1;
        }
    });
    pair.run(Duration::from_secs(5), |_| {});
    let heard = &pair.heard[0];
    let numbers: Vec<usize> =
        heard.items.iter().map(|item| u32::from_be_bytes(item[..4].try_into().unwrap()) as usize).collect();
    assert!(numbers.is_sorted(), "in order and none twice");
    for (item, number) in heard.items.iter().zip(&numbers) {
        assert!(item[4..] == text(bytes, *number)[4..], "item {number} is as it was sent");
    }
    assert_eq!(pair.heard[1].fates.len(), sent, "each item has a fate");
    assert_eq!(pair.client.unsettled_bytes(), 0);
    pair
}

#[test]
fn large_items_arrive_whole_though_hardly_one_does_at_the_first_try() {
    // 39 datagrams each: at 5 % loss 14 of a hundred would arrive.
    let pair = send_items(|path| path.loss = "5%".parse().unwrap(), 46_000, Order::InOrder);
    let (arrived, expired) = (pair.heard[0].items.len(), pair.heard[1].count(Fate::Expired));
    assert!(arrived >= 480, "{arrived} arrived, {expired} expired");
}

#[test]
fn of_the_latest_the_latest_arrives_and_the_rest_is_obsolete() {
    let pair = send_items(|path| path.loss = "30%".parse().unwrap(), 3_000, Order::Latest);
    let (arrived, late) = (pair.heard[0].items.len(), pair.heard[1].count(Fate::Expired));
    assert!(arrived > 200, "{arrived}");
    assert!(pair.heard[1].count(Fate::Obsolete) > 50, "{late} expired");
}

#[test]
fn items_in_order_go_on_behind_what_was_given_up() {
    let pair = send_items(|path| path.loss = "60%".parse().unwrap(), 3_000, Order::InOrder);
    let (arrived, expired) = (pair.heard[0].items.len(), pair.heard[1].count(Fate::Expired));
    assert!(arrived > 5 && expired > 50, "{arrived} arrived, {expired} expired");
}

#[test]
fn a_path_that_carries_less_than_before_is_noticed() {
    let mut pair = Pair::new(&conditions(|_| {}), Config::default());
    pair.connect();
    assert_eq!(pair.client.datagram_bytes(), 1472);
    let mut number = 0;
    pair.run(Duration::from_secs(6), |pair| {
        let millis = pair.now.as_nanos() / 1_000_000;
        if millis % 50 == 0 {
            pair.client.send(Item {
                flow: 1,
                bytes: text(5_000, number).into(),
                order: Order::InOrder,
                deadline: None,
            });
            number += 1;
        }
        if millis == 7_000 {
            pair.up.set(pair.now, conditions(|path| path.mtu = Some(1272)));
        }
    });
    pair.run(Duration::from_secs(3), |_| {});
    assert_eq!(pair.heard[0].items.len(), number);
    assert!(pair.up.counters().too_large > 0);
    assert!((1200..=1272).contains(&pair.client.datagram_bytes()), "{}", pair.client.datagram_bytes());
}

#[test]
fn a_path_that_is_cut_for_ten_seconds_goes_on_where_it_stopped() {
    let mut pair = Pair::new(&conditions(|_| {}), Config::default());
    pair.connect();
    pair.client.write(&text(500_000, 1));
    pair.run(Duration::from_millis(60), |_| {});
    for cut in [true, false] {
        pair.up.cut(pair.now, cut);
        pair.down.cut(pair.now, cut);
        pair.run(Duration::from_secs(10), |_| {});
    }
    assert!(pair.heard[0].stream == text(500_000, 1), "{} bytes came", pair.heard[0].stream.len());
}

#[test]
fn an_address_that_is_gone_for_good_is_noticed_by_both_ends() {
    let mut pair = Pair::new(&conditions(|_| {}), Config::default());
    pair.connect();
    pair.up.cut(pair.now, true);
    pair.down.cut(pair.now, true);
    pair.run(Duration::from_secs(31), |_| {});
    assert_eq!(pair.heard.each_ref().map(|heard| heard.closed), [Some(Reason::Silent); 2]);
    assert_eq!(pair.client.poll_timeout(), None);
}

#[test]
fn a_clock_that_jumps_ahead_loses_nothing_that_has_no_deadline() {
    let mut pair = Pair::new(&conditions(|_| {}), Config::default());
    pair.connect();
    pair.client.write(&text(100_000, 1));
    pair.run(Duration::from_millis(30), |_| {});
    pair.now = pair.now + Duration::from_secs(20);
    pair.run(Duration::from_secs(5), |_| {});
    assert!(pair.heard[0].stream == text(100_000, 1), "{} bytes came", pair.heard[0].stream.len());
    assert_eq!(pair.heard[1].closed, None);
}

#[test]
fn who_does_not_consume_is_not_sent_more_than_a_window() {
    let mut pair = Pair::new(&conditions(|_| {}), Config::default());
    pair.connect();
    let server = pair.server.as_mut().unwrap();
    server.set_unconsumed(1 << 20);
    pair.client.write(b"so that it is acknowledged");
    pair.run(Duration::from_secs(1), |_| {});
    assert_eq!(pair.client.unsettled_bytes(), 1 << 20);
    let before = pair.heard[0].stream.len();
    pair.client.write(&text(100_000, 1));
    pair.run(Duration::from_secs(3), |_| {});
    assert_eq!(pair.heard[0].stream.len(), before);
    pair.server.as_mut().unwrap().set_unconsumed(0);
    pair.run(Duration::from_secs(1), |_| {});
    assert_eq!((pair.heard[0].stream.len() - before, pair.client.unsettled_bytes()), (100_000, 0));
}

#[test]
fn who_waits_for_room_says_nothing_meanwhile() {
    let mut pair = Pair::new(&conditions(|_| {}), Config::default());
    pair.connect();
    pair.server.as_mut().unwrap().set_unconsumed((1 << 20) - 2000);
    pair.client.write(b"so that it is acknowledged");
    pair.run(Duration::from_secs(1), |_| {});
    let (came, sent) = (pair.heard[0].stream.len(), pair.client.stats().sent);
    pair.client.write(&text(100_000, 1));
    pair.run(Duration::from_secs(3), |_| {});
    // A round trip at a time it sends what there is room for, and nothing that only asks for more.
    let sent = pair.client.stats().sent - sent;
    assert!((50..500).contains(&sent), "{sent} datagrams");
    pair.server.as_mut().unwrap().set_unconsumed(0);
    pair.run(Duration::from_secs(1), |_| {});
    assert_eq!((pair.heard[0].stream.len() - came, pair.client.unsettled_bytes()), (100_000, 0));
}

#[test]
fn replayed_and_truncated_datagrams_are_counted_and_change_nothing() {
    let mut pair = Pair::new(&conditions(|_| {}), Config::default());
    pair.connect();
    let mut datagram = Vec::new();
    pair.client.write(b"once");
    assert!(pair.client.poll_transmit(pair.now, &mut datagram));
    let (now, server) = (pair.now, pair.server.as_mut().unwrap());
    let before = server.stats();
    for length in 0..datagram.len() {
        // Cut behind a whole frame, it would be a datagram.
        let _ = server.handle_datagram(now, &datagram[..length]);
    }
    let cut = server.stats();
    assert!(cut.malformed - before.malformed > 10);
    let mut taken = BytesMut::new();
    for _ in 0..100 {
        server.handle_datagram(now, &datagram).unwrap();
    }
    server.take_stream(&mut taken);
    assert!(server.stats().repeated >= 99);
    assert!(taken.is_empty() || &taken[..] == b"once");
}

#[test]
fn a_closed_connection_says_so_once_and_a_forgotten_one_is_gone() {
    let mut pair = Pair::new(&conditions(|_| {}), Config::default());
    pair.connect();
    pair.server.as_mut().unwrap().close();
    pair.run(Duration::from_millis(100), |_| {});
    assert_eq!(pair.heard[1].closed, Some(Reason::There));
    assert!(pair.client.is_drained());

    let mut pair = Pair::new(&conditions(|_| {}), Config::default());
    pair.connect();
    pair.server = None;
    pair.client.write(b"anybody there?");
    pair.run(Duration::from_millis(100), |_| {});
    assert_eq!(pair.heard[1].closed, Some(Reason::Gone));
}

#[test]
fn until_the_cookie_has_come_back_nothing_is_larger_than_what_asked_for_it() {
    let pair = {
        let mut pair = Pair::new(&conditions(|path| path.loss = "50%".parse().unwrap()), Config::default());
        pair.client.write(b"hello");
        pair.run(Duration::from_secs(20), |_| {});
        pair
    };
    assert!(pair.server.is_some());
    assert!((1..100).contains(&pair.most_answered));
    let mut knock = Vec::new();
    Connection::client(pair.now, 1, Config::default()).poll_transmit(pair.now, &mut knock);
    assert_eq!(knock.len(), DATAGRAM_MIN);
    assert!(matches!(Packet::decode(&knock), Ok(Packet::Open { cookie: [], .. })));
}

/// Sends twenty items, one after the other, to an end that has room for hardly more than one, each with so much time. Returns how many have arrived.
fn squeeze(seed: u64, bytes: usize, order: Order, time: Option<Duration>) -> usize {
    let path = conditions(|path| (path.loss, path.seed) = ("10%".parse().unwrap(), seed));
    let mut config = Config::default();
    (config.item_bytes, config.incoming_bytes) = (bytes, bytes + bytes / 6);
    let mut pair = Pair::new(&path, config);
    pair.connect();
    let mut sent = 0;
    pair.run(Duration::from_secs(30), |pair| {
        if sent < 20 && pair.client.is_ready() {
            let deadline = time.map(|time| pair.now + time);
            pair.client.send(Item { flow: 3, bytes: text(bytes, sent).into(), order, deadline });
            sent += 1;
        }
    });
    pair.heard[0].items.len()
}

#[test]
fn an_item_for_which_there_is_no_room_yet_does_not_keep_away_what_would_make_room() {
    let time = Some(Duration::from_millis(400));
    // A large one does not begin behind others, and a small one not behind what is sent again.
    for (seed, bytes) in (0..3).flat_map(|seed| [(seed, 60_000), (seed, 20_000)]) {
        // The end of the item before is what would.
        assert_eq!(squeeze(seed, bytes, Order::InOrder, None), 20);
        // Or that it was given up.
        let arrived = squeeze(seed, bytes, Order::InOrder, time);
        assert!(arrived > 8, "{arrived}");
    }
}
