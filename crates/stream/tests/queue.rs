//! The queue as a value: what each policy keeps, and that everything is accounted for.

use std::collections::BTreeSet;
use std::time::Duration;

use nyx_core::Instant;
use nyx_stream::Reason;
use nyx_stream::queue::{Config, ConfigError, Evicted, Item, Policy, PopError, PushError, Queue};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame {
    id: u64,
    bytes: usize,
    is_keyframe: bool,
}

impl Item for Frame {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn is_keyframe(&self) -> bool {
        self.is_keyframe
    }
}

fn key(id: u64) -> Frame {
    Frame { id, bytes: 100, is_keyframe: true }
}

fn delta(id: u64) -> Frame {
    Frame { is_keyframe: false, ..key(id) }
}

fn ms(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

fn queue(items: usize, bytes: usize, policy: Policy) -> Queue<Frame> {
    Queue::new(Config::new(items, bytes, policy)).unwrap()
}

fn predictive(millis: u64) -> Policy {
    Policy::Predictive { max_age: Duration::from_millis(millis) }
}

/// The ids of what a push evicted, with the reasons.
fn evicted(pushed: Result<Evicted<Frame>, PushError<Frame>>) -> Vec<(u64, Reason)> {
    pushed.unwrap().map(|(frame, reason)| (frame.id, reason)).collect()
}

fn drain(queue: &mut Queue<Frame>, now: Instant) -> Vec<u64> {
    std::iter::from_fn(|| queue.pop(now).ok()).map(|frame| frame.id).collect()
}

#[test]
fn a_queue_that_could_hold_nothing_is_refused() {
    let error = |items, bytes, policy| Queue::<Frame>::new(Config::new(items, bytes, policy)).unwrap_err();
    assert_eq!(error(0, 1, Policy::Block), ConfigError::NoItems);
    assert_eq!(error(1, 0, Policy::Block), ConfigError::NoBytes);
    assert_eq!(error(1, 1, predictive(0)), ConfigError::NoAge);
    #[cfg(target_pointer_width = "64")]
    assert_eq!(error(1 << 32, 1, Policy::Block), ConfigError::TooManyItems);
}

#[test]
fn the_oldest_make_room_by_count_and_by_bytes() {
    let mut queue = queue(3, 250, Policy::DropOldest);
    assert_eq!(evicted(queue.push(ms(0), key(0))), []);
    assert_eq!(evicted(queue.push(ms(0), key(1))), []);
    assert_eq!(evicted(queue.push(ms(0), key(2))), [(0, Reason::Overrun)]);
    let large = Frame { bytes: 250, ..key(3) };
    assert_eq!(evicted(queue.push(ms(0), large)), [(1, Reason::Overrun), (2, Reason::Overrun)]);
    for id in 4..8 {
        evicted(queue.push(ms(0), Frame { bytes: 1, ..key(id) }));
    }
    assert_eq!(drain(&mut queue, ms(0)), [5, 6, 7]);
}

#[test]
fn the_newest_is_refused_and_handed_back() {
    let mut queue = queue(2, 1000, Policy::DropNewest);
    queue.push(ms(0), key(0)).unwrap();
    queue.push(ms(0), key(1)).unwrap();
    let refused = queue.push(ms(0), key(2)).unwrap_err();
    assert_eq!(refused, PushError::Refused { item: key(2), reason: Reason::Overrun });
    assert_eq!(refused.into_item(), key(2));
    assert_eq!((queue.drops().get(Reason::Overrun), drain(&mut queue, ms(0))), (1, vec![0, 1]));
}

#[test]
fn a_full_queue_that_blocks_counts_nothing() {
    let mut queue = queue(1, 1000, Policy::Block);
    queue.push(ms(0), key(0)).unwrap();
    assert_eq!(queue.push(ms(0), key(1)).unwrap_err(), PushError::Full(key(1)));
    assert_eq!((queue.pushed(), queue.drops().total()), (1, 0));
    assert_eq!(queue.pop(ms(0)), Ok(key(0)));
    assert!(queue.push(ms(0), key(1)).is_ok());
}

#[test]
fn what_can_never_fit_is_told_apart_from_what_does_not_fit_now() {
    for policy in [Policy::DropOldest, Policy::DropNewest, Policy::Block, Policy::Keyframes, predictive(100)]
    {
        let mut queue = queue(8, 100, policy);
        queue.push(ms(0), key(0)).unwrap();
        let large = Frame { bytes: usize::MAX, ..key(1) };
        assert_eq!(queue.push(ms(0), large).unwrap_err(), PushError::TooLarge(large), "{policy:?}");
        assert_eq!((queue.len(), queue.drops().total()), (1, 1));
    }
}

#[test]
fn a_closed_queue_gives_what_it_has_and_takes_no_more() {
    let mut queue = queue(4, 1000, Policy::DropOldest);
    queue.push(ms(0), key(0)).unwrap();
    assert_eq!(queue.pop(ms(0)), Ok(key(0)));
    assert_eq!(queue.pop(ms(0)), Err(PopError::Empty));
    queue.push(ms(0), key(1)).unwrap();
    queue.close();
    assert_eq!(queue.push(ms(0), key(2)).unwrap_err(), PushError::Closed(key(2)));
    assert_eq!(queue.pop(ms(0)), Ok(key(1)));
    assert_eq!(queue.pop(ms(0)), Err(PopError::Closed));
}

#[test]
fn a_keyframe_goes_with_all_that_depends_on_it() {
    let mut queue = queue(4, 1000, Policy::Keyframes);
    for frame in [key(0), delta(1), delta(2), key(3)] {
        queue.push(ms(0), frame).unwrap();
    }
    let gone = [(0, Reason::Overrun), (1, Reason::Conflated), (2, Reason::Conflated)];
    assert_eq!(evicted(queue.push(ms(0), delta(4))), gone);
    assert_eq!(drain(&mut queue, ms(0)), [3, 4]);
}

#[test]
fn the_rest_of_a_group_goes_with_the_frame_that_found_no_room() {
    let mut queue = queue(2, 1000, Policy::Keyframes);
    let mut refusal = |frame| match queue.push(ms(0), frame) {
        Err(PushError::Refused { reason, .. }) => Some(reason),
        _ => None,
    };
    // Nothing before the first keyframe can be decoded.
    assert_eq!(refusal(delta(0)), Some(Reason::Conflated));
    assert_eq!([refusal(key(1)), refusal(delta(2))], [None, None]);
    assert_eq!([refusal(delta(3)), refusal(delta(4))], [Some(Reason::Overrun), Some(Reason::Conflated)]);
    assert_eq!(drain(&mut queue, ms(0)), [1, 2]);
    // There is room again, but what came between is missing.
    assert!(queue.push(ms(0), delta(5)).is_err());
    assert!(queue.push(ms(0), key(6)).is_ok());
}

#[test]
fn a_keyframe_that_is_refused_takes_its_dependants_with_it() {
    let mut queue = queue(8, 150, Policy::Keyframes);
    queue.push(ms(0), key(0)).unwrap();
    assert!(queue.push(ms(0), Frame { bytes: 151, ..key(1) }).is_err());
    let refused = queue.push(ms(0), Frame { bytes: 1, ..delta(2) }).unwrap_err();
    assert!(matches!(refused, PushError::Refused { reason: Reason::Conflated, .. }));
}

/// Items come every 10 ms, the consumer needs 25 ms for each, and nothing may be older than 100 ms.
#[test]
fn a_slow_consumer_gets_what_is_in_time_and_nothing_is_foreseen_wrongly() {
    let mut queue = queue(64, 1 << 20, predictive(100));
    let (mut popped, mut oldest) = (0, Duration::ZERO);
    for millis in (0..10_000).step_by(5) {
        let now = ms(millis);
        if millis % 10 == 0 {
            let _ = queue.push(now, key(millis));
        }
        if millis % 25 == 0
            && let Ok(frame) = queue.pop(now)
        {
            popped += 1;
            oldest = oldest.max(now - ms(frame.id));
        }
    }
    assert_eq!(popped, 400);
    assert!((Duration::from_millis(50)..=Duration::from_millis(100)).contains(&oldest), "{oldest:?}");
    assert_eq!(queue.drops().get(Reason::Expired), 0);
    assert!((590..=605).contains(&queue.drops().get(Reason::PredictedLate)), "{:?}", queue.drops());
    assert_eq!(queue.bytes_per_second(), Some(4000));
}

#[test]
fn what_grew_too_old_while_the_consumer_stalled_is_handed_back() {
    let mut queue = queue(64, 1 << 20, predictive(100));
    for id in 0..5 {
        queue.push(ms(id * 10), key(id)).unwrap();
    }
    let mut expired = Evicted::new();
    assert_eq!(queue.pop_into(ms(125), &mut expired), Ok(key(3)));
    assert_eq!(expired.map(|(frame, _)| frame.id).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(queue.drops().get(Reason::Expired), 3);
}

#[test]
fn an_item_is_as_old_as_it_says() {
    struct Old;
    impl Item for Old {
        fn bytes(&self) -> usize {
            1
        }

        fn born(&self) -> Option<Instant> {
            Some(ms(10))
        }
    }
    let mut queue = Queue::new(Config::new(8, 8, predictive(100))).unwrap();
    assert!(queue.push(ms(110), Old).is_ok());
    assert!(matches!(queue.push(ms(111), Old), Err(PushError::Refused { reason: Reason::Expired, .. })));
    assert_eq!(queue.pop(ms(111)).err(), Some(PopError::Empty));
}

fn policies() -> impl Strategy<Value = Policy> {
    prop_oneof![
        Just(Policy::DropOldest),
        Just(Policy::DropNewest),
        Just(Policy::Block),
        Just(Policy::Keyframes),
        (1u64..100).prop_map(predictive),
    ]
}

proptest! {
    /// Whatever is pushed and popped in whatever order, time running backwards now and then: every item comes out
    /// once, by a pop, an eviction or a refusal, or is still there; in order; and the limits hold.
    #[test]
    fn every_item_is_accounted_for(
        policy in policies(),
        items in 1usize..12,
        bytes in 1usize..1500,
        steps in prop::collection::vec((any::<bool>(), 0usize..400, prop::bool::weighted(0.3), 0u64..50), 1..300),
    ) {
        let mut queue = queue(items, bytes, policy);
        let mut evicted = Evicted::new();
        let (mut pushed, mut popped) = (0u64, Vec::new());
        let mut gone = BTreeSet::new();
        for (is_push, bytes_of_item, is_keyframe, at) in steps {
            if is_push {
                let frame = Frame { id: pushed, bytes: bytes_of_item, is_keyframe };
                match queue.push_into(ms(at), frame, &mut evicted) {
                    Ok(()) => pushed += 1,
                    Err(PushError::Full(item)) => prop_assert_eq!((item, policy), (frame, Policy::Block)),
                    Err(error) => {
                        pushed += 1;
                        prop_assert!(gone.insert(error.into_item().id));
                    }
                }
            } else if let Ok(frame) = queue.pop_into(ms(at), &mut evicted) {
                popped.push(frame.id);
            }
            for (frame, _) in &mut evicted {
                prop_assert!(gone.insert(frame.id));
            }
            prop_assert!(queue.len() <= items && queue.bytes() <= bytes);
            prop_assert_eq!(queue.pushed(), pushed);
            prop_assert_eq!(queue.popped(), popped.len() as u64);
            prop_assert_eq!(queue.drops().total(), gone.len() as u64);
            prop_assert_eq!(pushed, queue.popped() + queue.drops().total() + queue.len() as u64);
        }
        prop_assert!(popped.is_sorted() && popped.iter().all(|id| !gone.contains(id)));
    }

    /// A consumer that decodes what it pops never misses what a frame depends on.
    #[test]
    fn every_frame_that_is_popped_can_be_decoded(
        items in 1usize..10,
        bytes in 1usize..1500,
        steps in prop::collection::vec((prop::bool::weighted(0.6), 1usize..400, prop::bool::weighted(0.2)), 1..300),
    ) {
        let mut queue = queue(items, bytes, Policy::Keyframes);
        let (mut id, mut last) = (0, None);
        for (is_push, bytes, is_keyframe) in steps {
            if is_push {
                let _ = queue.push(ms(0), Frame { id, bytes, is_keyframe });
                id += 1;
            } else if let Ok(frame) = queue.pop(ms(0)) {
                prop_assert!(frame.is_keyframe || last == Some(frame.id - 1), "{frame:?} after {last:?}");
                last = Some(frame.id);
            }
        }
    }

    /// Nothing is popped that is older than allowed, however the consumer behaves.
    #[test]
    fn nothing_leaves_late(
        max_age in 1u64..200,
        steps in prop::collection::vec((any::<bool>(), 1usize..400, 0u64..80), 1..300),
    ) {
        let mut queue = queue(32, 4_000, predictive(max_age));
        let (mut now, mut born) = (0, Vec::new());
        for (is_push, bytes, wait) in steps {
            now += wait;
            if is_push {
                let _ = queue.push(ms(now), Frame { id: born.len() as u64, bytes, is_keyframe: true });
                born.push(now);
            } else if let Ok(frame) = queue.pop(ms(now)) {
                prop_assert!(now - born[frame.id as usize] <= max_age);
            }
        }
    }
}
