//! Every interleaving of those who leave a thing, those who take it, and those who wait for it behind a lock.
#![cfg(loom)]

use std::collections::VecDeque;

use loom::sync::{Arc, Mutex};
use loom::thread;
use nyx_core::Handoff;

/// What stands behind a handoff: things at rest, and who waits for one. Served waiters find theirs in `served`.
#[derive(Default)]
struct Desk {
    rest: Vec<Box<u32>>,
    waiting: VecDeque<u32>,
    served: Vec<(u32, Box<u32>)>,
}

struct Shop {
    place: Handoff<u32>,
    desk: Mutex<Desk>,
}

impl Shop {
    fn new(thing: Option<u32>) -> Arc<Self> {
        let place = Handoff::new();
        if let Some(thing) = thing {
            assert!(place.leave(Box::new(thing)).is_empty());
        }
        Arc::new(Self { place, desk: Mutex::default() })
    }

    /// A thing, or a place in the queue under this number.
    fn ask(&self, who: u32) -> Option<Box<u32>> {
        if let Some(thing) = self.place.take() {
            return Some(thing);
        }
        let mut desk = self.desk.lock().unwrap();
        if desk.waiting.is_empty() {
            self.place.set_wanted(true);
            let found = self.place.reclaim();
            desk.rest.extend(found);
        }
        let thing = desk.rest.pop();
        if thing.is_none() {
            desk.waiting.push_back(who);
        }
        self.place.set_wanted(!desk.waiting.is_empty());
        thing
    }

    fn give(&self, thing: Box<u32>) {
        for thing in self.place.leave(thing) {
            let mut desk = self.desk.lock().unwrap();
            match desk.waiting.pop_front() {
                Some(who) => desk.served.push((who, thing)),
                None => desk.rest.push(thing),
            }
            self.place.set_wanted(!desk.waiting.is_empty());
        }
    }
}

/// When all is quiet nobody waits beside a thing, and no thing is lost or doubled.
fn check(shop: &Shop, things: usize, kept: usize) {
    let here = usize::from(shop.place.reclaim().is_some());
    let desk = shop.desk.lock().unwrap();
    let idle = here + desk.rest.len();
    assert!(desk.waiting.is_empty() || idle == 0, "{} wait beside {idle}", desk.waiting.len());
    assert_eq!(idle + desk.served.len() + kept, things);
}

fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}

#[test]
fn nobody_waits_beside_a_thing_that_is_left_meanwhile() {
    model(|| {
        let shop = Shop::new(None);
        let other = shop.clone();
        let giver = thread::spawn(move || other.give(Box::new(1)));
        let kept = shop.ask(7);
        giver.join().unwrap();
        check(&shop, 1, usize::from(kept.is_some()));
    });
}

#[test]
fn two_that_give_back_and_ask_again_leave_a_third_its_turn() {
    model(|| {
        let shop = Shop::new(Some(1));
        let other = shop.clone();
        let first = thread::spawn(move || {
            if let Some(thing) = other.ask(1) {
                other.give(thing);
            }
        });
        let other = shop.clone();
        let second = thread::spawn(move || {
            if let Some(thing) = other.ask(2) {
                other.give(thing);
            }
        });
        let kept = shop.ask(3);
        first.join().unwrap();
        second.join().unwrap();
        check(&shop, 1, usize::from(kept.is_some()));
    });
}

#[test]
fn what_is_displaced_is_not_lost() {
    model(|| {
        let shop = Shop::new(None);
        let givers: Vec<_> = (0..2)
            .map(|thing| {
                let shop = shop.clone();
                thread::spawn(move || shop.give(Box::new(thing)))
            })
            .collect();
        let kept = shop.ask(7);
        givers.into_iter().for_each(|giver| giver.join().unwrap());
        check(&shop, 2, usize::from(kept.is_some()));
    });
}
