//! How much may be under way to a subscriber.
//!
//! What has left the hub can't be replaced by something fresher any more. So a subscriber of things that age has no more
//! under way than its path carries within one round trip, plus one item: it is asked what is freshest as soon as the path
//! can take it, and not before. Rate and round trip are measured from its acknowledgements, as BBR measures them from TCP's
//! (Cardwell et al., *BBR: Congestion-Based Congestion Control*, ACM Queue 14(5), 2016; delivery rate samples as in
//! draft-cheng-iccrg-delivery-rate-estimation). A subscriber of things that don't age has a plain window of bytes.

mod windowed;

use std::collections::VecDeque;
use std::time::Duration;

use nyx_core::Instant;

use windowed::Windowed;

/// What bounds the bytes under way.
///
/// ```
/// use nyx_core::Instant;
/// use nyx_stream::flight::{Flight, Mode};
///
/// let mut flight = Flight::new(Mode::Window(1_000));
/// flight.handle_sent(Instant::ZERO, 600, false);
/// assert_eq!(flight.allowance(), Some(400));
/// flight.set_mode(Mode::Unacknowledged);
/// assert_eq!(flight.mode(), Mode::Unacknowledged);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Things that age, acknowledged one by one: rate × round trip, plus one item.
    Fresh,
    /// Things that don't: this many bytes.
    Window(usize),
    /// The subscriber can't acknowledge; only what the kernel takes bounds it.
    Unacknowledged,
}

/// Accounts for what is under way to one subscriber.
///
/// ```
/// use std::time::Duration;
/// use nyx_core::Instant;
/// use nyx_stream::flight::{Flight, Mode};
///
/// let ms = |n| Instant::ZERO + Duration::from_millis(n);
/// let mut flight = Flight::new(Mode::Fresh);
/// assert!(flight.allowance().is_some());
/// flight.handle_sent(ms(0), 46_000, true);
/// assert!(flight.allowance().is_none()); // wait until it has arrived
/// flight.handle_ack(ms(92), 46_000);
/// assert!(flight.allowance().is_some());
/// assert_eq!(flight.bytes_per_second(), Some(500_000));
/// assert_eq!(flight.round_trip_min(), Some(Duration::from_millis(92)));
/// assert_eq!((flight.sent(), flight.acked(), flight.in_flight()), (46_000, 46_000, 0));
/// ```
#[derive(Debug)]
pub struct Flight {
    mode: Mode,
    sent: u64,
    acked: u64,
    /// Bytes sent up to the end of the last prompt item.
    prompt_end: u64,
    /// Bytes that have arrived as far as is known, and when the last of them did. Starts anew whenever nothing is awaited.
    delivered: u64,
    delivered_at: Instant,
    departures: VecDeque<Departure>,
    rate: Windowed,
    round_trip: Windowed,
    /// Whether the last that was acknowledged had to wait on the path.
    queued: bool,
}

#[derive(Clone, Copy, Debug)]
struct Departure {
    /// Bytes sent, this one included.
    end: u64,
    at: Instant,
    /// What had arrived when it was sent, and when.
    delivered: u64,
    delivered_at: Instant,
}

/// How long a measured rate counts: long enough to see a frame or two on a slow path, short enough to notice a change.
const RATE_WINDOW: Duration = Duration::from_millis(500);

/// How long a measured round trip counts, as in BBR.
const ROUND_TRIP_WINDOW: Duration = Duration::from_secs(10);

/// What one pull may take, in time on the wire: short against what a person notices, long against a round trip at hand.
const PULL_TIME: Duration = Duration::from_millis(10);

/// By how much a round trip may exceed the shortest, beside a quarter of that, and still be one of a path where nothing queues.
const JITTER: Duration = Duration::from_millis(5);

/// Bounds of what one pull may take, in bytes.
const PULL_MIN: usize = 4 * 1024;
const PULL_MAX: usize = 256 * 1024;

/// Bytes of items that are not prompt after which the subscriber acknowledges them at the latest (docs/WIRE.md). To hold
/// back with less under way would be to wait for an acknowledgement that does not come.
const UNPROMPTED_MAX: u64 = 128 * 1024;

/// Departures that are remembered. More than this are under way only when items are tiny; then neighbours are merged.
const DEPARTURES_MAX: usize = 256;

impl Flight {
    /// Nothing under way, nothing known.
    ///
    /// ```
    /// use nyx_stream::flight::{Flight, Mode};
    ///
    /// assert_eq!(Flight::new(Mode::Fresh).in_flight(), 0);
    /// ```
    pub const fn new(mode: Mode) -> Self {
        Self {
            mode,
            sent: 0,
            acked: 0,
            prompt_end: 0,
            delivered: 0,
            delivered_at: Instant::ZERO,
            departures: VecDeque::new(),
            rate: Windowed::new(RATE_WINDOW),
            round_trip: Windowed::new(ROUND_TRIP_WINDOW),
            queued: false,
        }
    }

    /// Changes what bounds the bytes under way.
    pub const fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// What bounds the bytes under way.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Bytes that may be pulled now, about; `None`: wait for an acknowledgement. O(1).
    ///
    /// ```
    /// use nyx_core::Instant;
    /// use nyx_stream::flight::{Flight, Mode};
    ///
    /// let mut flight = Flight::new(Mode::Window(1_000));
    /// flight.handle_sent(Instant::ZERO, 1_000, false);
    /// assert_eq!(flight.allowance(), None);
    /// ```
    pub fn allowance(&self) -> Option<usize> {
        match self.mode {
            Mode::Unacknowledged => Some(PULL_MAX),
            Mode::Window(window) => {
                let room = (window as u64).saturating_sub(self.in_flight()) as usize;
                (room > 0).then_some(room.min(PULL_MAX))
            }
            Mode::Fresh => self.has_room().then(|| {
                self.bytes_in_pull_time().unwrap_or(0).clamp(PULL_MIN as u64, PULL_MAX as u64) as usize
            }),
        }
    }

    fn has_room(&self) -> bool {
        let unprompted = self.sent - self.prompt_end.max(self.acked);
        // Small items need not go one by one, as long as together they take no time that anyone notices. Who has sent little has
        // measured a low rate: where nothing queues, that says how much there was to send.
        let noticed = if self.queued { self.bytes_in_pull_time() } else { None };
        let small = noticed.unwrap_or(u64::MAX).min(PULL_MIN as u64);
        self.awaited() <= self.path_bytes().max(small) && unprompted <= UNPROMPTED_MAX
    }

    fn bytes_in_pull_time(&self) -> Option<u64> {
        let bytes = u128::from(self.rate.get()?) * PULL_TIME.as_nanos() / 1_000_000_000;
        Some(u64::try_from(bytes).unwrap_or(u64::MAX))
    }

    /// Bytes whose acknowledgement comes as soon as they are consumed.
    const fn awaited(&self) -> u64 {
        self.prompt_end.saturating_sub(self.acked)
    }

    /// Rate × round trip, and a quarter more to find out whether the path carries more: what it holds without queueing.
    /// Zero until both are known.
    fn path_bytes(&self) -> u64 {
        let (Some(rate), Some(round_trip)) = (self.rate.get(), self.round_trip_min()) else { return 0 };
        u64::try_from(u128::from(rate) * round_trip.as_nanos() * 5 / 4_000_000_000).unwrap_or(u64::MAX)
    }

    /// Bytes were handed to the socket. `prompt`: the subscriber acknowledges them as soon as it has consumed them, and not
    /// only when there are many. O(1).
    ///
    /// ```
    /// use nyx_core::Instant;
    /// use nyx_stream::flight::{Flight, Mode};
    ///
    /// let mut flight = Flight::new(Mode::Fresh);
    /// flight.handle_sent(Instant::ZERO, 5_000, true);
    /// assert_eq!((flight.sent(), flight.in_flight()), (5_000, 5_000));
    /// ```
    pub fn handle_sent(&mut self, now: Instant, bytes: usize, prompt: bool) {
        if self.mode == Mode::Unacknowledged {
            return;
        }
        // After a pause the clock of the sample starts with the first byte that ends it.
        if self.awaited() == 0 {
            (self.delivered, self.delivered_at) = (self.sent, now);
        }
        self.sent += bytes as u64;
        if self.mode != Mode::Fresh || !prompt {
            return;
        }
        self.prompt_end = self.sent;
        if self.departures.len() == DEPARTURES_MAX {
            self.departures.pop_back();
        }
        let (delivered, delivered_at) = (self.delivered, self.delivered_at);
        self.departures.push_back(Departure { end: self.sent, at: now, delivered, delivered_at });
    }

    /// The subscriber says that it has consumed `total` bytes since the session began. What it can't have is ignored.
    /// Amortised O(1).
    ///
    /// ```
    /// use nyx_core::Instant;
    /// use nyx_stream::flight::{Flight, Mode};
    ///
    /// let mut flight = Flight::new(Mode::Fresh);
    /// flight.handle_sent(Instant::ZERO, 5_000, true);
    /// flight.handle_ack(Instant::from_nanos(1_000_000), 9_999); // it was not sent so much
    /// assert_eq!(flight.acked(), 0);
    /// flight.handle_ack(Instant::from_nanos(1_000_000), 5_000);
    /// assert_eq!(flight.bytes_per_second(), Some(5_000_000));
    /// ```
    pub fn handle_ack(&mut self, now: Instant, total: u64) {
        if total <= self.acked || total > self.sent {
            return;
        }
        self.acked = total;
        if total > self.delivered {
            (self.delivered, self.delivered_at) = (total, now);
        }
        let mut newest = None;
        while let Some(departure) = self.departures.pop_front_if(|departure| departure.end <= total) {
            newest = Some(departure);
        }
        let Some(departure) = newest else { return };
        let elapsed = now.since(departure.delivered_at).as_nanos().max(1);
        let rate = u128::from(total.saturating_sub(departure.delivered)) * 1_000_000_000 / elapsed;
        self.rate.offer_max(now, u64::try_from(rate).unwrap_or(u64::MAX));
        let round_trip = now.since(departure.at);
        self.round_trip.offer_min(now, nanos(round_trip));
        self.queued = self.round_trip_min().is_some_and(|shortest| round_trip > shortest * 5 / 4 + JITTER);
    }

    /// A probe came back after `round_trip`. Probes are small and sent when nothing is under way, so they measure the path itself.
    /// O(1).
    ///
    /// ```
    /// use std::time::Duration;
    /// use nyx_core::Instant;
    /// use nyx_stream::flight::{Flight, Mode};
    ///
    /// let mut flight = Flight::new(Mode::Fresh);
    /// flight.handle_probe(Instant::ZERO, Duration::from_millis(40));
    /// assert_eq!(flight.round_trip_min(), Some(Duration::from_millis(40)));
    /// ```
    pub fn handle_probe(&mut self, now: Instant, round_trip: Duration) {
        self.round_trip.offer_min(now, nanos(round_trip));
    }

    /// Bytes that were sent so far.
    pub const fn sent(&self) -> u64 {
        self.sent
    }

    /// Bytes that were acknowledged so far.
    pub const fn acked(&self) -> u64 {
        self.acked
    }

    /// Bytes that were sent and are not acknowledged.
    pub const fn in_flight(&self) -> u64 {
        self.sent - self.acked
    }

    /// What the path has been carrying lately, if that is known.
    pub fn bytes_per_second(&self) -> Option<u64> {
        self.rate.get()
    }

    /// The shortest round trip of late, if one was seen.
    pub fn round_trip_min(&self) -> Option<Duration> {
        self.round_trip.get().map(Duration::from_nanos)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(micros: u64) -> Instant {
        Instant::ZERO + Duration::from_micros(micros)
    }

    /// Sends items over a path of the given rate and delay for a second of virtual time, as often as the flight allows.
    fn simulate(bytes_per_second: u64, delay: Duration, item: usize) -> (Flight, u64, u64) {
        let mut flight = Flight::new(Mode::Fresh);
        flight.handle_probe(Instant::ZERO, delay);
        let mut arrivals: VecDeque<(Instant, u64)> = VecDeque::new();
        let (mut link_free, mut sent, mut most) = (Instant::ZERO, 0u64, 0);
        for micros in 0..1_000_000 {
            let now = us(micros);
            while let Some((_, total)) = arrivals.pop_front_if(|(at, _)| *at <= now) {
                flight.handle_ack(now, total);
            }
            while flight.allowance().is_some() {
                flight.handle_sent(now, item, true);
                sent += item as u64;
                link_free =
                    link_free.max(now) + Duration::from_nanos(item as u64 * 1_000_000_000 / bytes_per_second);
                arrivals.push_back((link_free + delay, sent));
                most = most.max(flight.in_flight());
            }
        }
        (flight, sent, most)
    }

    #[test]
    fn a_slow_path_has_one_item_under_way_and_loses_no_goodput() {
        let (flight, sent, most) = simulate(500_000, Duration::from_millis(1), 46_000);
        assert_eq!(most, 46_000);
        assert!(sent >= 480_000, "{sent} of 500000 bytes");
        assert!(flight.bytes_per_second().is_some_and(|rate| (450_000..=510_000).contains(&rate)));
    }

    #[test]
    fn a_long_path_is_filled() {
        // 10 MB/s over 50 ms hold 500 KB: ten items of 46 KB. Finding that out takes half of the second.
        let (_, sent, most) = simulate(10_000_000, Duration::from_millis(50), 46_000);
        assert!(sent > 6_500_000, "{sent} of 10000000 bytes");
        assert!(most < 700_000, "{most} bytes under way");
    }

    #[test]
    fn a_window_is_a_window() {
        let mut flight = Flight::new(Mode::Window(1000));
        flight.handle_sent(us(0), 400, false);
        assert_eq!(flight.allowance(), Some(600));
        flight.handle_sent(us(0), 600, false);
        assert_eq!(flight.allowance(), None);
        flight.handle_ack(us(1), 1);
        assert_eq!(flight.allowance(), Some(1));
    }

    #[test]
    fn acknowledgements_that_cannot_be_are_ignored() {
        let mut flight = Flight::new(Mode::Fresh);
        flight.handle_sent(us(0), 100, true);
        flight.handle_ack(us(1), 1_000_000);
        assert_eq!(flight.in_flight(), 100);
        flight.handle_ack(us(1), 60);
        flight.handle_ack(us(2), 40);
        assert_eq!(flight.in_flight(), 40);
    }

    #[test]
    fn what_is_acknowledged_late_does_not_hold_back_what_ages() {
        let mut flight = Flight::new(Mode::Fresh);
        flight.handle_sent(us(0), 5_000, false);
        assert!(flight.allowance().is_some(), "nobody acknowledges 5000 bytes of what does not age");
        flight.handle_sent(us(0), 46_000, true);
        assert!(flight.allowance().is_none());
        flight.handle_ack(us(92_000), 51_000);
        assert!(flight.allowance().is_some());
        assert_eq!(flight.bytes_per_second(), Some(500_000), "the sample is of what was awaited");
    }

    #[test]
    fn what_is_acknowledged_late_is_bounded_too() {
        let mut flight = Flight::new(Mode::Fresh);
        let mut sent = 0;
        while let Some(bytes) = flight.allowance() {
            flight.handle_sent(us(0), bytes, false);
            sent += bytes as u64;
        }
        assert!((UNPROMPTED_MAX..UNPROMPTED_MAX + 2 * PULL_MIN as u64).contains(&sent), "{sent}");
        flight.handle_ack(us(1), UNPROMPTED_MAX);
        assert!(flight.allowance().is_some());
    }

    #[test]
    fn small_items_are_not_sent_one_by_one() {
        let mut flight = Flight::new(Mode::Fresh);
        flight.handle_sent(us(0), 50, true);
        assert!(flight.allowance().is_some());
    }

    #[test]
    fn small_items_go_into_a_path_that_has_gone_quiet_but_not_into_a_queue() {
        let mut flight = Flight::new(Mode::Fresh);
        flight.handle_sent(us(0), 150, true);
        flight.handle_ack(us(40_000), 150);
        assert_eq!(flight.bytes_per_second(), Some(3_750), "there was no more to send");
        let mut sent = 150;
        while flight.allowance().is_some() {
            flight.handle_sent(us(50_000), 150, true);
            sent += 150;
        }
        assert!((PULL_MIN as u64..=PULL_MIN as u64 + 150).contains(&(sent - 150)), "{sent}");
        // They took five times as long: it was the path.
        flight.handle_ack(us(250_000), sent);
        flight.handle_sent(us(250_000), 1_500, true);
        assert!(flight.allowance().is_none());
    }

    #[test]
    fn memory_is_bounded_when_items_are_tiny() {
        let mut flight = Flight::new(Mode::Fresh);
        for i in 0..100_000 {
            flight.handle_sent(us(i), 1, true);
        }
        assert!(flight.departures.len() <= DEPARTURES_MAX);
        flight.handle_ack(us(200_000), 100_000);
        assert_eq!((flight.in_flight(), flight.departures.len()), (0, 0));
    }
}
