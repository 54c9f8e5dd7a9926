//! Paths of datagrams in virtual time.

use std::time::Duration;

use bytes::Bytes;
use nyx_core::{Bitrate, ByteSize, Instant};
use nyx_netem::path::{BYTES_MAX, Counters, DATAGRAMS_MAX};
use nyx_netem::{Conditions, Path};
use proptest::prelude::*;

fn path(change: impl FnOnce(&mut Conditions)) -> Path {
    let mut conditions = Conditions::default();
    change(&mut conditions);
    Path::new(conditions)
}

fn at_millis(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

fn datagram(number: u32) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

/// Sends so many, one a millisecond, and runs until nothing is on its way; when each arrived, and its number.
fn run(path: &mut Path, count: u32) -> Vec<(Instant, u32)> {
    let mut arrived = Vec::new();
    let mut take = |path: &mut Path, now| {
        while let Some(datagram) = path.poll_output(now) {
            arrived.push((now, u32::from_be_bytes(datagram[..4].try_into().unwrap())));
        }
    };
    for number in 0..count {
        let now = at_millis(number.into());
        while let Some(at) = path.poll_timeout().filter(|at| *at < now) {
            take(path, at);
        }
        path.handle_input(now, datagram(number));
        take(path, now);
    }
    while let Some(at) = path.poll_timeout() {
        take(path, at);
    }
    arrived
}

fn numbers(arrived: &[(Instant, u32)]) -> Vec<u32> {
    arrived.iter().map(|(_, number)| *number).collect()
}

#[test]
fn nothing_happens_where_nothing_is_set() {
    let mut path = path(|_| {});
    let arrived = run(&mut path, 100);
    assert_eq!(arrived, (0..100).map(|number| (at_millis(number.into()), number)).collect::<Vec<_>>());
}

#[test]
fn thirty_percent_are_lost_each_by_itself() {
    let mut path = path(|conditions| conditions.loss = "30%".parse().unwrap());
    let arrived = numbers(&run(&mut path, 10_000));
    assert_eq!(arrived.len() as u64 + path.counters().lost, 10_000);
    assert!((2_800..3_200).contains(&path.counters().lost));
    // As often after a loss as anywhere: the next after one that was lost arrives in seven of ten cases.
    let pairs = arrived.windows(2).filter(|pair| pair[1] - pair[0] == 2).count();
    assert!((1_300..1_650).contains(&pairs), "{pairs}");
}

#[test]
fn bursts_are_as_long_and_as_often_as_they_should_be() {
    let mut path = path(|conditions| conditions.loss = "burst:1%,25%".parse().unwrap());
    let arrived = numbers(&run(&mut path, 100_000));
    let bursts: Vec<_> =
        arrived.windows(2).map(|pair| pair[1] - pair[0] - 1).filter(|gap| *gap > 0).collect();
    let mean = f64::from(bursts.iter().sum::<u32>()) / bursts.len() as f64;
    assert!((3.5..4.5).contains(&mean), "{mean}");
    let share = path.counters().lost as f64 / 100_000.0;
    assert!((0.033..0.044).contains(&share), "{share}");
}

#[test]
fn what_is_held_back_arrives_behind_fifty_others() {
    let mut path = path(|conditions| conditions.reorder = Some("1%:50".parse().unwrap()));
    let arrived = numbers(&run(&mut path, 10_000));
    assert_eq!(arrived.len(), 10_000);
    let late = |(place, number): (usize, &u32)| {
        let behind = arrived[..place].iter().filter(|other| *other > number).count();
        (behind > 0).then_some(behind)
    };
    let late: Vec<_> = arrived.iter().enumerate().filter_map(late).collect();
    assert_eq!(late.len() as u64, path.counters().reordered);
    assert!((60..140).contains(&late.len()));
    // But for the last ones, behind which not enough come, and those of which several are held at once.
    assert!(late.iter().filter(|behind| **behind >= 45).count() * 10 >= late.len() * 9, "{late:?}");
}

#[test]
fn some_arrive_twice() {
    let mut path = path(|conditions| conditions.duplicate = "10%".parse().unwrap());
    let arrived = run(&mut path, 10_000);
    let Counters { delivered, duplicated, .. } = path.counters();
    assert_eq!((arrived.len() as u64, delivered), (10_000 + duplicated, 10_000 + duplicated));
    assert!((850..1_150).contains(&duplicated));
}

#[test]
fn datagrams_over_the_mtu_vanish_from_when_it_drops() {
    let mut path = path(|conditions| conditions.mtu = Some(1400));
    path.handle_input(Instant::ZERO, Bytes::from_static(&[0; 1400]));
    let mut conditions = Conditions::default();
    conditions.mtu = Some(1200);
    path.set(at_millis(1), conditions);
    path.handle_input(at_millis(1), Bytes::from_static(&[0; 1400]));
    path.handle_input(at_millis(1), Bytes::from_static(&[0; 1200]));
    let sizes: Vec<_> =
        std::iter::from_fn(|| path.poll_output(at_millis(1))).map(|bytes| bytes.len()).collect();
    assert_eq!((sizes, path.counters().too_large), (vec![1400, 1200], 1));
}

#[test]
fn the_rate_is_kept_and_the_queue_drops_its_tail() {
    let mut path = path(|conditions| {
        conditions.rate = Some(Bitrate::from_bytes_per_second(100_000));
        conditions.buffer = ByteSize::new(10_000);
        conditions.delay = Duration::from_millis(5);
    });
    for _ in 0..30 {
        path.handle_input(Instant::ZERO, Bytes::from_static(&[0; 1000]));
    }
    let mut times = Vec::new();
    while let Some(at) = path.poll_timeout() {
        times.extend(path.poll_output(at).map(|_| at));
    }
    assert_eq!(times, (1..=10).map(|number| at_millis(number * 10 + 5)).collect::<Vec<_>>());
    assert_eq!(path.counters().overflowed, 20);
}

#[test]
fn a_cut_loses_what_is_on_the_path_and_what_comes_until_it_returns() {
    let mut path = path(|conditions| conditions.delay = Duration::from_millis(10));
    path.handle_input(Instant::ZERO, datagram(0));
    path.cut(at_millis(5), true);
    path.handle_input(at_millis(6), datagram(1));
    assert_eq!(path.poll_timeout(), None);
    path.cut(at_millis(20), false);
    path.handle_input(at_millis(21), datagram(2));
    assert_eq!(path.poll_output(at_millis(31)), Some(datagram(2)));
    assert_eq!(path.counters().cut, 2);
}

#[test]
fn jitter_lets_datagrams_overtake_each_other() {
    let mut path = path(|conditions| conditions.jitter = Duration::from_millis(20));
    let arrived = run(&mut path, 1000);
    assert_eq!(arrived.len(), 1000);
    assert!(!arrived.is_sorted_by_key(|(_, number)| *number));
    let late = |(at, number): &(Instant, u32)| *at - at_millis((*number).into());
    assert!(arrived.iter().map(late).all(|late| late <= Duration::from_millis(20)));
}

#[test]
fn what_is_under_way_is_bounded() {
    let mut path = path(|conditions| conditions.delay = Duration::from_secs(3600));
    for number in 0..DATAGRAMS_MAX as u32 + 10 {
        path.handle_input(Instant::ZERO, datagram(number));
    }
    assert_eq!(path.counters().overflowed, 10);
}

#[test]
fn the_bytes_under_way_are_bounded_and_there_is_room_again_for_what_left() {
    let mut path = path(|conditions| {
        conditions.delay = Duration::from_secs(10);
        conditions.loss = "10%".parse().unwrap();
        conditions.duplicate = "10%".parse().unwrap();
        conditions.reorder = Some("10%:3".parse().unwrap());
    });
    let large = Bytes::from(vec![0; 64_000]);
    let fill = |path: &mut Path, now: Instant| {
        let before = path.counters().overflowed;
        while path.counters().overflowed == before {
            path.handle_input(now, large.clone());
        }
        // A doubled one may be the one too many.
        let Counters { received, duplicated, lost, delivered, cut, overflowed, .. } = path.counters();
        let held = (received + duplicated - lost - delivered - cut - overflowed) as usize * large.len();
        assert!(held <= BYTES_MAX + large.len() && held > BYTES_MAX - large.len(), "{held}");
    };
    fill(&mut path, at_millis(0));
    path.cut(at_millis(1), true);
    path.cut(at_millis(1), false);
    fill(&mut path, at_millis(2));
    while path.poll_output(at_millis(20_000)).is_some() {}
    fill(&mut path, at_millis(20_000));
}

#[test]
fn how_much_a_burst_loses_changes_nothing_else() {
    let fates = |loss: &str| {
        let mut path = path(|conditions| {
            conditions.loss = loss.parse().unwrap();
            conditions.jitter = Duration::from_millis(20);
        });
        run(&mut path, 2_000)
    };
    let (all, most) = (fates("burst:2%,20%"), fates("burst:2%,20%,70%"));
    assert!(most.len() > all.len());
    assert!(all.iter().all(|arrived| most.contains(arrived)), "as late as where more is lost");
}

proptest! {
    #[test]
    fn the_same_seed_gives_the_same_fates_and_every_datagram_has_one(
        seed: u64, loss in 0.0..1.0f64, duplicate in 0.0..1.0f64, reorder in 0.0..1.0f64, by in 1usize..60, jitter in 0u64..50,
    ) {
        let bad = |conditions: &mut Conditions| {
            conditions.seed = seed;
            conditions.loss = loss.to_string().parse().unwrap();
            conditions.duplicate = duplicate.to_string().parse().unwrap();
            conditions.reorder = Some(format!("{reorder}:{by}").parse().unwrap());
            conditions.jitter = Duration::from_millis(jitter);
        };
        let (mut one, mut other) = (path(bad), path(bad));
        let arrived = run(&mut one, 300);
        prop_assert_eq!(&arrived, &run(&mut other, 300));
        let Counters { received, delivered, lost, overflowed, duplicated, .. } = one.counters();
        prop_assert_eq!(received + duplicated, delivered + lost + overflowed);
        prop_assert_eq!(arrived.len() as u64, delivered);
    }
}
