use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use tokio::sync::mpsc;

use super::*;

fn waiting(number: u64, lane: Lane, expires: Option<u64>) -> Waiting {
    let waiter = Waiter::OfBatch(mpsc::unbounded_channel().0, 0);
    Waiting { number, body: Bytes::new(), lane, expires: expires.map(at), waiter }
}

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

fn numbers<'a>(waiting: impl IntoIterator<Item = &'a Waiting>) -> Vec<u64> {
    waiting.into_iter().map(|waiting| waiting.number).collect()
}

#[test]
fn urgent_requests_that_were_given_up_cost_those_behind_them_no_turn() {
    let mut room = Room::new(Cap::fixed(6), 1_000);
    (0..50).for_each(|n| room.push(waiting(n, Lane::High, Some(10))).unwrap());
    (50..54).for_each(|n| room.push(waiting(n, Lane::High, None)).unwrap());
    (100..150).for_each(|n| room.push(waiting(n, Lane::Low, None)).unwrap());
    let turn = room.turn(at(10), true);
    assert_eq!(turn.late.len(), 50);
    assert_eq!(numbers(turn.next.iter().map(|(_, waiting)| waiting)), [50, 51, 52, 53, 100, 101]);
}

#[test]
fn what_comes_and_goes_without_being_sent_does_not_gather() {
    let mut room = Room::new(Cap::fixed(1), 10);
    room.push(waiting(0, Lane::Low, None)).unwrap();
    let hangs = room.turn(at(0), true).next;
    assert_eq!(hangs.len(), 1);
    for n in 1..10_000 {
        room.push(waiting(n, Lane::ALL[n as usize % 3], Some(1_000_000))).unwrap();
        assert_eq!(room.withdraw(n..n + 1).len(), 1);
        assert!(room.gate.waiting() <= STALE_MAX);
    }
    assert!(room.turn(at(0), true).watch.is_none() && !room.is_waiting());
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Push { lane: usize, expires: Option<u64> },
    Advance(u64),
    Finish,
    Withdraw(u64),
    Turn { goes: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let expires = prop::option::of(0u64..40);
    prop_oneof![
        4 => (0usize..3, expires).prop_map(|(lane, expires)| Step::Push { lane, expires }),
        1 => (0u64..10).prop_map(Step::Advance),
        1 => Just(Step::Finish),
        1 => (0u64..200).prop_map(Step::Withdraw),
        2 => any::<bool>().prop_map(|goes| Step::Turn { goes }),
    ]
}

/// What should be true of a room, kept in the plainest way.
#[derive(Default)]
struct Model {
    now: u64,
    /// Number and deadline of those that wait.
    waiting: BTreeSet<(u64, Option<u64>)>,
    /// When the room is to be looked at.
    watches: BTreeSet<Instant>,
    tickets: Vec<Ticket>,
}

const CAP: usize = 3;
const WAITING: usize = 20;

impl Model {
    fn turns(&mut self, room: &mut Room, goes: bool) {
        loop {
            let turn = room.turn(at(self.now), goes);
            let is_done = turn.late.is_empty() && turn.next.is_empty();
            for late in &turn.late {
                assert!(late.expires.is_some_and(|expires| expires <= at(self.now)));
                self.leave(late);
            }
            for (ticket, next) in turn.next {
                assert!(goes && next.expires.is_none_or(|expires| expires > at(self.now)));
                self.leave(&next);
                self.tickets.push(ticket);
            }
            self.watches.retain(|watch| *watch > at(self.now));
            if let Some((before, watch)) = turn.watch {
                before.map(|before| self.watches.remove(&before));
                self.watches.insert(watch);
            }
            if is_done {
                break;
            }
        }
        assert!(self.tickets.len() <= CAP);
        assert!(!goes || self.waiting.is_empty() || self.tickets.len() == CAP);
        if let Some(first) = self.waiting.iter().filter_map(|(_, expires)| *expires).min() {
            assert!(first > self.now && self.watches.first().is_some_and(|watch| *watch <= at(first)));
        }
    }

    /// Each leaves once.
    fn leave(&mut self, who: &Waiting) {
        let expires = who.expires.map(|at| at.as_nanos() / 1_000_000);
        assert!(self.waiting.remove(&(who.number, expires)), "{who:?} left twice");
    }
}

proptest! {
    #[test]
    fn each_request_is_sent_in_time_or_given_up_in_time(steps in prop::collection::vec(step(), 1..200)) {
        let (mut room, mut model) = (Room::new(Cap::fixed(CAP), WAITING), Model::default());
        for (number, step) in (0..).zip(steps) {
            match step {
                Step::Push { lane, expires } => {
                    let expires = expires.map(|expires| model.now + expires);
                    let is_taken = room.push(waiting(number, Lane::ALL[lane], expires)).is_ok();
                    prop_assert_eq!(is_taken, model.waiting.len() < WAITING);
                    if is_taken {
                        model.waiting.insert((number, expires));
                    }
                }
                Step::Advance(by) => model.now += by,
                Step::Finish => {
                    model.tickets.pop().into_iter().for_each(|ticket| room.finish(ticket, Outcome::Answered));
                }
                Step::Withdraw(first) => {
                    room.withdraw(first..first + 3).iter().for_each(|waiting| model.leave(waiting));
                }
                Step::Turn { goes } => model.turns(&mut room, goes),
            }
            prop_assert_eq!(room.is_waiting(), !model.waiting.is_empty());
            prop_assert!(room.gate.waiting() <= 2 * WAITING + STALE_MAX);
        }
        room.clear().iter().for_each(|waiting| model.leave(waiting));
        prop_assert!(model.waiting.is_empty() && room.gate.waiting() <= STALE_MAX);
    }
}
