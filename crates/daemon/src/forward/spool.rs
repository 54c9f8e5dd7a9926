//! What waits for a sink, as a value: in batches, within bounds, again after a failure.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use nyx_core::Instant;
use nyx_protocol::topic::Name;
use nyx_transport::pool::backoff::{self, Backoff};

use super::parcel::Parcel;

/// Bounds of a [`Spool`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Config {
    /// Items of a batch, at most.
    pub(super) batch: usize,
    /// Bytes of a batch, but for one item that has more.
    pub(super) batch_bytes: usize,
    /// How long an item waits for others to fill a batch.
    pub(super) linger: Duration,
    /// Bytes of all that waits or is on its way.
    pub(super) bytes: usize,
    /// Whether what is in one batch has to have passed the same hubs.
    pub(super) by_trail: bool,
    pub(super) retry: backoff::Config,
}

/// Why an item will not be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// A newer one needed its room.
    Overrun,
    /// A newer state of its topic took its place.
    Conflated,
    /// The sink refused it for good.
    Rejected,
    /// The sink has had it already: hubs forward in a circle.
    Home,
    /// The server stopped first.
    Shutdown,
}

impl Reason {
    pub(super) const ALL: [Self; 5] =
        [Self::Overrun, Self::Conflated, Self::Rejected, Self::Home, Self::Shutdown];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Overrun => "overrun",
            Self::Conflated => "conflated",
            Self::Rejected => "rejected",
            Self::Home => "home",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Items in the order in which they came.
#[derive(Debug)]
pub(super) struct Spool {
    config: Config,
    queue: VecDeque<(Instant, Parcel)>,
    /// The place of the first of them, counted through, and those of the states among them, by topic.
    front: u64,
    states: HashMap<Name, u64>,
    queued_bytes: usize,
    /// Of the batch that is on its way.
    sent_bytes: usize,
    sent_items: usize,
    retry_at: Option<Instant>,
    backoff: Backoff,
    drops: [u64; Reason::ALL.len()],
}

impl Spool {
    pub(super) fn new(config: Config, seed: u64) -> Self {
        Self {
            backoff: Backoff::new(config.retry, seed),
            config,
            queue: VecDeque::new(),
            // What comes back in front counts down from here.
            front: u64::MAX / 2,
            states: HashMap::new(),
            queued_bytes: 0,
            sent_bytes: 0,
            sent_items: 0,
            retry_at: None,
            drops: [0; Reason::ALL.len()],
        }
    }

    /// Takes an item in. A state takes the place of the one of its topic that waits, so that it waits no longer for being changed again and again;
    /// where there is no room the oldest goes.
    pub(super) fn push(&mut self, now: Instant, mut parcel: Parcel) {
        self.queued_bytes += parcel.bytes();
        match self.waiting_state(&parcel) {
            Some(place) => {
                let waiting = &mut self.queue[place].1;
                // What changed it before is in it, too.
                parcel.passed = waiting.passed.merged(&parcel.passed);
                let older = std::mem::replace(waiting, parcel);
                self.queued_bytes -= older.bytes();
                self.count(Reason::Conflated, 1);
            }
            None => {
                if parcel.is_state() {
                    self.states.insert(parcel.topic.clone(), self.front + self.queue.len() as u64);
                }
                self.queue.push_back((now, parcel));
            }
        }
        self.shrink();
    }

    /// Where the state of the topic of this one waits, which is a state as well.
    fn waiting_state(&self, parcel: &Parcel) -> Option<usize> {
        let place = self.states.get(&parcel.topic).filter(|_| parcel.is_state())?;
        Some((place - self.front) as usize)
    }

    fn pop(&mut self) -> Option<Parcel> {
        let (_, parcel) = self.queue.pop_front()?;
        self.front += 1;
        self.queued_bytes -= parcel.bytes();
        if parcel.is_state() {
            self.states.remove(&parcel.topic);
        }
        Some(parcel)
    }

    fn put_back(&mut self, now: Instant, parcel: Parcel) {
        self.front -= 1;
        self.queued_bytes += parcel.bytes();
        if parcel.is_state() {
            self.states.insert(parcel.topic.clone(), self.front);
        }
        self.queue.push_front((now, parcel));
    }

    /// The next batch, if there is one to send now. It is on its way until one of the three below says what became of it.
    pub(super) fn poll_batch(&mut self, now: Instant, hurry: bool) -> Option<Vec<Parcel>> {
        if self
            .poll_timeout()
            .is_none_or(|at| at > now && !(hurry && self.retry_at.is_none_or(|at| at <= now)))
        {
            return None;
        }
        let mut batch = Vec::new();
        while let Some((_, next)) = self.queue.front() {
            let fits = batch.first().is_none_or(|first: &Parcel| {
                self.sent_bytes + next.bytes() <= self.config.batch_bytes
                    && (!self.config.by_trail || first.passed == next.passed)
            });
            if batch.len() >= self.config.batch || !fits {
                break;
            }
            let Some(parcel) = self.pop() else { break };
            self.sent_bytes += parcel.bytes();
            batch.push(parcel);
        }
        self.sent_items = batch.len();
        Some(batch)
    }

    /// When there will be a batch to send, if nothing comes before.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let (oldest, _) = self.queue.front()?;
        let full = self.queue.len() >= self.config.batch || self.queued_bytes >= self.config.batch_bytes;
        let due = if full { *oldest } else { *oldest + self.config.linger };
        Some(self.retry_at.map_or(due, |at| at.max(due)))
    }

    /// The batch has been delivered.
    pub(super) fn delivered(&mut self) {
        (self.sent_bytes, self.sent_items) = (0, 0);
        self.retry_at = None;
        self.backoff.succeeded();
    }

    /// So many items of the batch will not be delivered, and the others were.
    pub(super) fn left_out(&mut self, reason: Reason, items: usize) {
        self.count(reason, items);
        self.delivered();
    }

    /// The batch was not delivered: it waits in front, for longer each time, and for `pause` at least.
    pub(super) fn failed(&mut self, now: Instant, batch: Vec<Parcel>, pause: Duration) {
        (self.sent_bytes, self.sent_items) = (0, 0);
        for parcel in batch.into_iter().rev() {
            match self.waiting_state(&parcel) {
                Some(place) => {
                    let newer = &mut self.queue[place].1;
                    newer.passed = newer.passed.merged(&parcel.passed);
                    self.count(Reason::Conflated, 1);
                }
                None => self.put_back(now, parcel),
            }
        }
        self.shrink();
        let _ = self.backoff.begin(self.retry_at.unwrap_or(now).max(now));
        self.backoff.failed(now);
        let again = self.backoff.begin(now).err().unwrap_or_default().max(pause);
        self.retry_at = Some(now + again);
    }

    /// Gives up all that waits or is on its way. Returns how many items.
    pub(super) fn drop_all(&mut self, reason: Reason) -> usize {
        let items = self.queue.len() + self.sent_items;
        self.count(reason, items);
        self.queue.clear();
        self.states.clear();
        (self.queued_bytes, self.sent_bytes, self.sent_items) = (0, 0, 0);
        items
    }

    /// How often in a row a batch was not delivered.
    pub(super) const fn failures(&self) -> u32 {
        self.backoff.failures()
    }

    /// Whether nothing waits and nothing is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.sent_items == 0
    }

    /// Bytes that wait or are on their way.
    pub(super) const fn bytes(&self) -> usize {
        self.queued_bytes + self.sent_bytes
    }

    pub(super) const fn drops(&self, reason: Reason) -> u64 {
        self.drops[reason as usize]
    }

    fn shrink(&mut self) {
        while self.bytes() > self.config.bytes {
            if self.pop().is_none() {
                return;
            }
            self.count(Reason::Overrun, 1);
        }
    }

    fn count(&mut self, reason: Reason, items: usize) {
        self.drops[reason as usize] += items as u64;
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use nyx_protocol::trail::Trail;

    use super::super::parcel::tests::{event, state};
    use super::*;

    fn spool(change: impl FnOnce(&mut Config)) -> Spool {
        let retry = backoff::Config::default();
        let mut config = Config {
            batch: 2,
            batch_bytes: 10_000,
            linger: Duration::from_millis(5),
            bytes: 100_000,
            by_trail: false,
            retry,
        };
        change(&mut config);
        Spool::new(config, 1)
    }

    fn at_millis(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    fn sequences(batch: &[Parcel]) -> Vec<u64> {
        batch.iter().map(|parcel| parcel.sequence).collect()
    }

    #[test]
    fn a_batch_goes_when_it_is_full_or_has_waited() {
        let mut spool = spool(|_| {});
        spool.push(at_millis(0), event("a", 0, 10));
        assert!(spool.poll_batch(at_millis(4), false).is_none());
        assert_eq!(spool.poll_timeout(), Some(at_millis(5)));
        assert_eq!(sequences(&spool.poll_batch(at_millis(5), false).unwrap()), [0]);
        spool.delivered();
        for sequence in 1..4 {
            spool.push(at_millis(6), event("a", sequence, 10));
        }
        assert_eq!(sequences(&spool.poll_batch(at_millis(6), false).unwrap()), [1, 2]);
    }

    #[test]
    fn what_failed_comes_again_first_after_pauses_that_grow() {
        let mut spool = spool(|config| config.linger = Duration::ZERO);
        spool.push(at_millis(0), event("a", 0, 10));
        let (mut now, mut last) = (at_millis(0), Duration::ZERO);
        for _ in 0..5 {
            let batch = spool.poll_batch(now, false).unwrap();
            assert_eq!(batch[0].sequence, 0);
            spool.push(now, event("a", 1, 10));
            spool.failed(now, batch, Duration::ZERO);
            assert!(spool.poll_batch(now, true).is_none());
            let pause = spool.poll_timeout().unwrap() - now;
            assert!(pause > last, "{pause:?} after {last:?}");
            (now, last) = (now + pause, pause);
        }
        spool.poll_batch(now, false).unwrap();
        spool.delivered();
        assert_eq!(spool.failures(), 0);
    }

    #[test]
    fn a_sink_that_says_when_to_come_back_is_left_alone_until_then() {
        let mut spool = spool(|config| config.linger = Duration::ZERO);
        spool.push(at_millis(0), event("a", 0, 10));
        let batch = spool.poll_batch(at_millis(0), false).unwrap();
        spool.failed(at_millis(0), batch, Duration::from_secs(30));
        assert_eq!(spool.poll_timeout(), Some(at_millis(30_000)));
        assert!(spool.poll_batch(at_millis(29_999), true).is_none());
        assert_eq!(sequences(&spool.poll_batch(at_millis(30_000), false).unwrap()), [0]);
    }

    #[test]
    fn a_full_spool_drops_its_oldest_and_counts_them() {
        let mut spool = spool(|config| config.bytes = event("a", 0, 1000).bytes() * 10);
        for sequence in 0..25 {
            spool.push(at_millis(0), event("a", sequence, 1000));
        }
        assert_eq!((spool.queue.len(), spool.drops(Reason::Overrun)), (10, 15));
        assert_eq!(sequences(&spool.poll_batch(at_millis(0), false).unwrap()), [15, 16]);
    }

    #[test]
    fn only_the_latest_state_of_a_topic_waits() {
        let mut spool = spool(|_| {});
        for (topic, version) in [("a", 1), ("b", 1), ("a", 2), ("a", 3)] {
            spool.push(at_millis(0), state(topic, version));
        }
        let batch = spool.poll_batch(at_millis(9), false).unwrap();
        assert_eq!(sequences(&batch), [3, 1]);
        // One that failed and has become old meanwhile.
        spool.push(at_millis(9), state("a", 4));
        spool.failed(at_millis(9), batch, Duration::ZERO);
        assert_eq!((spool.queue.len(), spool.drops(Reason::Conflated)), (2, 3));
    }

    #[test]
    fn a_state_that_waits_has_passed_the_hubs_that_all_of_it_has() {
        let passed = |parcel: Parcel, hubs: &[u64]| Parcel { passed: Trail::new(hubs).unwrap(), ..parcel };
        let mut spool =
            spool(|config| (config.linger, config.by_trail, config.batch) = (Duration::ZERO, true, 9));
        spool.push(at_millis(0), passed(state("a", 1), &[7, 1]));
        spool.push(at_millis(0), passed(state("a", 2), &[1]));
        spool.push(at_millis(0), passed(event("b", 3, 1), &[1]));
        let batch = spool.poll_batch(at_millis(0), false).unwrap();
        assert_eq!((sequences(&batch), batch[0].passed.hubs()), (vec![2], &[0, 1][..]));
        spool.push(at_millis(0), passed(state("a", 4), &[7, 1]));
        spool.failed(at_millis(0), batch, Duration::ZERO);
        assert_eq!(sequences(&spool.poll_batch(at_millis(9_000), false).unwrap()), [3]);
        spool.left_out(Reason::Home, 1);
        let batch = spool.poll_batch(at_millis(9_000), false).unwrap();
        assert_eq!((sequences(&batch), batch[0].passed.hubs()), (vec![4], &[0, 1][..]));
        assert_eq!((spool.drops(Reason::Home), spool.drops(Reason::Conflated)), (1, 2));
    }

    #[test]
    fn a_state_that_changes_all_the_time_goes_when_its_first_change_has_waited() {
        let mut spool = spool(|_| {});
        for millis in 0..5 {
            spool.push(at_millis(millis), state("a", millis));
            assert!(spool.poll_batch(at_millis(millis), false).is_none());
        }
        assert_eq!(sequences(&spool.poll_batch(at_millis(5), false).unwrap()), [4]);
    }

    #[test]
    fn a_state_that_changes_all_the_time_is_not_put_behind_what_came_after_it() {
        let mut spool = spool(|config| config.linger = Duration::ZERO);
        spool.push(at_millis(0), state("a", 0));
        for sequence in 1..9 {
            spool.push(at_millis(0), event("b", sequence, 10));
            spool.push(at_millis(0), state("a", sequence));
        }
        assert_eq!(sequences(&spool.poll_batch(at_millis(0), false).unwrap()), [8, 1]);
    }

    proptest! {
        #[test]
        fn agrees_with_a_list_that_is_looked_through(steps in vec((0..6u8, 0..4u8), 0..60)) {
            let mut spool = spool(|config| {
                (config.linger, config.batch) = (Duration::ZERO, 3);
                config.bytes = 8 * event("a", 0, 0).bytes();
            });
            let mut model: Vec<(bool, String, u64)> = Vec::new();
            let is_same = |one: &(bool, String, u64), other: &Parcel| one.0 && other.is_state() && one.1 == other.topic.as_str();
            let mut now = Instant::ZERO;
            for (sequence, (step, topic)) in (0u64..).zip(steps) {
                now = now + Duration::from_secs(100);
                let topic = topic.to_string();
                if step < 4 {
                    let parcel = if step < 2 { state(&topic, sequence) } else { event(&topic, sequence, 0) };
                    match model.iter_mut().find(|one| is_same(one, &parcel)) {
                        Some(one) => one.2 = sequence,
                        None => model.push((parcel.is_state(), topic, sequence)),
                    }
                    spool.push(now, parcel);
                } else if let Some(batch) = spool.poll_batch(now, false) {
                    model.drain(..batch.len());
                    if step == 4 {
                        spool.delivered();
                    } else {
                        let back = batch.iter().map(|it| (it.is_state(), it.topic.to_string(), it.sequence));
                        model.splice(0..0, back.collect::<Vec<_>>());
                        spool.failed(now, batch, Duration::ZERO);
                    }
                }
                model.drain(..model.len() - spool.queue.len());
                let queue: Vec<_> = spool.queue.iter().map(|(_, it)| (it.is_state(), it.topic.to_string(), it.sequence)).collect();
                prop_assert_eq!(&queue, &model);
                prop_assert_eq!(spool.queued_bytes, spool.queue.iter().map(|(_, it)| it.bytes()).sum::<usize>());
                prop_assert_eq!(spool.states.len(), spool.queue.iter().filter(|(_, it)| it.is_state()).count());
            }
        }
    }

    #[test]
    fn what_is_left_goes_at_once_at_the_end_or_is_counted() {
        let mut spool = spool(|config| config.linger = Duration::from_secs(9));
        spool.push(at_millis(0), event("a", 0, 10));
        assert!(spool.poll_batch(at_millis(0), true).is_some());
        spool.push(at_millis(0), event("a", 1, 10));
        spool.left_out(Reason::Rejected, 1);
        assert!(spool.poll_batch(at_millis(0), true).is_some());
        for sequence in 2..4 {
            spool.push(at_millis(0), event("a", sequence, 10));
        }
        // One is on its way, and two wait.
        assert_eq!(spool.drop_all(Reason::Shutdown), 3);
        assert_eq!((spool.drops(Reason::Rejected), spool.drops(Reason::Shutdown)), (1, 3));
        assert!(spool.is_empty() && spool.bytes() == 0);
    }
}
