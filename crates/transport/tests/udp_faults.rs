//! Items in fragments over bad paths, in virtual time: what arrives is right, what does not is counted, and memory stays bounded.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use nyx_core::Instant;
use nyx_netem::{Conditions, Path};
use nyx_transport::udp::arrivals::{self, Arrivals};
use nyx_transport::udp::fragment::{Config, Header, Reassembler, Splitter, Stats, payload_max};

/// What a run came to.
struct Outcome {
    whole: HashMap<u32, Bytes>,
    items: Vec<Bytes>,
    fragments: u64,
    arrivals: arrivals::Stats,
    stats: Stats,
    lost: u64,
    most_bytes: usize,
}

fn item(length: usize, salt: usize) -> Bytes {
    (0..length).map(|position| ((position * 31 + salt) % 251) as u8).collect()
}

/// Sends 200 items of 8 KB, one every 10 ms, and then runs until everything is over.
fn run(
    change: impl FnOnce(&mut Conditions),
    mut before: impl FnMut(usize, Instant, &mut Path, &mut Splitter),
) -> Outcome {
    let mut conditions = Conditions::default();
    conditions.delay = Duration::from_millis(20);
    change(&mut conditions);
    let mut path = Path::new(conditions);
    let mut splitter = Splitter::new(payload_max(1500, false));
    let (mut reassembler, mut arrivals) = (Reassembler::new(Config::default()), Arrivals::default());
    let (mut whole, mut most_bytes, mut fragments) = (HashMap::new(), 0, 0);
    let mut deliver = |path: &mut Path, now| {
        while let Some(datagram) = path.poll_output(now) {
            let (header, _) = Header::decode(&datagram).unwrap();
            arrivals.handle(header.sequence);
            if let Some(item) = reassembler.handle(now, &datagram).unwrap() {
                assert!(whole.insert(item.number, item.bytes).is_none(), "an item came twice");
            }
            most_bytes = most_bytes.max(reassembler.bytes());
        }
    };
    let items: Vec<_> = (0..200).map(|number| item(8000, number)).collect();
    for (number, item) in items.iter().enumerate() {
        let now = Instant::ZERO + Duration::from_millis(10) * number as u32;
        while let Some(at) = path.poll_timeout().filter(|at| *at < now) {
            deliver(&mut path, at);
        }
        before(number, now, &mut path, &mut splitter);
        for fragment in splitter.split(item).unwrap() {
            fragments += 1;
            path.handle_input(now, fragment);
        }
    }
    let mut end = Instant::ZERO;
    while let Some(at) = path.poll_timeout() {
        deliver(&mut path, at);
        end = at;
    }
    while let Some(at) = reassembler.poll_timeout() {
        reassembler.handle_timeout(at);
        end = at;
    }
    assert_eq!((reassembler.bytes(), end > Instant::ZERO), (0, true));
    let counters = path.counters();
    Outcome {
        whole,
        items,
        fragments,
        arrivals: arrivals.stats(),
        stats: reassembler.stats(),
        lost: counters.lost + counters.cut + counters.too_large,
        most_bytes,
    }
}

/// Every item that is whole is what was sent, and every other was given up.
fn check(outcome: &Outcome) {
    for (number, bytes) in &outcome.whole {
        assert_eq!(bytes, &outcome.items[*number as usize]);
    }
    assert_eq!(outcome.stats.items, outcome.whole.len() as u64);
    assert!(outcome.most_bytes <= 8000 * 110, "{}", outcome.most_bytes);
}

#[test]
fn thirty_percent_of_loss_costs_the_items_that_it_hits_and_is_told_exactly() {
    let outcome = run(|conditions| conditions.loss = "30%".parse().unwrap(), |_, _, _, _| {});
    check(&outcome);
    // 0.7 ^ 6: an item is six fragments.
    assert!((8..40).contains(&outcome.whole.len()), "{}", outcome.whole.len());
    assert_eq!(outcome.arrivals.received, outcome.fragments - outcome.lost);
    // But for those before the first that arrived, and after the last.
    let missed = outcome.arrivals.lost + u64::from(outcome.arrivals.missing);
    assert!(missed <= outcome.lost && missed + 20 > outcome.lost, "{missed} of {}", outcome.lost);
}

#[test]
fn bursts_cost_fewer_items_than_as_much_loss_here_and_there() {
    let burst = run(|conditions| conditions.loss = "burst:1%,10%".parse().unwrap(), |_, _, _, _| {});
    let random = run(|conditions| conditions.loss = "9%".parse().unwrap(), |_, _, _, _| {});
    check(&burst);
    check(&random);
    assert!(burst.whole.len() > random.whole.len(), "{} and {}", burst.whole.len(), random.whole.len());
}

#[test]
fn reordering_by_fifty_and_doubling_lose_nothing() {
    let outcome = run(
        |conditions| {
            conditions.reorder = Some("10%:50".parse().unwrap());
            conditions.duplicate = "20%".parse().unwrap();
        },
        |_, _, _, _| {},
    );
    check(&outcome);
    assert_eq!(outcome.whole.len(), 200);
    assert_eq!(
        (outcome.arrivals.received + outcome.arrivals.too_old, outcome.arrivals.lost),
        (outcome.fragments, 0)
    );
    assert!(outcome.arrivals.reordered > 50 && outcome.arrivals.duplicates > 100);
}

#[test]
fn after_the_mtu_drops_smaller_fragments_get_through() {
    let mut dropped = Conditions::default();
    dropped.delay = Duration::from_millis(20);
    dropped.mtu = Some(payload_max(1280, false));
    let outcome = run(
        |_| {},
        |number, now, path, splitter| match number {
            100 => path.set(now, dropped.clone()),
            // The sender learns of it ten items later.
            110 => splitter.set_payload_max(payload_max(1280, false)),
            _ => {}
        },
    );
    check(&outcome);
    // What was under way when it dropped had passed already.
    assert_eq!(outcome.whole.len(), 190);
    assert!((100..110).all(|number| !outcome.whole.contains_key(&number)));
}

#[test]
fn a_cut_costs_what_was_under_way_and_nothing_after_it() {
    let outcome = run(|_| {}, |number, now, path, _| path.cut(now, (50..60).contains(&number)));
    check(&outcome);
    // Ten while it was cut, and those of the 20 ms before.
    assert_eq!(outcome.whole.len(), 188);
    assert!((62..200).all(|number| outcome.whole.contains_key(&number)));
}

#[test]
fn a_clock_that_steps_back_gives_nothing_up_early_and_breaks_nothing() {
    let mut splitter = Splitter::new(payload_max(1500, false));
    let mut reassembler = Reassembler::new(Config::default());
    let sent = item(5000, 1);
    let late = Instant::ZERO + Duration::from_secs(100);
    let mut whole = None;
    for (fragment, now) in splitter.split(&sent).unwrap().zip([late, Instant::ZERO, late, Instant::ZERO]) {
        whole = reassembler.handle(now, &fragment).unwrap().or(whole);
    }
    assert_eq!(whole.unwrap().bytes, sent);
}
