//! What the topics of a hub share.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;

use nyx_protocol::choose::{self, Candidate, Chooser, Codec, Pin};
use nyx_protocol::pack::Packer;
use parking_lot::Mutex;

use super::Config;

/// Settings, the kill switch, contexts of zstd, and who waits to be trained.
pub(crate) struct Engine {
    pub(crate) config: Config,
    allowed: AtomicBool,
    packers: Mutex<Vec<Packer>>,
    trainers: AtomicUsize,
    waiting: Mutex<Waiting>,
}

/// Topics whose samples are complete.
#[derive(Default)]
struct Waiting {
    topics: VecDeque<u32>,
    waker: Option<Waker>,
}

/// Decisions that a topic remembers.
const LOG_ENTRIES: usize = 16;

/// Contexts that are kept while nobody uses them: about one for each core that would be busy with nothing else.
const PACKERS_MAX: usize = 4;

/// One that grew beyond this for a large document is not kept.
const PACKER_BYTES_MAX: usize = 4 << 20;

impl Engine {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            allowed: AtomicBool::new(!config.killed),
            config,
            packers: Mutex::default(),
            trainers: AtomicUsize::new(0),
            waiting: Mutex::default(),
        }
    }

    /// Whether anything may be compressed.
    pub(crate) fn is_allowed(&self) -> bool {
        self.allowed.load(Ordering::Relaxed)
    }

    pub(crate) fn allow(&self, allowed: bool) {
        self.allowed.store(allowed, Ordering::Relaxed);
    }

    /// A chooser among `codecs`, the plain one, and a level that `pin` asks for.
    pub(crate) fn chooser(&self, pin: Pin, codecs: &[Codec]) -> Chooser {
        let pinned = match pin {
            Pin::Codec(codec @ Codec::Level(_)) if !codecs.contains(&codec) => Some(codec),
            _ => None,
        };
        let all = [Codec::Raw].iter().chain(codecs).copied().chain(pinned);
        let candidates = all.map(|codec| Candidate { codec, ..Candidate::PLAIN });
        let mut config = choose::Config::default();
        if (0.0..=1.0).contains(&self.config.cpu_share) {
            config.cpu_share = self.config.cpu_share;
        }
        config.log_entries = LOG_ENTRIES;
        let mut chooser =
            Chooser::new(candidates, config).expect("few candidates, the plain one first, and a share");
        chooser.set_pin(pin);
        chooser
    }

    /// Lends a packer.
    pub(crate) fn with_packer<R>(&self, work: impl FnOnce(&mut Packer) -> R) -> R {
        let lent = self.packers.lock().pop();
        let mut packer = lent.unwrap_or_default();
        let result = work(&mut packer);
        let mut packers = self.packers.lock();
        if packers.len() < PACKERS_MAX && packer.held_bytes() <= PACKER_BYTES_MAX {
            packers.push(packer);
        }
        result
    }

    /// Whether one more topic may have a trainer. If so, [`end_trainer`](Self::end_trainer) takes it back.
    pub(crate) fn begin_trainer(&self) -> bool {
        let most = self.config.dictionaries;
        let add = |count: usize| (count < most).then_some(count + 1);
        self.trainers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }

    pub(crate) fn end_trainer(&self) {
        self.trainers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Topic `id` has all that a training needs. There are no more of these than trainers.
    pub(crate) fn want_training(&self, id: u32) {
        let waker = {
            let mut waiting = self.waiting.lock();
            if waiting.topics.contains(&id) {
                return;
            }
            waiting.topics.push_back(id);
            waiting.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The next topic that waits; `waker` is woken when there is one, if there is none.
    pub(crate) fn next_training(&self, waker: &Waker) -> Option<u32> {
        let mut waiting = self.waiting.lock();
        let next = waiting.topics.pop_front();
        if next.is_none() {
            waiting.waker = Some(waker.clone());
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trainers_are_bounded_and_topics_wait_once() {
        let engine = Engine::new(Config { dictionaries: 2, ..Config::default() });
        assert_eq!([(); 3].map(|()| engine.begin_trainer()), [true, true, false]);
        engine.end_trainer();
        assert!(engine.begin_trainer());
        [7, 7, 8].into_iter().for_each(|id| engine.want_training(id));
        let next = || engine.next_training(Waker::noop());
        assert_eq!([next(), next(), next()], [Some(7), Some(8), None]);
    }
}
