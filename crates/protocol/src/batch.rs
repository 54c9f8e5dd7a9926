//! When a batch is sent, and in which order what is in it.
//!
//! A batch of small records costs one write and, on the way back, one answer. The question is how long the first record of one may
//! wait for others. [`Policy::NATURAL`], the default, says not at all: what has gathered while the connection was busy is the batch, so
//! batches are as large as the load makes them, and an idle connection sends at once. A lingering policy waits, until there are
//! so many records or bytes, or the first has waited so long.
//!
//! A [`Batcher`] decides that and counts; what a batch is made of is its owner's business, one `T` for each lane. Within a batch the
//! high lane goes first and the low one last, each in its own order. The next batch begins when all of this one was taken, so no lane
//! starves.
//!
//! ```
//! use std::time::Duration;
//! use nyx_core::{Instant, Lane};
//! use nyx_protocol::batch::{Batcher, Due, Policy};
//!
//! let mut batcher = Batcher::<Vec<&str>>::new(Policy::LINGERING);
//! let start = Instant::ZERO;
//! for (lane, record) in [(Lane::Low, "log"), (Lane::High, "alarm"), (Lane::Low, "log too")] {
//!     batcher.lane_mut(lane).push(record);
//!     batcher.add(start, 1, record.len());
//! }
//! // Three of ten: it waits, but for no longer than 100 ms.
//! assert_eq!(batcher.due(), Due::At(start + Duration::from_millis(100)));
//! let batch: Vec<_> = batcher.drain().flat_map(|(_, records)| std::mem::take(records)).collect();
//! assert_eq!(batch, ["alarm", "log", "log too"]);
//! assert_eq!(batcher.due(), Due::Never);
//! ```

use std::time::Duration;

use nyx_core::{Instant, Lane};

/// When a batch is full, and how long it waits until it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// How long the first record of a batch may wait for others. Default zero: it does not, and `count` and `bytes` mean nothing.
    pub linger: Duration,
    /// Records with which a batch is full. Default 10; 0 counts as 1.
    pub count: u64,
    /// Bytes, headers included, with which a batch is full. Default 64 KiB: more gain nothing from one write.
    pub bytes: usize,
}

impl Policy {
    /// Send whatever has gathered as soon as the connection takes it.
    pub const NATURAL: Self = Self { linger: Duration::ZERO, count: 10, bytes: 64 * 1024 };

    /// Wait for 10 records or 64 KiB, but not for longer than 100 ms.
    pub const LINGERING: Self = Self { linger: Duration::from_millis(100), ..Self::NATURAL };

    /// Whether a batch may wait, so that time matters.
    pub const fn lingers(&self) -> bool {
        !self.linger.is_zero()
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::NATURAL
    }
}

/// When a batch is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// There is nothing in it.
    Never,
    /// At this time, unless it fills up before.
    At(Instant),
    /// At once.
    Now,
}

impl Due {
    /// Whether it is to be sent by now.
    pub fn is_due(self, now: Instant) -> bool {
        match self {
            Self::Never => false,
            Self::At(at) => at <= now,
            Self::Now => true,
        }
    }
}

/// A batch that gathers, and the decision when it is sent.
#[derive(Debug, Default)]
pub struct Batcher<T> {
    policy: Policy,
    lanes: [T; Lane::ALL.len()],
    count: u64,
    bytes: usize,
    /// When the first record came.
    since: Instant,
    hurried: bool,
}

impl<T: Default> Batcher<T> {
    /// An empty batch.
    pub fn new(policy: Policy) -> Self {
        Self { policy, ..Self::default() }
    }
}

impl<T> Batcher<T> {
    /// What decides.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Where the records of `lane` are put. Each that is put there is to be told by [`add`](Self::add).
    pub const fn lane_mut(&mut self, lane: Lane) -> &mut T {
        &mut self.lanes[lane as usize]
    }

    /// `count` records of `bytes` bytes in all were put into the batch. `now` matters only if the policy lingers. O(1).
    pub const fn add(&mut self, now: Instant, count: u64, bytes: usize) {
        if self.count == 0 {
            self.since = now;
        }
        self.count = self.count.saturating_add(count);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// What is in the batch, or is put into it next, waits no longer.
    pub const fn hurry(&mut self) {
        self.hurried = true;
    }

    /// Records in the batch.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// When the batch is to be sent. O(1).
    pub fn due(&self) -> Due {
        if self.count == 0 {
            return Due::Never;
        }
        let Policy { linger, count, bytes } = self.policy;
        if linger.is_zero() || self.hurried || self.count >= count || self.bytes >= bytes {
            return Due::Now;
        }
        Due::At(self.since + linger)
    }

    /// The lanes in the order in which they are to be sent, for their owner to empty. The next batch begins.
    pub fn drain(&mut self) -> impl Iterator<Item = (Lane, &mut T)> {
        (self.count, self.bytes, self.hurried) = (0, 0, false);
        Lane::ALL.into_iter().zip(&mut self.lanes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn take(batcher: &mut Batcher<Vec<usize>>) -> Vec<(Lane, usize)> {
        let lanes = batcher.drain().flat_map(|(lane, records)| {
            std::mem::take(records).into_iter().map(move |record| (lane, record))
        });
        lanes.collect()
    }

    #[test]
    fn a_natural_batch_is_due_with_its_first_record() {
        let mut batcher = Batcher::<Vec<usize>>::new(Policy::default());
        assert_eq!(batcher.due(), Due::Never);
        batcher.add(Instant::ZERO, 1, 1);
        assert_eq!(batcher.due(), Due::Now);
    }

    #[test]
    fn a_lingering_batch_is_due_when_it_is_full_or_hurried() {
        let mut batcher = Batcher::<Vec<usize>>::new(Policy::LINGERING);
        batcher.add(Instant::ZERO, 9, 100);
        assert_eq!(batcher.due(), Due::At(Instant::ZERO + ms(100)));
        batcher.add(Instant::ZERO + ms(50), 1, 1);
        assert_eq!(batcher.due(), Due::Now);
        take(&mut batcher);
        batcher.add(Instant::ZERO, 1, 64 * 1024);
        assert_eq!(batcher.due(), Due::Now);
        take(&mut batcher);
        batcher.hurry();
        assert_eq!(batcher.due(), Due::Never);
        batcher.add(Instant::ZERO, 1, 1);
        assert_eq!(batcher.due(), Due::Now);
        take(&mut batcher);
        batcher.add(Instant::ZERO, 1, 1);
        assert!(matches!(batcher.due(), Due::At(_)));
        batcher.add(Instant::ZERO, u64::MAX, usize::MAX);
        assert_eq!((batcher.due(), batcher.count()), (Due::Now, u64::MAX));
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Put(Lane, usize),
        Wait(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let lane = prop::sample::select(Lane::ALL.to_vec());
        let put = (lane, 1usize..2_000).prop_map(|(lane, bytes)| Step::Put(lane, bytes));
        prop::collection::vec(prop_oneof![3 => put, 1 => (0u64..150).prop_map(Step::Wait)], 1..200)
    }

    fn policies() -> impl Strategy<Value = Policy> {
        (prop_oneof![Just(0), 1u64..200], 0u64..20, 1usize..10_000)
            .prop_map(|(linger, count, bytes)| Policy { linger: ms(linger), count, bytes })
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_late_and_each_lane_keeps_its_order(policy in policies(), steps in steps()) {
            let mut batcher = Batcher::<Vec<usize>>::new(policy);
            let (mut now, mut put, mut got) = (Instant::ZERO, Vec::new(), Vec::new());
            let (mut count, mut bytes, mut first) = (0, 0, now);
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Put(lane, len) => {
                        batcher.lane_mut(lane).push(number);
                        batcher.add(now, 1, len);
                        put.push((lane, number));
                        if count == 0 {
                            first = now;
                        }
                        (count, bytes) = (count + 1, bytes + len);
                    }
                    Step::Wait(millis) => now = now + ms(millis),
                }
                let full = count > 0 && (count >= policy.count || bytes >= policy.bytes);
                let expected = full || (count > 0 && now >= first + policy.linger);
                prop_assert_eq!(batcher.due().is_due(now), expected);
                if expected {
                    let batch = take(&mut batcher);
                    prop_assert_eq!(batch.len() as u64, count);
                    prop_assert!(batch.is_sorted_by_key(|(lane, _)| *lane), "the high lane goes first");
                    got.extend(batch);
                    (count, bytes) = (0, 0);
                }
            }
            got.extend(take(&mut batcher));
            for lane in Lane::ALL {
                let of = |all: &[(Lane, usize)]| -> Vec<usize> {
                    all.iter().filter(|(of, _)| *of == lane).map(|(_, number)| *number).collect()
                };
                prop_assert_eq!(of(&got), of(&put));
            }
        }
    }
}
