//! A link in virtual time.

use std::time::Duration;

use bytes::Bytes;
use nyx_core::{Bitrate, ByteSize, Instant};
use nyx_netem::link::{Full, SEGMENT, SEGMENTS_MAX};
use nyx_netem::{Impairment, Link};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn impairment(change: impl FnOnce(&mut Impairment)) -> Impairment {
    let mut impairment = Impairment::default();
    change(&mut impairment);
    impairment
}

fn bytes_per_second(bytes: u64) -> Option<Bitrate> {
    Some(Bitrate::from_bytes_per_second(bytes))
}

fn at_micros(micros: u64) -> Instant {
    Instant::ZERO + Duration::from_micros(micros)
}

/// Bytes that tell their position.
fn content(length: usize) -> Bytes {
    (0..length).map(|position| (position % 251) as u8).collect()
}

/// Bytes offered from a moment on, and by when they were in.
struct Sender {
    offers: Vec<(Instant, Bytes)>,
    /// For each byte, when it entered.
    entered: Vec<Instant>,
}

impl Sender {
    /// Offers of these lengths, each so long after the one before.
    fn new(gaps_and_lengths: &[(Duration, usize)]) -> Self {
        let mut rest = content(gaps_and_lengths.iter().map(|(_, length)| length).sum());
        let mut at = Instant::ZERO;
        let mut offer = |&(gap, length): &(Duration, usize)| {
            at = at + gap;
            (at, rest.split_to(length))
        };
        let mut offers: Vec<_> = gaps_and_lengths.iter().map(&mut offer).collect();
        offers.push((at, Bytes::new()));
        offers.reverse();
        Self { offers, entered: Vec::new() }
    }

    fn next_at(&self) -> Option<Instant> {
        self.offers.last().map(|(at, _)| *at)
    }

    fn send(&mut self, now: Instant, link: &mut Link) {
        while self.next_at().is_some_and(|at| at <= now) {
            let Some((at, data)) = self.offers.pop() else { return };
            let length = data.len();
            let refused = link.handle_input(now, data).err().map(|Full(rest)| rest);
            let left = refused.as_ref().map_or(0, Bytes::len);
            self.entered.resize(self.entered.len() + length - left, now);
            if let Some(rest) = refused {
                self.offers.push((at, rest));
                return;
            }
        }
    }
}

/// Runs until the end of the stream, polling exactly when told to and `extra` besides. Returns what left and when.
fn drive(link: &mut Link, sender: &mut Sender, extra: Option<Duration>) -> Vec<(Instant, Bytes)> {
    let mut now = Instant::ZERO;
    let mut outputs = Vec::new();
    loop {
        sender.send(now, link);
        while let Some(output) = link.poll_output(now) {
            if output.is_empty() {
                return outputs;
            }
            outputs.push((now, output));
        }
        sender.send(now, link);
        let offer = sender.next_at().filter(|&at| at > now);
        let due = link.poll_timeout().into_iter().chain(offer).min().expect("something to wait for");
        let due = extra.map_or(due, |extra| due.min(now + extra));
        assert!(due > now, "waits for a moment that has passed");
        now = due;
    }
}

fn joined(outputs: &[(Instant, Bytes)]) -> Bytes {
    outputs.iter().flat_map(|(_, data)| data.iter().copied()).collect()
}

fn impairments() -> impl Strategy<Value = Impairment> {
    let rate = proptest::option::of(10_000_u64..1_000_000_000);
    (rate, 0_u64..300, 0_u64..100, 0_u64..100_000, any::<u64>()).prop_map(
        |(rate, delay, jitter, buffer, seed)| {
            impairment(|it| {
                it.rate = rate.map(Bitrate::from_bits_per_second);
                it.delay = Duration::from_millis(delay);
                it.jitter = Duration::from_millis(jitter);
                it.buffer = ByteSize::new(buffer);
                it.seed = seed;
            })
        },
    )
}

fn offers() -> impl Strategy<Value = Vec<(Duration, usize)>> {
    let gap = prop_oneof![Just(0), 0_u64..200_000];
    prop::collection::vec((gap.prop_map(Duration::from_micros), 1_usize..20_000), 1..20)
}

proptest! {
    #[test]
    fn every_byte_leaves_once_in_order_and_not_before_its_delay(it in impairments(), offers in offers()) {
        let mut sender = Sender::new(&offers);
        let outputs = drive(&mut Link::new(it.clone()), &mut sender, None);
        prop_assert_eq!(joined(&outputs), content(sender.entered.len()));
        prop_assert_eq!(sender.entered.len(), offers.iter().map(|(_, length)| length).sum::<usize>());

        let mut position = 0;
        for (left, data) in outputs {
            let line = it.rate.map_or(Duration::ZERO, |rate| rate.time_for(data.len() as u64));
            prop_assert!(left >= sender.entered[position] + it.delay + line);
            position += data.len();
        }
    }

    #[test]
    fn no_window_holds_more_than_the_rate(it in impairments(), offers in offers(), bits in 10_000_u64..1_000_000_000) {
        let rate = Bitrate::from_bits_per_second(bits);
        let mut it = it;
        it.rate = Some(rate);
        let outputs = drive(&mut Link::new(it.clone()), &mut Sender::new(&offers), None);
        for (index, &(start, _)) in outputs.iter().enumerate() {
            let mut bytes = 0;
            for (end, data) in &outputs[index..] {
                bytes += data.len() as u64;
                // The first segment was on the line before the window; jitter holds some back and lets them go at once.
                let line = rate.time_for(bytes.saturating_sub(SEGMENT as u64));
                prop_assert!((*end - start) + it.jitter + Duration::from_nanos(1) >= line);
            }
        }
    }

    #[test]
    fn what_waits_never_exceeds_the_buffer(it in impairments(), offers in offers(), takes in any::<bool>()) {
        let mut it = it;
        it.delay = Duration::ZERO;
        it.jitter = Duration::ZERO;
        let mut link = Link::new(it.clone());
        let mut sender = Sender::new(&offers);
        for step in 0..400 {
            let now = at_micros(step * 5_000);
            sender.send(now, &mut link);
            prop_assert!(link.waiting_bytes() <= it.buffer.len().max(SEGMENT));
            if takes {
                link.poll_output(now);
            }
        }
    }

    #[test]
    fn the_same_seed_and_inputs_give_the_same_times(it in impairments(), offers in offers(), extra in 1_u64..50_000) {
        // With room for everything the sender's times don't depend on when it is asked.
        let mut it = it;
        it.buffer = ByteSize::new(1 << 20);
        let run = |extra| drive(&mut Link::new(it.clone()), &mut Sender::new(&offers), extra);
        let first = run(None);
        prop_assert_eq!(&run(None), &first);
        prop_assert_eq!(&run(Some(Duration::from_micros(extra))), &first);
    }
}

#[test]
fn forty_six_kilobytes_take_92_ms_at_500_kilobytes_per_second() {
    let mut link = Link::new(impairment(|it| it.rate = bytes_per_second(500_000)));
    let outputs = drive(&mut link, &mut Sender::new(&[(Duration::ZERO, 46_000)]), None);
    assert_eq!(outputs.last().unwrap().0, at_micros(92_000));
}

#[test]
fn a_busy_line_loses_nothing_to_rounding() {
    let rate = Bitrate::from_bits_per_second(7_000_003);
    let mut link = Link::new(impairment(|it| it.rate = Some(rate)));
    let outputs = drive(&mut link, &mut Sender::new(&[(Duration::ZERO, 10_000_000)]), None);
    let took = outputs.last().unwrap().0 - Instant::ZERO;
    assert!(rate.time_for(10_000_000) - took <= Duration::from_nanos(1), "{took:?}");
}

#[test]
fn polling_late_costs_no_throughput() {
    let mut link = Link::new(impairment(|it| it.rate = bytes_per_second(500_000)));
    let mut left = content(500_000);
    let mut out = 0;
    // 32 KiB are 65 ms at this rate.
    for turn in 0..=20 {
        let now = at_micros(turn * 50_000);
        while let Some(output) = link.poll_output(now) {
            out += output.len();
        }
        let room = link.room(now).min(left.len());
        link.handle_input(now, left.split_to(room)).unwrap();
    }
    assert!(out > 500_000 - SEGMENT, "{out}");
}

#[test]
fn jitter_delays_within_its_bound_and_depends_on_the_seed() {
    let run = |seed| {
        let it = impairment(|it| {
            it.jitter = Duration::from_millis(20);
            it.seed = seed;
        });
        let gap = Duration::from_millis(30);
        drive(&mut Link::new(it), &mut Sender::new(&[(gap, 100); 50]), None)
    };
    let lateness =
        |(index, (at, _)): (usize, &(Instant, Bytes))| *at - at_micros((index as u64 + 1) * 30_000);
    let first = run(1);
    let late: Vec<_> = first.iter().enumerate().map(lateness).collect();
    assert!(late.iter().all(|late| *late <= Duration::from_millis(20)));
    assert!(late.iter().max().unwrap() > &Duration::from_millis(15), "{late:?}");
    assert_ne!(first, run(2));
}

#[test]
fn a_full_link_gives_back_what_it_has_no_room_for() {
    let mut link = Link::new(impairment(|it| {
        it.rate = bytes_per_second(1_000);
        it.buffer = ByteSize::new(5_000);
    }));
    let Err(Full(rest)) = link.handle_input(Instant::ZERO, content(6_000)) else {
        panic!("no room for 6000")
    };
    assert_eq!(rest, content(6_000).slice(5_000..));
    assert_eq!(link.room(Instant::ZERO), 0);
    // The first segment is across after 1.448 s, and no longer waits once it is taken.
    assert_eq!(link.poll_output(Instant::ZERO + SECOND * 2).map(|data| data.len()), Some(SEGMENT));
    assert_eq!(link.room(Instant::ZERO + SECOND * 2), SEGMENT);
}

#[test]
fn what_arrived_and_is_not_taken_fills_the_link() {
    let mut link = Link::new(Impairment::default());
    link.handle_input(Instant::ZERO, content(32 * 1024)).unwrap();
    assert_eq!(link.room(Instant::ZERO + SECOND), 0);
    let taken = link.poll_output(Instant::ZERO + SECOND).unwrap();
    assert_eq!(link.room(Instant::ZERO + SECOND), taken.len());
}

#[test]
fn a_link_with_delay_and_no_rate_is_bounded_too() {
    let mut link = Link::new(impairment(|it| it.delay = SECOND));
    let mut taken = 0;
    while link.handle_input(Instant::ZERO, Bytes::from_static(&[0])).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, SEGMENTS_MAX);
    assert_eq!(link.room(Instant::ZERO), 0);
}

#[test]
fn the_end_comes_once_after_the_bytes_and_with_their_delay() {
    let mut link = Link::new(impairment(|it| it.delay = SECOND));
    link.handle_input(Instant::ZERO, content(10)).unwrap();
    link.handle_input(at_micros(5), Bytes::new()).unwrap();
    link.handle_input(at_micros(6), Bytes::new()).unwrap();
    assert_eq!(link.handle_input(at_micros(7), content(3)), Err(Full(content(3))));
    assert_eq!(link.poll_output(Instant::ZERO + SECOND), Some(content(10)));
    assert_eq!(link.poll_output(Instant::ZERO + SECOND), None);
    assert_eq!(link.poll_timeout(), Some(at_micros(5) + SECOND));
    assert_eq!(link.poll_output(at_micros(5) + SECOND), Some(Bytes::new()));
    assert_eq!(link.poll_output(TEN_SECONDS_IN), None);
    assert!(link.is_empty());
}

#[test]
fn a_stall_moves_all_that_follows_by_its_length() {
    let mut link = Link::new(impairment(|it| {
        it.rate = bytes_per_second(100_000);
        it.delay = Duration::from_millis(20);
    }));
    link.handle_input(Instant::ZERO, content(1_000)).unwrap();
    link.stall(at_micros(5_000), true);
    link.stall(at_micros(6_000), true);
    assert_eq!((link.room(at_micros(50_000)), link.poll_timeout()), (0, None));
    assert_eq!(link.poll_output(at_micros(100_000)), None);
    link.stall(at_micros(1_005_000), false);
    assert_eq!(link.poll_output(at_micros(1_029_999)), None);
    assert_eq!(link.poll_output(at_micros(1_030_000)), Some(content(1_000)));
}

#[test]
fn a_new_rate_holds_at_once_also_for_the_segment_on_the_line() {
    let mut link = Link::new(impairment(|it| it.rate = bytes_per_second(0)));
    link.handle_input(Instant::ZERO, content(1_000)).unwrap();
    assert_eq!(link.poll_output(TEN_SECONDS_IN), None, "a rate of zero lets nothing through");
    link.set(TEN_SECONDS_IN, impairment(|it| it.rate = bytes_per_second(1_000)));
    // Setting the same again does not start the segment anew.
    link.set(TEN_SECONDS_IN + SECOND / 2, impairment(|it| it.rate = bytes_per_second(1_000)));
    assert_eq!(link.poll_timeout(), Some(TEN_SECONDS_IN + SECOND));
    assert_eq!(link.poll_output(TEN_SECONDS_IN + SECOND), Some(content(1_000)));
}

#[test]
fn a_shorter_delay_does_not_reorder() {
    let mut link = Link::new(impairment(|it| it.delay = SECOND));
    link.handle_input(Instant::ZERO, Bytes::from_static(b"first")).unwrap();
    link.set(at_micros(1), Impairment::default());
    link.handle_input(at_micros(2), Bytes::from_static(b"second")).unwrap();
    assert_eq!(link.poll_output(at_micros(3)), None);
    assert_eq!(link.poll_output(Instant::ZERO + SECOND).unwrap(), "first");
    assert_eq!(link.poll_output(Instant::ZERO + SECOND).unwrap(), "second");
}

const TEN_SECONDS_IN: Instant = Instant::from_nanos(10_000_000_000);
