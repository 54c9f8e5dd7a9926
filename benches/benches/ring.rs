//! One item to eight readers: the ring and its cursors, beside broadcast channels.
//!
//! A channel can be shared by threads, so `nyx` and `nyx pull` have the lock around the ring that a topic of the hub has; `nyx value` is the ring
//! of who has no need to share it.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nyx_core::Instant;
use nyx_stream::policy::{self, Pull, Terms};
use nyx_stream::{Cursor, Ring, ring};
use parking_lot::Mutex;
use tokio::sync::broadcast;

fn publish(c: &mut Criterion) {
    for burst in [1, 32] {
        let mut group = c.benchmark_group(format!("ring/publish_8cursors/burst{burst}"));
        group.throughput(Throughput::Elements(burst as u64));
        group.bench_function("nyx", |b| {
            let mut topic = Topic::new();
            b.iter(|| topic.shared_round(burst));
        });
        group.bench_function("nyx value", |b| {
            let mut topic = Topic::new();
            b.iter(|| topic.read_round(burst));
        });
        group.bench_function("nyx pull", |b| {
            let mut topic = Topic::new();
            b.iter(|| topic.pull_round(burst));
        });
        group.bench_function("tokio broadcast", |b| {
            let (sender, _) = broadcast::channel(CAPACITY);
            let mut receivers: Vec<_> = (0..READERS).map(|_| sender.subscribe()).collect();
            b.iter(|| tokio_round(&sender, &mut receivers, burst));
        });
        group.bench_function("async-broadcast", |b| {
            let (sender, receiver) = async_broadcast::broadcast(CAPACITY);
            let mut receivers = vec![receiver; READERS];
            b.iter(|| async_broadcast_round(&sender, &mut receivers, burst));
        });
        group.finish();
    }
}

struct Topic {
    ring: Mutex<Ring>,
    cursors: Vec<Cursor>,
    pull: Pull,
    terms: Terms,
}

impl Topic {
    fn new() -> Self {
        let ring = Ring::new(ring::Limits::new(8 << 20, CAPACITY));
        let cursors = vec![Cursor::at_head(&ring); READERS];
        let terms = Terms { now: Instant::ZERO, max_age: None, budget: 1 << 20, bytes_per_second: None };
        Self { ring: Mutex::new(ring), cursors, pull: Pull::default(), terms }
    }

    /// Appends a burst and lets every cursor take it, item by item, as senders and receivers of a channel do.
    fn shared_round(&mut self, burst: usize) {
        (0..burst).for_each(|_| append(&mut self.ring.lock()));
        for cursor in &mut self.cursors {
            for _ in 0..burst {
                let taken = cursor.read(&self.ring.lock()).map(|read| read.entry.bytes.clone());
                assert!(black_box(taken).is_some());
            }
        }
    }

    /// The same by its only owner, to whom the ring lends what a channel has to clone.
    fn read_round(&mut self, burst: usize) {
        let ring = self.ring.get_mut();
        (0..burst).for_each(|_| append(ring));
        for cursor in &mut self.cursors {
            for _ in 0..burst {
                let read = cursor.read(ring);
                assert!(read.is_some_and(|read| !black_box(&read.entry.bytes[..]).is_empty()));
            }
        }
    }

    /// Appends a burst at once and lets every cursor take it at once, by policy, as the hub does.
    fn pull_round(&mut self, burst: usize) {
        let mut ring = self.ring.lock();
        (0..burst).for_each(|_| append(&mut ring));
        drop(ring);
        for cursor in &mut self.cursors {
            self.pull.clear();
            policy::events(&self.ring.lock(), cursor, &self.terms, &mut self.pull);
            assert_eq!(self.pull.items, burst as u64);
            black_box(&self.pull.chunks);
        }
    }
}

fn append(ring: &mut Ring) {
    ring.append(Instant::ZERO, Bytes::from_static(&ITEM), 1, true, ITEM.len());
}

/// Sends a burst and lets every receiver take it.
fn tokio_round(
    sender: &broadcast::Sender<Bytes>,
    receivers: &mut [broadcast::Receiver<Bytes>],
    burst: usize,
) {
    for _ in 0..burst {
        assert!(sender.send(Bytes::from_static(&ITEM)).is_ok());
    }
    for receiver in receivers {
        for _ in 0..burst {
            assert!(black_box(receiver.try_recv()).is_ok());
        }
    }
}

/// The same. Every receiver was cloned from the first, so each gets every item.
fn async_broadcast_round(
    sender: &async_broadcast::Sender<Bytes>,
    receivers: &mut [async_broadcast::Receiver<Bytes>],
    burst: usize,
) {
    for _ in 0..burst {
        assert!(sender.try_broadcast(Bytes::from_static(&ITEM)).is_ok());
    }
    for receiver in receivers {
        for _ in 0..burst {
            assert!(black_box(receiver.try_recv()).is_ok());
        }
    }
}

static ITEM: [u8; 80] = [0x5A; 80];

const READERS: usize = 8;

const CAPACITY: usize = 1024;

criterion_group!(benches, publish);
criterion_main!(benches);
