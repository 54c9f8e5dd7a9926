use bytes::Bytes;
use nyx_stream::{Ring, ring};

use super::*;
use crate::shared::{Peer, Transport};

const TERMS: Patience = Patience { lag_bytes: 10_000, patience: Duration::from_millis(1000) };

/// A topic whose entries count a thousand bytes each.
struct Scene {
    audience: Audience,
    ring: Ring,
    publisher: Arc<Shared>,
}

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

fn session() -> Arc<Shared> {
    Arc::new(Shared::new(0, Peer::new("", Transport::Tcp)))
}

impl Scene {
    fn new() -> Self {
        let ring = Ring::new(ring::Limits::default());
        Self { audience: Audience::default(), ring, publisher: session() }
    }

    fn join(&mut self) -> usize {
        self.audience.join(session(), 0, Place::Ring(Cursor::at_head(&self.ring)), true, false)
    }

    fn append(&mut self, entries: usize) {
        for _ in 0..entries {
            let bytes = Bytes::from(vec![0; 1000 - ring::ENTRY_OVERHEAD]);
            self.ring.append(Instant::ZERO, bytes, 1, true, 1000);
        }
    }

    fn admit(&mut self, millis: u64) -> Result<(), Instant> {
        self.audience.admit(at(millis), self.ring.appended_bytes(), TERMS, Some(&self.publisher))
    }

    /// The reader moves on to entry `sequence`; at the end it waits.
    fn read(&mut self, millis: u64, key: usize, sequence: u64) {
        let Some(reader) = self.audience.get_mut(key) else { return };
        let from = reader.offset();
        reader.place = Place::Ring(Cursor::after(&self.ring, sequence));
        let appended = self.ring.appended_bytes();
        let kept_waiting = self.audience.handle_progress(at(millis), key, from, appended, TERMS);
        if sequence == self.ring.next_sequence() {
            self.audience.arm(key, kept_waiting);
        }
    }

    fn is_waiting(&self) -> bool {
        self.audience.waiting.is_some()
    }
}

#[test]
fn without_readers_nobody_waits() {
    let mut scene = Scene::new();
    scene.append(1000);
    assert_eq!(scene.admit(0), Ok(()));
}

#[test]
fn a_publisher_waits_until_the_slowest_has_come_half_way() {
    let mut scene = Scene::new();
    let (one, two) = (scene.join(), scene.join());
    scene.append(10);
    assert_eq!(scene.admit(0), Ok(()));
    scene.append(1);
    assert_eq!(scene.admit(0), Err(at(1000)));
    scene.read(10, one, 11);
    scene.read(10, two, 5);
    assert!(scene.is_waiting());
    scene.read(20, two, 6);
    assert!(!scene.is_waiting());
    assert_eq!(scene.admit(20), Ok(()));
}

#[test]
fn a_reader_that_does_not_move_is_given_up_until_it_has_caught_up() {
    let mut scene = Scene::new();
    let stalled = scene.join();
    scene.append(11);
    assert_eq!(scene.admit(0), Err(at(1000)));
    assert_eq!(scene.admit(999), Err(at(1000)), "asking again gains nothing");
    assert_eq!(scene.admit(1000), Ok(()));
    scene.append(100);
    assert_eq!(scene.admit(1001), Ok(()));
    scene.read(1002, stalled, 100);
    scene.append(100);
    assert_eq!(scene.admit(1003), Ok(()), "it has not caught up");
    scene.read(1004, stalled, 211);
    scene.append(11);
    assert_eq!(scene.admit(1005), Err(at(2005)));
}

#[test]
fn what_others_waited_for_adds_up() {
    let mut scene = Scene::new();
    let (quick, slower) = (scene.join(), scene.join());
    scene.append(11);
    let mut millis = 0;
    for pause in 0..2 {
        let end = scene.ring.next_sequence();
        assert_eq!(scene.admit(millis), Err(at(millis + 1000 - pause * 400)));
        scene.read(millis, quick, end);
        millis += 400;
        scene.read(millis, slower, end - 5);
        scene.append(6);
    }
    let waits_until = scene.admit(millis).unwrap_err();
    assert_eq!(waits_until, at(millis + 200));
    assert_eq!(scene.admit(millis + 200), Ok(()));
}

#[test]
fn coming_to_the_end_while_publishers_wait_is_no_catching_up() {
    let mut scene = Scene::new();
    let (quick, slower) = (scene.join(), scene.join());
    for pause in 0..2 {
        scene.append(11);
        let end = scene.ring.next_sequence();
        assert_eq!(scene.admit(pause * 400), Err(at(1000)));
        scene.read(pause * 400, quick, end);
        scene.read(pause * 400 + 400, slower, end);
    }
    scene.append(5);
    let end = scene.ring.next_sequence();
    scene.read(800, slower, end);
    scene.append(11);
    assert_eq!(scene.admit(800), Err(at(1800)), "now it had caught up");
}

#[test]
fn a_lone_reader_may_take_its_time_as_long_as_it_moves() {
    let mut scene = Scene::new();
    let only = scene.join();
    scene.append(11);
    for pause in 0..100 {
        assert!(scene.admit(pause * 900).is_err());
        let end = scene.ring.next_sequence();
        scene.read(pause * 900 + 899, only, end - 5);
        scene.append(6);
    }
}

#[test]
fn those_who_go_release_only_those_who_waited_for_them() {
    let mut scene = Scene::new();
    let (stalled, other) = (scene.join(), scene.join());
    scene.append(11);
    assert_eq!(scene.admit(0), Err(at(1000)));
    scene.audience.leave(other, scene.ring.appended_bytes(), TERMS);
    assert_eq!(scene.admit(500), Err(at(1000)));
    scene.audience.leave(stalled, scene.ring.appended_bytes(), TERMS);
    assert!(!scene.is_waiting());
    assert_eq!(scene.admit(500), Ok(()));
}

#[test]
fn a_publisher_that_gave_up_is_not_held_against_a_reader() {
    let mut scene = Scene::new();
    let (quick, slower) = (scene.join(), scene.join());
    scene.append(11);
    let appended = scene.ring.appended_bytes();
    assert_eq!(scene.audience.admit(at(0), appended, TERMS, None), Err(at(1000)));
    scene.read(0, quick, 11);
    assert!(scene.audience.blocked.is_empty());
    scene.read(60_000, slower, 6);
    let held = scene.audience.get_mut(slower).map(|reader| reader.held);
    assert_eq!(held, Some(TERMS.patience), "no more than anyone was asked to wait");
}

#[test]
fn who_may_miss_something_is_not_waited_for() {
    let mut scene = Scene::new();
    let place = Place::Ring(Cursor::at_head(&scene.ring));
    let key = scene.audience.join(session(), 0, place, false, false);
    scene.append(100);
    assert_eq!(scene.admit(0), Ok(()));
    scene.read(0, key, 100);
    scene.append(100);
    assert_eq!(scene.admit(0), Ok(()), "nor when it has caught up");
}
