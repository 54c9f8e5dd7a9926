//! One item to eight readers: the ring and its cursors, beside tokio's broadcast channel.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nyx_core::Instant;
use nyx_stream::policy::{self, Pull, Terms};
use nyx_stream::{Cursor, Ring, ring};
use tokio::sync::broadcast;

fn fan_out(c: &mut Criterion) {
    let mut group = c.benchmark_group("fan_out");
    for burst in [1, 32] {
        group.throughput(Throughput::Elements(burst as u64));
        group.bench_function(format!("ring/{READERS} cursors/burst{burst}"), |b| {
            let mut topic = Topic::new();
            b.iter(|| topic.round(burst));
        });
        group.bench_function(format!("tokio broadcast/{READERS} receivers/burst{burst}"), |b| {
            let (sender, _) = broadcast::channel(CAPACITY);
            let mut receivers: Vec<_> = (0..READERS).map(|_| sender.subscribe()).collect();
            b.iter(|| broadcast_round(&sender, &mut receivers, burst));
        });
    }
    group.finish();
}

struct Topic {
    ring: Ring,
    cursors: Vec<Cursor>,
    pull: Pull,
    terms: Terms,
}

impl Topic {
    fn new() -> Self {
        let ring = Ring::new(ring::Limits::new(8 << 20, CAPACITY));
        let cursors = vec![Cursor::at_head(&ring); READERS];
        let terms = Terms { now: Instant::ZERO, max_age: None, budget: 1 << 20, bytes_per_second: None };
        Self { ring, cursors, pull: Pull::default(), terms }
    }

    /// Appends a burst and lets every cursor take it.
    fn round(&mut self, burst: usize) {
        for _ in 0..burst {
            let item = Bytes::from_static(&ITEM);
            self.ring.append(Instant::ZERO, item, 1, true, ITEM.len());
        }
        for cursor in &mut self.cursors {
            self.pull.clear();
            policy::events(&self.ring, cursor, &self.terms, &mut self.pull);
            assert_eq!(self.pull.items, burst as u64);
            black_box(&self.pull.chunks);
        }
    }
}

/// Sends a burst and lets every receiver take it.
fn broadcast_round(
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

static ITEM: [u8; 80] = [0x5A; 80];

const READERS: usize = 8;

const CAPACITY: usize = 1024;

criterion_group!(benches, fan_out);
criterion_main!(benches);
