//! The frame queue: as a value, and shared.

use std::hint::black_box;

use nyx_core::Instant;
use nyx_stream::queue::{self, Config, Item, Policy, Queue};

pub(super) fn push_pop(calls: u64) {
    let (sender, receiver) = queue::channel(config()).expect("it is a configuration");
    for call in 0..calls {
        assert!(black_box(sender.try_send(Frame(call))).is_ok());
        assert!(black_box(receiver.try_recv()).is_ok_and(|frame| frame.0 == call));
    }
}

pub(super) fn push_pop_value(calls: u64) {
    let mut queue = Queue::new(config()).expect("it is a configuration");
    for call in 0..calls {
        assert!(black_box(queue.push(Instant::ZERO, Frame(call))).is_ok());
        assert!(black_box(queue.pop(Instant::ZERO)).is_ok_and(|frame| frame.0 == call));
    }
}

/// The oldest comes out when the newest goes in.
pub(super) fn push_full(calls: u64) {
    let (sender, _receiver) = queue::channel(config()).expect("it is a configuration");
    for call in 0..calls {
        assert!(black_box(sender.try_send(Frame(call))).is_ok());
    }
}

const fn config() -> Config {
    Config::new(ITEMS, ITEMS * 32 * 1024, Policy::DropOldest)
}

const ITEMS: usize = 64;

#[derive(Debug)]
struct Frame(u64);

impl Item for Frame {
    fn bytes(&self) -> usize {
        32 * 1024
    }
}
