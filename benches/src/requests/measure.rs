//! One load on one contender.

use std::sync::Arc;
use std::time::Duration;

use nyx_core::clock::{Clock as _, Monotonic};
use nyx_stream::Histogram;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::{Error, cpu};

/// Sends records and waits until each is answered. Cheap to clone.
pub(super) trait Contender: Clone + Send + Sync + 'static {
    /// Sends `count` records at once, as sender number `sender`. Ready when all are answered, each with a yes.
    fn round(&self, sender: usize, count: usize) -> impl Future<Output = Result<(), Error>> + Send;
}

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) what: &'static str,
    pub(super) contender: &'static str,
    pub(super) load: Load,
    /// The server's process.
    pub(super) server: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    /// Each of `senders` sends `batch` records and waits for all before it sends more.
    Saturated { senders: usize, batch: usize },
    /// So many a second, in bursts of a millisecond.
    Paced { per_second: u32 },
}

impl Load {
    /// Records that wait for their answer at a time, where that is fixed.
    pub(super) const fn under_way(&self) -> Option<usize> {
        match self {
            Self::Saturated { senders, batch } => Some(*senders * *batch),
            Self::Paced { .. } => None,
        }
    }
}

/// What was seen in the window.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) run: Run,
    pub(super) per_second: f64,
    /// Round trips in microseconds.
    pub(super) p50: f64,
    pub(super) p99: f64,
    /// Shares of one core.
    pub(super) server_cpu: f64,
    pub(super) client_cpu: f64,
}

/// Runs a load for a while, and measures a window of it.
pub(super) async fn run<C: Contender>(run: Run, window: Duration, contender: &C) -> Result<Measured, Error> {
    let meter = Arc::new(Meter::default());
    let mut senders = JoinSet::new();
    match run.load {
        Load::Saturated { senders: count, batch } => {
            for sender in 0..count {
                let (contender, meter) = (contender.clone(), meter.clone());
                senders.spawn(async move {
                    loop {
                        meter.time(&contender, sender, batch).await?;
                    }
                });
            }
        }
        Load::Paced { per_second } => {
            let (contender, meter) = (contender.clone(), meter.clone());
            senders.spawn(pace(contender, meter, per_second as usize / 1000));
        }
    }
    let mut finish = async |time: Duration| {
        tokio::select! {
            ended = senders.join_next() => match ended {
                Some(Ok(Err(error))) => Err(error),
                _ => Err(Error::Ended { who: "sender" }),
            },
            () = tokio::time::sleep(time) => Ok(()),
        }
    };
    finish(window / 4).await?;
    let (clock, own) = (Monotonic::new(), std::process::id());
    let cpu = || (run.server.map(cpu::of).unwrap_or_default(), cpu::of(own));
    meter.begin();
    let (start, before) = (clock.now(), cpu());
    finish(window).await?;
    let (elapsed, after) = ((clock.now() - start).as_secs_f64(), cpu());
    let round_trips = meter.end();
    let quantile = |share| round_trips.quantile(share).unwrap_or_default() as f64 / 1e3;
    Ok(Measured {
        run,
        per_second: round_trips.total() as f64 / elapsed,
        p50: quantile(0.5),
        p99: quantile(0.99),
        server_cpu: (after.0 - before.0).as_secs_f64() / elapsed,
        client_cpu: (after.1 - before.1).as_secs_f64() / elapsed,
    })
}

/// One burst each millisecond, however long the ones before take.
async fn pace<C: Contender>(contender: C, meter: Arc<Meter>, burst: usize) -> Result<(), Error> {
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut bursts = JoinSet::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let (contender, meter) = (contender.clone(), meter.clone());
                bursts.spawn(async move { meter.time(&contender, 0, burst).await });
            }
            Some(ended) = bursts.join_next() => ended.map_err(|_| Error::Ended { who: "burst" })??,
        }
    }
}

/// The round trips of the window, in nanoseconds, one for each record.
#[derive(Default)]
struct Meter {
    clock: Monotonic,
    round_trips: Mutex<Option<Histogram>>,
}

impl Meter {
    async fn time<C: Contender>(&self, contender: &C, sender: usize, count: usize) -> Result<(), Error> {
        let start = self.clock.now();
        contender.round(sender, count).await?;
        let nanos = (self.clock.now() - start).as_nanos() as u64;
        if let Some(round_trips) = &mut *self.round_trips.lock() {
            (0..count).for_each(|_| round_trips.record(nanos));
        }
        Ok(())
    }

    fn begin(&self) {
        *self.round_trips.lock() = Some(Histogram::new());
    }

    fn end(&self) -> Histogram {
        self.round_trips.lock().take().unwrap_or_default()
    }
}
