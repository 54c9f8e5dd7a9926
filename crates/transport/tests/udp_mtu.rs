//! What a path carries, found in virtual time over a network that loses, delays and changes.

use std::time::Duration;

use bytes::Bytes;
use nyx_core::Instant;
use nyx_netem::{Conditions, Path};
use nyx_transport::udp::fragment::{Config as Bounds, Reassembler, Splitter};
use nyx_transport::udp::mtu::{Config, Discovery};
use proptest::prelude::*;

/// A sender and a receiver that acknowledges each datagram, by a path there and a path back.
struct World {
    now: Instant,
    there: Path,
    back: Path,
    discovery: Discovery,
    splitter: Splitter,
    reassembler: Reassembler,
    /// Datagrams of data that are not acknowledged: number, bytes, and when they count as lost.
    under_way: Vec<(u32, usize, Instant)>,
    /// Whether data is acknowledged, or probes alone.
    reports: bool,
    next_item: usize,
    /// When each item was whole.
    whole: Vec<Instant>,
}

/// What the first byte of a datagram says.
const PROBE: u8 = 0;
const DATA: u8 = 1;

impl World {
    fn new(mtu: usize, reports: bool) -> Self {
        let conditions = conditions(mtu);
        Self {
            now: Instant::ZERO,
            there: Path::new(conditions.clone()),
            back: Path::new(conditions),
            discovery: Discovery::new(Config::default()),
            splitter: Splitter::new(0),
            reassembler: Reassembler::new(Bounds::default()),
            under_way: Vec::new(),
            reports,
            next_item: 0,
            whole: Vec::new(),
        }
    }

    /// Runs for a while, with an item of 8 KB every 100 ms.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let step = Duration::from_millis(5);
        while self.now < end {
            self.discovery.handle_timeout(self.now);
            while let Some(size) = self.discovery.poll_transmit(self.now) {
                self.there.handle_input(self.now, vec![PROBE; size].into());
            }
            if self.now.as_nanos() / 100_000_000 >= self.next_item as u64 {
                self.send_item();
            }
            self.arrive();
            self.acknowledge();
            self.lose();
            self.now = self.now + step;
        }
    }

    fn send_item(&mut self) {
        self.next_item += 1;
        self.splitter.set_payload_max(self.discovery.size() - 1);
        for fragment in self.splitter.split(&[7; 8000]).unwrap() {
            let datagram = Bytes::from([&[DATA], &fragment[..]].concat());
            let number = u32::from_be_bytes(fragment[..4].try_into().unwrap());
            self.under_way.push((number, datagram.len(), self.now + Duration::from_millis(60)));
            self.there.handle_input(self.now, datagram);
        }
    }

    fn arrive(&mut self) {
        while let Some(datagram) = self.there.poll_output(self.now) {
            if datagram[0] == DATA && self.reassembler.handle(self.now, &datagram[1..]).unwrap().is_some() {
                self.whole.push(self.now);
            }
            let mut answer = vec![datagram[0]];
            match datagram[0] {
                PROBE => answer.extend((datagram.len() as u32).to_be_bytes()),
                _ if self.reports => answer.extend(&datagram[1..5]),
                _ => continue,
            }
            self.back.handle_input(self.now, answer.into());
        }
    }

    fn acknowledge(&mut self) {
        while let Some(answer) = self.back.poll_output(self.now) {
            let number = u32::from_be_bytes(answer[1..5].try_into().unwrap());
            if answer[0] == PROBE {
                self.discovery.handle_acked(self.now, number as usize);
            } else if let Some(at) = self.under_way.iter().position(|(other, ..)| *other == number) {
                self.discovery.handle_acked(self.now, self.under_way.remove(at).1);
            }
        }
    }

    fn lose(&mut self) {
        let now = self.now;
        for (_, bytes, _) in self.under_way.extract_if(.., |(_, _, until)| *until <= now) {
            if self.reports {
                self.discovery.handle_lost(now, bytes);
            }
        }
    }
}

fn conditions(mtu: usize) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.delay = Duration::from_millis(20);
    conditions.mtu = Some(mtu);
    conditions
}

#[test]
fn a_path_that_carries_ethernet_is_known_after_two_round_trips() {
    let mut world = World::new(1472, true);
    world.run(Duration::from_millis(100));
    assert_eq!((world.discovery.size(), world.discovery.is_complete()), (1472, true));
    assert_eq!(world.discovery.stats().probes, 2);
}

#[test]
fn a_path_that_carries_less_is_searched_without_costing_an_item() {
    let mut world = World::new(1372, true);
    world.run(Duration::from_secs(30));
    assert!(world.discovery.is_complete());
    assert!((1357..=1372).contains(&world.discovery.size()), "{}", world.discovery.size());
    // The last are on their way.
    assert!(world.whole.len() + 2 >= world.next_item, "{} of {}", world.whole.len(), world.next_item);
}

#[test]
fn after_the_mtu_drops_items_get_through_again_once_the_loss_is_seen() {
    let mut world = World::new(1472, true);
    world.run(Duration::from_secs(2));
    assert_eq!(world.discovery.size(), 1472);
    world.there.set(world.now, conditions(1300));
    let dropped = world.now;
    world.run(Duration::from_secs(20));
    assert_eq!(world.discovery.stats().black_holes, 1);
    assert!((1285..=1300).contains(&world.discovery.size()), "{}", world.discovery.size());
    let again = world.whole.iter().find(|at| **at > dropped + Duration::from_millis(25)).unwrap();
    // An item, its loss, and the next item.
    assert!(*again - dropped <= Duration::from_millis(250), "{:?}", *again - dropped);
}

#[test]
fn after_the_mtu_drops_a_sender_that_is_told_of_nothing_but_probes_recovers_as_well() {
    let mut world = World::new(1472, false);
    world.run(Duration::from_secs(2));
    world.there.set(world.now, conditions(1300));
    let dropped = world.now;
    world.run(Duration::from_secs(30));
    assert_eq!(world.discovery.stats().black_holes, 1);
    assert!((1285..=1300).contains(&world.discovery.size()), "{}", world.discovery.size());
    let again = world.whole.iter().find(|at| **at > dropped + Duration::from_millis(25)).unwrap();
    // The time until it is confirmed, and three probes.
    assert!(*again - dropped <= Duration::from_millis(8_200), "{:?}", *again - dropped);
}

#[test]
fn a_path_that_does_not_carry_the_base_gets_the_least_until_it_does() {
    let mut world = World::new(1000, true);
    world.run(Duration::from_secs(6));
    assert_eq!((world.discovery.size(), world.discovery.is_complete()), (548, false));
    world.there.set(world.now, conditions(1472));
    world.run(Duration::from_secs(9));
    assert_eq!((world.discovery.size(), world.discovery.is_complete()), (1472, true));
}

#[test]
fn a_path_that_carries_more_than_before_is_found_when_it_is_time_to_ask() {
    let mut world = World::new(1300, true);
    world.run(Duration::from_secs(20));
    world.there.set(world.now, conditions(1472));
    world.run(Duration::from_secs(580));
    assert!(world.discovery.size() <= 1300);
    world.run(Duration::from_secs(15));
    assert_eq!(world.discovery.size(), 1472);
}

#[test]
fn a_size_that_this_system_refuses_is_given_up_at_once() {
    let mut discovery = Discovery::new(Config::default());
    assert_eq!(discovery.poll_transmit(Instant::ZERO), Some(1200));
    discovery.handle_acked(Instant::ZERO, 1200);
    assert_eq!(discovery.poll_transmit(Instant::ZERO), Some(1472));
    discovery.handle_too_large(Instant::ZERO, 1472);
    assert!(discovery.poll_transmit(Instant::ZERO).is_some_and(|size| size < 1472));
    assert_eq!(discovery.size(), 1200);
}

#[test]
fn losses_among_datagrams_that_arrive_are_congestion_and_change_nothing() {
    let mut discovery = Discovery::new(Config::default());
    for size in [1200, 1472] {
        assert_eq!(discovery.poll_transmit(Instant::ZERO), Some(size));
        discovery.handle_acked(Instant::ZERO, size);
    }
    for _ in 0..100 {
        for _ in 0..5 {
            discovery.handle_lost(Instant::ZERO, 1472);
        }
        discovery.handle_acked(Instant::ZERO, 1472);
    }
    assert_eq!((discovery.size(), discovery.stats().black_holes), (1472, 0));
}

proptest! {
    /// Whatever a path carries, and though every third probe is lost, no more is sent than it carries, and hardly less.
    #[test]
    fn ends_within_a_step_of_what_is_carried(carried in 548usize..70_000, max in 548usize..65_507, lost in 0u64..3) {
        let mut config = Config::default();
        config.max = max;
        let (mut discovery, mut now) = (Discovery::new(config), Instant::ZERO);
        for _ in 0..200 {
            if let Some(size) = discovery.poll_transmit(now) {
                if size <= carried && discovery.stats().probes % 3 != lost {
                    discovery.handle_acked(now, size);
                }
            } else {
                now = discovery.poll_timeout();
                discovery.handle_timeout(now);
            }
            prop_assert!(discovery.size() <= carried.max(1200));
            if discovery.is_complete() {
                break;
            }
        }
        let most = carried.min(max.max(1200));
        if most >= 1200 {
            prop_assert!(discovery.is_complete() && discovery.size() + 16 > most, "{} of {most}", discovery.size());
        } else {
            prop_assert_eq!(discovery.size(), 548);
        }
    }

    #[test]
    fn nothing_that_is_told_breaks_it(steps in prop::collection::vec((0u8..5, 0usize..2000, 0u64..2_000_000_000), 0..300)) {
        let (mut discovery, mut now) = (Discovery::new(Config::default()), Instant::ZERO);
        for (kind, bytes, nanos) in steps {
            now = now + Duration::from_nanos(nanos);
            match kind {
                0 => drop(discovery.poll_transmit(now)),
                1 => discovery.handle_acked(now, bytes),
                2 => discovery.handle_lost(now, bytes),
                3 => discovery.handle_too_large(now, bytes),
                _ => discovery.handle_timeout(now),
            }
            prop_assert!((548..=1472).contains(&discovery.size()));
        }
    }
}
