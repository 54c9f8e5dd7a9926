//! The frame queue beside other queues and channels: both ends in one thread, with room and without, and in two.
//!
//! `nyx` is the shared queue, `nyx value` the queue as a value, for those who have no need to share it.

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use crossbeam::queue::ArrayQueue;
use nyx_stream::queue::{self, Config, Policy, Queue};
use parking_lot::Mutex;
use std::collections::VecDeque;
use tokio::sync::{broadcast, mpsc};

/// As large as what stands for a frame in memory: a slice of a buffer.
#[derive(Clone, Copy, Debug)]
struct Frame {
    sequence: u64,
    _slice: [u64; 3],
}

impl Frame {
    const fn new(sequence: u64) -> Self {
        Self { sequence, _slice: [sequence; 3] }
    }
}

impl queue::Item for Frame {
    fn bytes(&self) -> usize {
        BYTES
    }
}

/// One item in and out.
fn push_pop(c: &mut Criterion) {
    let mut group = c.benchmark_group("queue/push_pop");
    let (sender, receiver) = shared(Policy::DropOldest);
    each(&mut group, "nyx", |i| {
        assert!(sender.try_send(Frame::new(i)).is_ok());
        receiver.try_recv().unwrap().sequence
    });
    let mut value = Queue::new(config(Policy::DropOldest)).unwrap();
    each(&mut group, "nyx value", |i| {
        assert!(value.push(nyx_core::Instant::ZERO, Frame::new(i)).is_ok());
        value.pop(nyx_core::Instant::ZERO).unwrap().sequence
    });
    let array = ArrayQueue::new(CAPACITY);
    each(&mut group, "crossbeam ArrayQueue", |i| {
        assert!(array.force_push(Frame::new(i)).is_none());
        array.pop().unwrap().sequence
    });
    let (mut producer, mut consumer) = rtrb::RingBuffer::new(CAPACITY);
    each(&mut group, "rtrb", |i| {
        assert!(producer.push(Frame::new(i)).is_ok());
        consumer.pop().unwrap().sequence
    });
    let (sender, receiver) = flume::bounded(CAPACITY);
    each(&mut group, "flume", |i| {
        assert!(sender.try_send(Frame::new(i)).is_ok());
        receiver.try_recv().unwrap().sequence
    });
    let (sender, receiver) = kanal::bounded(CAPACITY);
    each(&mut group, "kanal", |i| {
        assert!(sender.try_send(Frame::new(i)).unwrap());
        receiver.try_recv().unwrap().unwrap().sequence
    });
    let (sender, mut receiver) = mpsc::channel(CAPACITY);
    each(&mut group, "tokio mpsc", |i| {
        assert!(sender.try_send(Frame::new(i)).is_ok());
        receiver.try_recv().unwrap().sequence
    });
    let (sender, mut receiver) = broadcast::channel(CAPACITY);
    each(&mut group, "tokio broadcast", |i| {
        assert!(sender.send(Frame::new(i)).is_ok());
        receiver.try_recv().unwrap().sequence
    });
    let deque = Mutex::new(VecDeque::with_capacity(CAPACITY));
    each(&mut group, "mutex VecDeque", |i| {
        deque.lock().push_back(Frame::new(i));
        deque.lock().pop_front().unwrap().sequence
    });
    group.finish();
}

/// Each item evicts the oldest of a full queue, which is handed back. Channels that can't drop the oldest (rtrb,
/// tokio's mpsc) don't take part; flume and kanal do what their users do, pop and push; tokio's broadcast drops the
/// oldest and hands nothing back.
fn push_full(c: &mut Criterion) {
    let mut group = c.benchmark_group("queue/push_full");
    let (sender, _receiver) = shared(Policy::DropOldest);
    each_full(&mut group, "nyx", |i| {
        sender.try_send(Frame::new(i)).unwrap().next().map_or(0, |(item, _)| item.sequence)
    });
    let mut value = Queue::new(config(Policy::DropOldest)).unwrap();
    each_full(&mut group, "nyx value", |i| {
        let mut evicted = value.push(nyx_core::Instant::ZERO, Frame::new(i)).unwrap();
        evicted.next().map_or(0, |(item, _)| item.sequence)
    });
    let array = ArrayQueue::new(CAPACITY);
    each_full(&mut group, "crossbeam ArrayQueue", |i| {
        array.force_push(Frame::new(i)).map_or(0, |item| item.sequence)
    });
    let (sender, receiver) = flume::bounded(CAPACITY);
    each_full(&mut group, "flume", |i| match sender.try_send(Frame::new(i)) {
        Ok(()) => 0,
        Err(refused) => {
            let evicted = receiver.try_recv().unwrap();
            assert!(sender.try_send(refused.into_inner()).is_ok());
            evicted.sequence
        }
    });
    let (sender, receiver) = kanal::bounded(CAPACITY);
    each_full(&mut group, "kanal", |i| {
        if sender.try_send(Frame::new(i)).unwrap() {
            return 0;
        }
        let evicted = receiver.try_recv().unwrap().unwrap();
        assert!(sender.try_send(Frame::new(i)).unwrap());
        evicted.sequence
    });
    let (sender, _receiver) = broadcast::channel(CAPACITY);
    each_full(&mut group, "tokio broadcast", |i| sender.send(Frame::new(i)).unwrap() as u64);
    let deque = Mutex::new(VecDeque::with_capacity(CAPACITY));
    each_full(&mut group, "mutex VecDeque", |i| {
        let mut deque = deque.lock();
        let evicted = if deque.len() == CAPACITY { deque.pop_front() } else { None };
        deque.push_back(Frame::new(i));
        evicted.map_or(0, |item| item.sequence)
    });
    group.finish();
}

/// One thread pushes, another pops, and all arrives: those that can block do, the others yield. tokio's broadcast
/// can't wait for a receiver and therefore does not take part.
fn threads(c: &mut Criterion) {
    let mut group = c.benchmark_group("queue/threads_1to1");
    group.throughput(Throughput::Elements(ITEMS)).sample_size(10);
    one_to_one(&mut group, "nyx", || {
        let (sender, receiver) = shared(Policy::Block);
        let push = move |item| assert!(sender.blocking_send(item, Duration::MAX).is_ok());
        (push, move || receiver.blocking_recv(Duration::MAX).unwrap())
    });
    one_to_one(&mut group, "crossbeam ArrayQueue", || {
        let push_end = Arc::new(ArrayQueue::new(CAPACITY));
        let pop_end = push_end.clone();
        let push = move |mut item| {
            while let Err(refused) = push_end.push(item) {
                item = refused;
                thread::yield_now();
            }
        };
        (push, move || until(|| pop_end.pop()))
    });
    one_to_one(&mut group, "rtrb", || {
        let (mut producer, mut consumer) = rtrb::RingBuffer::new(CAPACITY);
        let push = move |item| {
            while producer.push(item).is_err() {
                thread::yield_now();
            }
        };
        (push, move || until(|| consumer.pop().ok()))
    });
    one_to_one(&mut group, "flume", || {
        let (sender, receiver) = flume::bounded(CAPACITY);
        (move |item| sender.send(item).unwrap(), move || receiver.recv().unwrap())
    });
    one_to_one(&mut group, "kanal", || {
        let (sender, receiver) = kanal::bounded(CAPACITY);
        (move |item| sender.send(item).unwrap(), move || receiver.recv().unwrap())
    });
    one_to_one(&mut group, "tokio mpsc", || {
        let (sender, mut receiver) = mpsc::channel(CAPACITY);
        (move |item| sender.blocking_send(item).unwrap(), move || receiver.blocking_recv().unwrap())
    });
    one_to_one(&mut group, "mutex VecDeque", || {
        let push_end = Arc::new(Mutex::new(VecDeque::with_capacity(CAPACITY)));
        let pop_end = push_end.clone();
        let push = move |item| {
            until(|| {
                let mut deque = push_end.lock();
                (deque.len() < CAPACITY).then(|| deque.push_back(item))
            });
        };
        (push, move || until(|| pop_end.lock().pop_front()))
    });
    group.finish();
}

fn each(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, mut once: impl FnMut(u64) -> u64) {
    let mut sequence = 0;
    group.bench_function(name, |b| {
        b.iter(|| {
            sequence += 1;
            assert_eq!(once(black_box(sequence)), sequence);
        });
    });
}

/// The queue is filled before anything is measured.
fn each_full(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, mut push: impl FnMut(u64) -> u64) {
    let mut sequence = 0;
    let mut once = || {
        sequence += 1;
        push(black_box(sequence))
    };
    for _ in 0..CAPACITY {
        black_box(once());
    }
    group.bench_function(name, |b| b.iter(&mut once));
}

fn one_to_one<Push, Pop>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, make: impl Fn() -> (Push, Pop))
where
    Push: FnMut(Frame) + Send,
    Pop: FnMut() -> Frame,
{
    group.bench_function(name, |b| {
        b.iter_custom(|rounds| (0..rounds).map(|_| one_round(make())).sum());
    });
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn one_round((mut push, mut pop): (impl FnMut(Frame) + Send, impl FnMut() -> Frame)) -> Duration {
    let start_line = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            start_line.wait();
            (0..ITEMS).for_each(|sequence| push(Frame::new(sequence)));
        });
        start_line.wait();
        let start = Instant::now();
        for sequence in 0..ITEMS {
            assert_eq!(black_box(pop()).sequence, sequence);
        }
        start.elapsed()
    })
}

fn until<R>(mut attempt: impl FnMut() -> Option<R>) -> R {
    loop {
        if let Some(result) = attempt() {
            return result;
        }
        thread::yield_now();
    }
}

fn shared(policy: Policy) -> (queue::Sender<Frame>, queue::Receiver<Frame>) {
    queue::channel(config(policy)).unwrap()
}

const fn config(policy: Policy) -> Config {
    Config::new(CAPACITY, CAPACITY * BYTES, policy)
}

const CAPACITY: usize = 64;

/// What a frame counts for: a picture of the usual size.
const BYTES: usize = 32 * 1024;

/// Items of a round with two threads.
const ITEMS: u64 = 100_000;

criterion_group!(benches, push_pop, push_full, threads);
criterion_main!(benches);
