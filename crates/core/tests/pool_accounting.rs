//! The pool's figures against a model, over any sequence of operations on any thread.
#![cfg(not(loom))]

use std::collections::VecDeque;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use bytes::{BufMut, Bytes};
use nyx_core::pool::{Buffer, Config, LINE, Pool};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Take { on: usize, bytes: usize },
    Freeze { on: usize, which: usize },
    Drop { on: usize, which: usize },
    Restart { on: usize },
}

fn op() -> impl Strategy<Value = Op> {
    let on = 0..THREADS;
    prop_oneof![
        10 => (on.clone(), 0..3000_usize).prop_map(|(on, bytes)| Op::Take { on, bytes }),
        3 => (on.clone(), 0..64_usize).prop_map(|(on, which)| Op::Freeze { on, which }),
        9 => (on.clone(), 0..64_usize).prop_map(|(on, which)| Op::Drop { on, which }),
        1 => on.prop_map(|on| Op::Restart { on }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn figures_are_those_of_a_model(ops in prop::collection::vec(op(), 1..400)) {
        let pool = Pool::new(config()).unwrap();
        let mut threads: [Worker; THREADS] = std::array::from_fn(|_| Worker::start());
        let mut held: VecDeque<Held> = VecDeque::new();
        let (mut taken, mut frozen_small) = (0, 0);
        for (tag, op) in ops.into_iter().enumerate() {
            let tag = tag as u8;
            match op {
                Op::Take { on, bytes } => {
                    let pool = pool.clone();
                    held.push_back(threads[on].run(move || Held::take(&pool, bytes, tag)));
                    taken += u64::from(bytes > 0);
                }
                Op::Freeze { on, which } if which < held.len() => {
                    let Some(item) = held.remove(which) else { continue };
                    let small = matches!(&item.content, Content::Buffer(buffer)
                        if buffer.capacity() > 0 && buffer.len() <= Buffer::FREEZE_COPY_MAX);
                    frozen_small += u64::from(small);
                    held.push_back(threads[on].run(|| item.freeze()));
                }
                Op::Drop { on, which } if which < held.len() => {
                    let item = held.remove(which);
                    threads[on].run(|| drop(item));
                }
                Op::Freeze { .. } | Op::Drop { .. } => {}
                Op::Restart { on } => threads[on] = Worker::start(),
            }
            let stats = pool.stats();
            let outstanding = held.iter().filter(|item| item.is_pooled()).count() as u64;
            prop_assert_eq!(stats.hits() + stats.misses(), taken);
            prop_assert_eq!(stats.outstanding(), outstanding);
            prop_assert_eq!(stats.returned(), taken - outstanding);
            for class in &stats.classes {
                let bound = config().thread_bytes * THREADS + config().overflow_bytes;
                prop_assert!(class.retained_bytes <= bound as u64);
            }
            prop_assert!(stats.returned() >= frozen_small);
            prop_assert!(held.iter().all(Held::is_intact));
        }
        drop(held);
        let stats = pool.stats();
        prop_assert_eq!((stats.outstanding(), stats.returned()), (0, taken));
    }
}

#[test]
fn figures_never_contradict_each_other_while_threads_run() {
    let pool = Pool::new(config()).unwrap();
    let (sender, receiver) = channel::<Bytes>();
    let taker = pool.clone();
    let takes = thread::spawn(move || {
        for round in 0..20_000_usize {
            let mut buffer = taker.get(1 + round % 2000).unwrap();
            buffer.put_bytes(1, buffer.capacity());
            if sender.send(buffer.freeze()).is_err() {
                return;
            }
        }
    });
    let drops = thread::spawn(move || receiver.into_iter().for_each(drop));
    let mut last = pool.stats();
    while !drops.is_finished() {
        let stats = pool.stats();
        for (now, before) in stats.classes.iter().zip(&last.classes) {
            assert!(now.returned <= now.hits + now.misses);
            assert!(
                now.hits >= before.hits && now.misses >= before.misses && now.returned >= before.returned
            );
        }
        last = stats;
    }
    takes.join().unwrap();
    drops.join().unwrap();
    let stats = pool.stats();
    assert_eq!((stats.hits() + stats.misses(), stats.returned(), stats.outstanding()), (20_000, 20_000, 0));
}

/// What was taken, and what must be in it.
struct Held {
    content: Content,
    tag: u8,
}

enum Content {
    Buffer(Buffer),
    Bytes(Bytes),
}

impl Held {
    fn take(pool: &Pool, bytes: usize, tag: u8) -> Self {
        let mut buffer = pool.get(bytes).unwrap();
        assert!(buffer.is_empty() && buffer.capacity() >= bytes);
        assert!(buffer.capacity() == 0 || buffer.spare_capacity_mut().as_ptr().addr().is_multiple_of(LINE));
        buffer.put_bytes(tag, bytes);
        Self { content: Content::Buffer(buffer), tag }
    }

    fn freeze(self) -> Self {
        let content = match self.content {
            Content::Buffer(buffer) => Content::Bytes(buffer.freeze()),
            Content::Bytes(bytes) => Content::Bytes(bytes),
        };
        Self { content, ..self }
    }

    fn is_pooled(&self) -> bool {
        match &self.content {
            Content::Buffer(buffer) => buffer.capacity() > 0,
            Content::Bytes(bytes) => bytes.len() > Buffer::FREEZE_COPY_MAX,
        }
    }

    fn is_intact(&self) -> bool {
        let bytes: &[u8] = match &self.content {
            Content::Buffer(buffer) => buffer,
            Content::Bytes(bytes) => bytes,
        };
        bytes.iter().all(|byte| *byte == self.tag)
    }
}

/// A thread that does what it is told; dropping it waits for its end.
struct Worker {
    jobs: Option<Sender<Box<dyn FnOnce() + Send>>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    fn start() -> Self {
        let (jobs, inbox) = channel::<Box<dyn FnOnce() + Send>>();
        let thread = thread::spawn(move || inbox.into_iter().for_each(|job| job()));
        Self { jobs: Some(jobs), thread: Some(thread) }
    }

    fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (result, from) = channel();
        let job = Box::new(move || result.send(job()).unwrap_or_default());
        assert!(self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok()));
        from.recv().unwrap()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok());
        }
    }
}

fn config() -> Config {
    let mut config = Config::default();
    config.largest_bytes = 2048;
    config.thread_bytes = 5000;
    config.overflow_bytes = 6000;
    config
}

const THREADS: usize = 3;
