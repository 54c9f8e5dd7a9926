//! One direction of a path that carries datagrams, as a value.
//!
//! ```text
//! handle_input -> cut? -> MTU -> queue (tail drop) -> line (rate) -> loss -> doubling -> flight (delay, jitter, reordering) -> poll_output
//! ```
//!
//! As in [`Link`](crate::Link) the line is a virtual clock. What is random comes from the seed, one draw of each kind for each datagram, so that
//! changing one setting does not change the fate that another decides.

mod conditions;
mod loss;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use nyx_core::Instant;

pub use conditions::{Conditions, Reorder};
pub use loss::{Loss, ParseShareError, Share};

use loss::Weather;

/// A path that datagrams enter at one end and leave at the other: later, in another order, doubled, or not at all.
///
/// Drain [`poll_output`](Self::poll_output) until it is `None`, then come back at [`poll_timeout`](Self::poll_timeout) or
/// after the next input.
///
/// ```
/// use bytes::Bytes;
/// use nyx_core::Instant;
/// use nyx_netem::path::{Conditions, Path};
/// use std::time::Duration;
///
/// let mut conditions = Conditions::default();
/// conditions.delay = Duration::from_millis(40);
/// conditions.loss = "30%".parse().unwrap();
///
/// let mut path = Path::new(conditions);
/// for _ in 0..1000 {
///     path.handle_input(Instant::ZERO, Bytes::from_static(b"datagram"));
/// }
/// assert!(path.poll_output(Instant::ZERO).is_none());
/// let later = Instant::ZERO + Duration::from_millis(40);
/// let arrived = std::iter::from_fn(|| path.poll_output(later)).count() as u64;
/// assert_eq!(arrived + path.counters().lost, 1000);
/// assert!((250..350).contains(&path.counters().lost));
/// ```
#[derive(Debug)]
pub struct Path {
    conditions: Conditions,
    random: fastrand::Rng,
    weather: Weather,
    /// Not yet across the line; the first is on it.
    queue: VecDeque<Bytes>,
    queue_bytes: usize,
    /// In the queue, in flight and held back.
    bytes: usize,
    departure: Option<Instant>,
    /// By time of arrival, and by number among equals.
    flight: BTreeMap<(Instant, u64), Bytes>,
    next_number: u64,
    /// Held back until so many others have passed.
    held: Vec<Held>,
    cut: bool,
    counters: Counters,
}

#[derive(Debug)]
struct Held {
    datagram: Bytes,
    passes: usize,
    until: Instant,
}

/// What became of datagrams. All that entered are in one of `delivered`, `lost`, `overflowed`, `too_large` and `cut`, or on their way;
/// `delivered` counts the second of doubled ones, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Datagrams that entered.
    pub received: u64,
    /// Datagrams that left at the other end.
    pub delivered: u64,
    /// Datagrams that [`Conditions::loss`] took.
    pub lost: u64,
    /// Datagrams for which the queue had no room, or the path as a whole: see [`DATAGRAMS_MAX`] and [`BYTES_MAX`].
    pub overflowed: u64,
    /// Datagrams over [`Conditions::mtu`].
    pub too_large: u64,
    /// Datagrams that entered while the path was cut, or were on it then.
    pub cut: u64,
    /// Datagrams that were doubled.
    pub duplicated: u64,
    /// Datagrams that were held back behind others.
    pub reordered: u64,
}

impl Counters {
    /// Adds what another has counted beyond what of it is in here already.
    pub(crate) const fn add(&mut self, other: &Self, counted: &Self) {
        self.received += other.received - counted.received;
        self.delivered += other.delivered - counted.delivered;
        self.lost += other.lost - counted.lost;
        self.overflowed += other.overflowed - counted.overflowed;
        self.too_large += other.too_large - counted.too_large;
        self.cut += other.cut - counted.cut;
        self.duplicated += other.duplicated - counted.duplicated;
        self.reordered += other.reordered - counted.reordered;
    }
}

impl Path {
    /// A path with nothing on it.
    pub fn new(conditions: Conditions) -> Self {
        Self {
            random: fastrand::Rng::with_seed(conditions.seed),
            weather: Weather::new(conditions.seed),
            conditions,
            queue: VecDeque::new(),
            queue_bytes: 0,
            bytes: 0,
            departure: None,
            flight: BTreeMap::new(),
            next_number: 0,
            held: Vec::new(),
            cut: false,
            counters: Counters::default(),
        }
    }

    /// Puts a datagram on the path. As in a network, nobody is told what becomes of it.
    pub fn handle_input(&mut self, now: Instant, datagram: Bytes) {
        self.advance(now);
        self.counters.received += 1;
        if self.cut {
            self.counters.cut += 1;
        } else if self.conditions.mtu.is_some_and(|mtu| datagram.len() > mtu) {
            self.counters.too_large += 1;
        } else if self.is_full(datagram.len()) {
            self.counters.overflowed += 1;
        } else {
            self.queue_bytes += datagram.len();
            self.bytes += datagram.len();
            self.queue.push_back(datagram);
            if self.departure.is_none() {
                self.begin(now);
                self.advance(now);
            }
        }
    }

    /// The next datagram that has arrived.
    pub fn poll_output(&mut self, now: Instant) -> Option<Bytes> {
        self.advance(now);
        let first = self.flight.first_entry().filter(|first| first.key().0 <= now)?;
        let datagram = first.remove();
        self.counters.delivered += 1;
        self.bytes -= datagram.len();
        Some(datagram)
    }

    /// When there will next be something to do, once `poll_output` has returned `None`. `None`: not by itself.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let arrival = self.flight.first_key_value().map(|((at, _), _)| *at);
        let held = self.held.iter().map(|held| held.until);
        self.departure.into_iter().chain(arrival).chain(held).min()
    }

    /// Changes the conditions from now on. The seed counts at creation only; what is in flight keeps its time.
    pub fn set(&mut self, now: Instant, conditions: Conditions) {
        self.advance(now);
        self.conditions = conditions;
        if let (Some(departure), Some(first)) = (self.departure, self.queue.front()) {
            self.departure = Some(departure.min(now + self.conditions.line_time(first.len())));
        }
    }

    /// Cuts the path, so that all that is on it and all that enters is lost, or lets it carry again.
    pub fn cut(&mut self, now: Instant, cut: bool) {
        self.advance(now);
        self.cut = cut;
        if cut {
            let gone = self.queue.len() + self.flight.len() + self.held.len();
            self.counters.cut += gone as u64;
            self.queue.clear();
            self.flight.clear();
            self.held.clear();
            (self.queue_bytes, self.bytes, self.departure) = (0, 0, None);
        }
    }

    /// Totals so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    fn is_full(&self, bytes: usize) -> bool {
        let datagrams = self.queue.len() + self.flight.len() + self.held.len();
        // One that is larger than the queue is still carried where nothing waits.
        let full = !self.queue.is_empty() && self.queue_bytes + bytes > self.conditions.buffer.len();
        full || datagrams >= DATAGRAMS_MAX || self.bytes + bytes > BYTES_MAX
    }

    /// Moves everything to where it is at `now`.
    fn advance(&mut self, now: Instant) {
        while let Some(at) = self.departure.filter(|&at| at <= now) {
            let Some(datagram) = self.queue.pop_front() else { break };
            self.queue_bytes -= datagram.len();
            self.depart(at, datagram);
            self.begin(at);
        }
        let late: Vec<_> = self.held.extract_if(.., |held| held.until <= now).collect();
        late.into_iter().for_each(|held| self.fly(held.until, held.datagram));
    }

    fn begin(&mut self, at: Instant) {
        self.departure = self.queue.front().map(|datagram| at + self.conditions.line_time(datagram.len()));
    }

    /// A datagram leaves the line: what becomes of it is decided here.
    fn depart(&mut self, at: Instant, datagram: Bytes) {
        let [loss, duplicate, reorder, jitter] = std::array::from_fn(|_| self.random.f64());
        if self.weather.loses(&self.conditions.loss, loss) {
            self.counters.lost += 1;
            self.bytes -= datagram.len();
            return;
        }
        let arrival = at + self.conditions.delay + self.conditions.jitter.mul_f64(jitter);
        if duplicate < self.conditions.duplicate.get() {
            self.counters.duplicated += 1;
            self.bytes += datagram.len();
            self.fly(arrival, datagram.clone());
        }
        match self.conditions.reorder {
            Some(Reorder { share, by }) if reorder < share.get() && by > 0 => {
                self.counters.reordered += 1;
                self.held.push(Held { datagram, passes: by, until: arrival + HOLD_MAX });
            }
            _ => {
                self.fly(arrival, datagram);
                self.pass(arrival);
            }
        }
    }

    fn fly(&mut self, arrival: Instant, datagram: Bytes) {
        self.flight.insert((arrival, self.next_number), datagram);
        self.next_number += 1;
    }

    /// Another one passed those that are held back.
    fn pass(&mut self, arrival: Instant) {
        self.held.iter_mut().for_each(|held| held.passes -= 1);
        let due: Vec<_> = self.held.extract_if(.., |held| held.passes == 0).collect();
        due.into_iter().for_each(|held| self.fly(arrival, held.datagram));
    }
}

/// Datagrams on a path in all: the bound of one that has delay but no rate. More are dropped, as where the queue has no room.
pub const DATAGRAMS_MAX: usize = 16 * 1024;

/// Bytes of datagrams on a path in all, which bound it sooner where they are large: 64 MiB, half a second at a gigabit per second. What is doubled
/// counts twice.
pub const BYTES_MAX: usize = 64 << 20;

/// How long one is held back when too few others come to pass it.
const HOLD_MAX: Duration = Duration::from_millis(200);
