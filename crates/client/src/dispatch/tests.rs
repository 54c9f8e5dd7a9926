use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use nyx_protocol::wire::{Header, put_message};

use super::*;
use crate::subscribe::Delivery;

struct Fixture {
    dispatch: Dispatch,
    inbox: Arc<Inbox>,
    acks: Arc<Acks>,
}

impl Fixture {
    fn new() -> Self {
        let acks = Arc::new(Acks::new(Arc::default()));
        Self { dispatch: Dispatch::default(), inbox: Arc::default(), acks }
    }

    fn announce(&mut self, kind: Kind, epoch: u64, position: u64) {
        self.announce_as(7, kind, epoch, position);
    }

    fn announce_as(&mut self, topic_id: u32, kind: Kind, epoch: u64, position: u64) {
        let kind = control::Kind::from(kind) as i32;
        let announce =
            Announce { topic_id, topic: "a".to_owned(), kind, epoch, position, ..Announce::default() };
        let pattern = Pattern::new("*").unwrap();
        self.dispatch.announce(&announce, [(1, &pattern, &self.inbox)].into_iter()).unwrap();
    }

    fn event(&mut self, sequence: u32) {
        assert_eq!(self.take(7, Kind::Event, sequence), Ok(None));
    }

    fn take(&mut self, topic: u32, kind: Kind, sequence: u32) -> Result<Option<u32>, ProtocolError> {
        let mut bytes = BytesMut::new();
        put_message(&mut bytes, Header { topic, sequence, ..Header::data(kind) }, b"x");
        let run = wire::Run { kind, topic, len: bytes.len(), count: 1 };
        self.dispatch.run(run, bytes.freeze(), 1 << 20, &self.acks)
    }

    /// `(sequence, 0)` of a run, `(first, count)` of a gap.
    fn received(&self) -> Vec<(u64, u64)> {
        let mut cx = Context::from_waker(Waker::noop());
        std::iter::from_fn(|| match self.inbox.poll_pop(&mut cx) {
            Poll::Ready(Ok(Delivery::Run(run))) => Some((run.sequence, 0)),
            Poll::Ready(Ok(Delivery::Gap(gap))) => Some((gap.first_sequence, gap.total())),
            _ => None,
        })
        .collect()
    }
}

#[test]
fn a_hole_that_nobody_announced_is_a_gap() {
    let mut fixture = Fixture::new();
    fixture.announce(Kind::Event, 5, 10);
    fixture.event(10);
    let drops = vec![control::Drop { reason: control::Reason::Overrun as i32, count: 3 }];
    fixture.dispatch.gap(&control::Gap { topic_id: 7, first_sequence: 11, drops });
    fixture.event(14);
    assert_eq!(fixture.received(), [(10, 0), (11, 3), (14, 0)]);

    fixture.dispatch.disconnect();
    let resume = Resume { topic: "a".to_owned(), epoch: 5, position: 15 };
    assert_eq!(fixture.dispatch.resumes(&Pattern::new("**").unwrap()), [resume]);
    fixture.announce(Kind::Event, 5, 20);
    fixture.event(20);
    assert_eq!(fixture.received(), [(15, 5), (20, 0)]);
}

#[test]
fn a_hub_that_counts_to_the_end_of_numbers_changes_nothing_but_its_own() {
    let mut fixture = Fixture::new();
    fixture.announce(Kind::Event, 5, u64::MAX);
    fixture.event(u32::MAX);
    fixture.event(u32::MAX);
    let drops = vec![control::Drop { reason: control::Reason::Overrun as i32, count: u64::MAX }];
    fixture.dispatch.gap(&control::Gap { topic_id: 7, first_sequence: 11, drops });
    fixture.event(0);
    assert_eq!(fixture.received().len(), 4);
}

#[test]
fn over_datagrams_gaps_and_items_overtake_each_other_and_all_is_told_once_and_in_order() {
    let gap = |first_sequence, count| {
        let drops = vec![control::Drop { reason: control::Reason::Conflated as i32, count }];
        control::Gap { topic_id: 7, first_sequence, drops }
    };
    let mut fixture = Fixture::new();
    fixture.dispatch.is_unordered = true;
    fixture.announce(Kind::Event, 5, 10);
    fixture.dispatch.gap(&gap(12, 3));
    fixture.event(10);
    assert_eq!(fixture.received(), [(10, 0)], "item 11 may still come");
    fixture.event(11);
    assert_eq!(fixture.received(), [(11, 0), (12, 3)]);
    fixture.event(16);
    fixture.dispatch.gap(&gap(15, 1));
    assert_eq!(fixture.received(), [(15, 1), (16, 0)], "it was seen before it was told");
    fixture.dispatch.gap(&gap(18, 2));
    fixture.event(20);
    assert_eq!(fixture.received(), [(17, 3), (20, 0)]);
    (0..1000).for_each(|n| fixture.dispatch.gap(&gap(100 + 2 * n, 1)));
    assert_eq!(fixture.received(), []);
    fixture.event(3000);
    assert_eq!(fixture.received(), [(21, 2979), (3000, 0)]);
}

#[test]
fn sound_that_goes_on_under_another_id_joins_to_what_was_before() {
    let mut fixture = Fixture::new();
    fixture.announce_as(7, Kind::Audio, 5, 10);
    fixture.take(7, Kind::Audio, 10).unwrap();
    let drops = vec![control::Drop { reason: control::Reason::Expired as i32, count: 3 }];
    fixture.dispatch.gap(&control::Gap { topic_id: 7, first_sequence: 11, drops });
    fixture.announce_as(8, Kind::Audio, 5, 14);
    fixture.take(8, Kind::Audio, 14).unwrap();
    assert_eq!(fixture.received(), [(10, 0), (11, 3), (14, 0)]);
    assert!(fixture.take(7, Kind::Audio, 15).is_err(), "that id is nothing any more");
    assert_eq!(fixture.dispatch.routes.len(), 1);
    // What was missed without a connection is missing, also where the format has changed meanwhile.
    fixture.dispatch.disconnect();
    fixture.announce_as(9, Kind::Audio, 5, 20);
    fixture.take(9, Kind::Audio, 20).unwrap();
    assert_eq!(fixture.received(), [(15, 5), (20, 0)]);
}

#[test]
fn sound_that_went_on_while_nobody_listened_is_no_gap() {
    let mut fixture = Fixture::new();
    fixture.announce_as(7, Kind::Audio, 5, 10);
    fixture.take(7, Kind::Audio, 10).unwrap();
    fixture.dispatch.unsubscribe(1, std::iter::empty());
    fixture.inbox = Arc::default();
    fixture.announce_as(8, Kind::Audio, 5, 5_000);
    fixture.take(8, Kind::Audio, 5_000).unwrap();
    assert_eq!(fixture.received(), [(5_000, 0)]);
}

#[test]
fn over_datagrams_sound_of_a_format_that_is_over_is_told_as_missing_however_late_it_comes() {
    let mut fixture = Fixture::new();
    fixture.dispatch.is_unordered = true;
    for id in 0..1000 {
        fixture.announce_as(id, Kind::Audio, 5, u64::from(id) * 10);
        fixture.take(id, Kind::Audio, id * 10).unwrap();
        assert_eq!(fixture.received(), [(u64::from(id) * 10, 0)]);
        if let Some(former) = id.checked_sub(1) {
            fixture.take(former, Kind::Audio, former * 10 + 1).unwrap();
            assert_eq!(fixture.received(), [(u64::from(former) * 10 + 1, 1)]);
        }
    }
    assert!(fixture.dispatch.routes.len() <= FORMERS_MAX + 1);
    fixture.dispatch.disconnect();
    fixture.announce_as(1000, Kind::Audio, 5, 20_000);
    fixture.take(1000, Kind::Audio, 20_000).unwrap();
    assert_eq!(fixture.received(), [(9_991, 10_009), (20_000, 0)]);
}

#[test]
fn another_epoch_starts_afresh() {
    let mut fixture = Fixture::new();
    fixture.announce(Kind::Event, 5, 10);
    fixture.event(10);
    fixture.dispatch.disconnect();
    fixture.announce(Kind::Event, 6, 0);
    fixture.event(0);
    assert_eq!(fixture.received(), [(10, 0), (0, 0)]);
}

#[test]
fn what_nobody_wants_counts_as_consumed() {
    let mut fixture = Fixture::new();
    fixture.announce(Kind::Event, 5, 10);
    fixture.dispatch.unsubscribe(1, std::iter::empty());
    fixture.event(10);
    assert_eq!(fixture.acks.take_due(true), Some(17));
}

#[test]
fn a_copy_that_does_not_follow_is_not_resumed() {
    let mut fixture = Fixture::new();
    fixture.announce(Kind::State, 5, 10);
    assert_eq!(fixture.dispatch.resync(&Name::new("a").unwrap()), Some(7));
    fixture.dispatch.disconnect();
    assert_eq!(fixture.dispatch.resumes(&Pattern::new("**").unwrap()), []);
}

#[test]
fn who_subscribes_again_gets_nothing_that_was_on_its_way_to_the_one_before() {
    for is_unordered in [false, true] {
        let mut fixture = Fixture::new();
        fixture.dispatch.is_unordered = is_unordered;
        fixture.announce(Kind::Event, 5, 10);
        fixture.event(10);
        fixture.dispatch.unsubscribe(1, std::iter::empty());
        fixture.inbox = Arc::default();
        let pattern = Pattern::new("*").unwrap();
        assert_eq!(fixture.dispatch.subscribe(2, &pattern, &fixture.inbox), []);
        fixture.event(11);
        fixture.announce(Kind::Event, 5, 15);
        if is_unordered {
            fixture.event(12);
        }
        fixture.event(15);
        assert_eq!(fixture.received(), [(15, 0)]);
    }
}

#[test]
fn what_came_and_went_without_a_subscription_is_no_gap() {
    let mut fixture = Fixture::new();
    fixture.announce(Kind::Event, 5, 10);
    fixture.event(10);
    fixture.dispatch.disconnect();
    let other = Pattern::new("b/*").unwrap();
    fixture.dispatch.unsubscribe(1, [&other].into_iter());
    assert!(fixture.dispatch.known.is_empty());
    fixture.inbox = Arc::default();
    fixture.announce(Kind::Event, 5, 5_000);
    fixture.event(5_000);
    assert_eq!(fixture.received(), [(5_000, 0)]);
}

#[test]
fn who_joins_a_topic_of_frames_begins_with_one_that_can_be_decoded_alone() {
    let mut fixture = Fixture::new();
    fixture.announce(Kind::Frame, 5, 0);
    let frame = |fixture: &mut Fixture, sequence, flags| {
        let mut bytes = BytesMut::new();
        put_message(&mut bytes, Header { topic: 7, sequence, flags, ..Header::data(Kind::Frame) }, b"x");
        let run = wire::Run { kind: Kind::Frame, topic: 7, len: bytes.len(), count: 1 };
        assert_eq!(fixture.dispatch.run(run, bytes.freeze(), 1 << 20, &fixture.acks), Ok(None));
    };
    frame(&mut fixture, 0, Flags::KEYFRAME);
    let second = Arc::<Inbox>::default();
    assert_eq!(fixture.dispatch.subscribe(2, &Pattern::new("*").unwrap(), &second), []);
    frame(&mut fixture, 1, Flags::NONE);
    frame(&mut fixture, 2, Flags::KEYFRAME);
    frame(&mut fixture, 3, Flags::NONE);
    assert_eq!(fixture.received(), [(0, 0), (1, 0), (2, 0), (3, 0)]);
    fixture.inbox = second;
    assert_eq!(fixture.received(), [(2, 0), (3, 0)]);
}
