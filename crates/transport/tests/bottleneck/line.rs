//! One line with a queue, and all who send over it.

use std::time::Duration;

use bytes::Bytes;
use nyx_core::{Bitrate, ByteSize, Instant};
use nyx_netem::{Conditions, Path};

use super::flows::Flow;

/// Senders at one end, each with its receiver at the other. Data goes over the line that they share, and each has a way back to itself.
pub(crate) struct Line {
    pub(crate) now: Instant,
    path: Path,
    rate: u64,
    delay: Duration,
    flows: Vec<(Flow, Path)>,
    /// Datagrams that arrived, or were lost behind the line.
    left: u64,
    /// Datagrams on the line and in its queue, added up each millisecond of the last run, and the milliseconds.
    held: (u64, u64),
}

/// Bytes of a datagram, about.
const DATAGRAM: u64 = 1440;

impl Line {
    /// Of so many bytes a second, and with room for so many round trips' worth that wait; a round trip takes `round_trip` where nothing does.
    pub(crate) fn new(rate: u64, round_trip: Duration, buffer: f64) -> Self {
        Self::with_loss(rate, round_trip, buffer, "0%")
    }

    /// The same, which loses some of what it carries.
    pub(crate) fn with_loss(rate: u64, round_trip: Duration, buffer: f64, loss: &str) -> Self {
        let mut conditions = Conditions::default();
        conditions.rate = Some(Bitrate::from_bytes_per_second(rate));
        conditions.delay = round_trip / 2;
        conditions.buffer = ByteSize::new((rate as f64 * round_trip.as_secs_f64() * buffer) as u64);
        conditions.loss = loss.parse().unwrap();
        let (delay, path) = (conditions.delay, Path::new(conditions));
        Self { now: Instant::ZERO, path, rate, delay, flows: Vec::new(), left: 0, held: (0, 0) }
    }

    /// Somebody begins.
    pub(crate) fn join(&mut self, begin: impl FnOnce(Instant) -> Flow) {
        let mut conditions = Conditions::default();
        conditions.delay = self.delay;
        self.flows.push((begin(self.now), Path::new(conditions)));
    }

    /// Who joined last sends nothing more.
    pub(crate) fn leave(&mut self) {
        self.flows.pop();
    }

    pub(crate) fn run(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        self.held = (0, 0);
        while self.now < end {
            self.now = self.now + Duration::from_millis(1);
            self.turn();
        }
    }

    /// The share of the line that each has in the next so many seconds.
    pub(crate) fn shares(&mut self, seconds: u64) -> Vec<f64> {
        let before: Vec<u64> = self.flows.iter().map(|(flow, _)| flow.delivered()).collect();
        self.run(seconds);
        let carries = (self.rate * seconds) as f64;
        let came = self.flows.iter().zip(before).map(|((flow, _), before)| flow.delivered() - before);
        came.map(|bytes| bytes as f64 / carries).collect()
    }

    /// How long a datagram waited before the line, on average over the last run.
    pub(crate) fn queue(&self) -> Duration {
        let datagrams = self.held.0 as f64 / self.held.1.max(1) as f64;
        let waits = Duration::from_secs_f64(datagrams * DATAGRAM as f64 / self.rate as f64);
        waits.saturating_sub(self.delay)
    }

    fn turn(&mut self) {
        let now = self.now;
        for (place, (flow, back)) in self.flows.iter_mut().enumerate() {
            while let Some(datagram) = back.poll_output(now) {
                flow.hear(now, &datagram);
            }
            flow.send(now, |datagram| {
                self.path.handle_input(now, [&[place as u8], datagram].concat().into());
            });
        }
        while let Some(datagram) = self.path.poll_output(now) {
            self.left += 1;
            if let Some((flow, _)) = self.flows.get_mut(usize::from(datagram[0])) {
                flow.receive(now, &datagram[1..]);
            }
        }
        for (flow, back) in &mut self.flows {
            flow.answer(now, |datagram| back.handle_input(now, Bytes::copy_from_slice(datagram)));
        }
        let counters = self.path.counters();
        self.held.0 += counters.received - counters.overflowed - counters.lost - self.left;
        self.held.1 += 1;
    }
}
