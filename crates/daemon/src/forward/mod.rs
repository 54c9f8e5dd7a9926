//! `[[forward]]`: what is published goes on to a service that does not subscribe, as requests or lines.
//!
//! A forwarder is a session of the hub like any other. What it is given waits in a bounded [`spool`] until the sink has taken
//! it; a batch that fails is tried again, after pauses that grow, until the spool needs its room. So a sink may get something twice (the
//! answer was lost, not the request), and is told topic and sequence to notice. What is dropped is counted with the reason.

mod bearer;
mod http;
mod hub;
mod lines;
mod meters;
mod parcel;
mod retry_after;
mod settings;
mod sink;
mod source;
mod spool;
mod tls;

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::time::Duration;

use nyx_core::Instant;
use nyx_stream::metrics::Registry;

pub(crate) use settings::Forward;

use crate::config::Config;
use crate::exit::Outcome;
use crate::serve::{App, Hangups};
use crate::sparing::Sparing;
use meters::Meters;
use parcel::Parcel;
use sink::{Failed, LeftOut, Outlet};
use source::Source;
use spool::{Reason, Spool};

/// The forwarders that are configured, each to be run as a task.
pub(crate) fn start(app: &Arc<App>) -> Outcome<Vec<Forwarder>> {
    app.config.forwards.iter().map(|settings| Forwarder::new(app, settings)).collect()
}

/// Whether those of a configuration could be started.
pub(crate) fn check(config: &Config) -> Outcome {
    let registry = Registry::new();
    for settings in &config.forwards {
        settings.check(&config.listen)?;
        settings.tls.connector(&settings.to.0, b"")?;
        settings.bearer(Hangups::new().1)?;
        Meters::named(&registry, &settings.to.0)?;
    }
    Ok(())
}

/// One `[[forward]]`.
pub(crate) struct Forwarder {
    app: Arc<App>,
    name: String,
    source: Source,
    spool: Spool,
    outlet: Outlet,
    meters: Meters,
    /// How long a service is left alone at most because it says so.
    retry_after_max: Duration,
    /// What is told of batches that were not taken: whoever publishes what a sink refuses could fill the disk else.
    complaints: Sparing,
    /// Once the hub has nothing more to give: until when the rest may be delivered.
    give_up: Option<Instant>,
}

/// How long what is left may take when the server stops. The server waits for five seconds in all.
const LINGER: Duration = Duration::from_secs(3);

impl Forwarder {
    fn new(app: &Arc<App>, settings: &Forward) -> Outcome<Self> {
        settings.check(&app.config.listen)?;
        let name = settings.to.0.to_string();
        let meters = Meters::named(&app.meters.registry, &settings.to.0)?;
        Ok(Self {
            app: Arc::clone(app),
            source: Source::open(app, settings)?,
            spool: Spool::new(settings.spool(), fastrand::u64(..)),
            outlet: Outlet::new(settings, &app.hangups)?,
            meters,
            retry_after_max: settings.retry_after_max(),
            complaints: Sparing::new(&app.clock)?,
            name,
            give_up: None,
        })
    }

    /// Runs until the hub drains and what is left was delivered, or can't be.
    pub(crate) async fn run(mut self) {
        tracing::info!(to = %self.name, "forwarding");
        let mut delivery: Option<Delivery> = None;
        loop {
            let now = self.app.now();
            if delivery.is_none() {
                let batch = self.spool.poll_batch(now, self.give_up.is_some());
                delivery = batch.map(|batch| Box::pin(self.outlet.clone().deliver(batch)) as Delivery);
            }
            self.meters.show(&self.spool);
            if self.give_up.is_some_and(|at| at <= now || self.spool.is_empty()) {
                return self.end();
            }
            let wake = self.wake(delivery.is_some());
            tokio::select! {
                parcels = poll_fn(|cx| self.source.poll(cx)), if self.give_up.is_none() => match parcels {
                    Some(batch) => {
                        batch.gaps.iter().for_each(|gap| self.meters.missed(gap));
                        let now = self.app.now();
                        batch.parcels.into_iter().for_each(|parcel| self.spool.push(now, parcel));
                    }
                    None => self.give_up = Some(self.app.now() + LINGER),
                },
                (batch, result) = delivered(&mut delivery) => {
                    delivery = None;
                    self.settle(batch, result);
                }
                () = sleep_until(self.app.now(), wake) => {}
            }
        }
    }

    fn settle(&mut self, batch: Vec<Parcel>, result: Result<(), Failed>) {
        let now = self.app.now();
        match result {
            Ok(()) => {
                self.meters.delivered(batch.len());
                self.spool.delivered();
            }
            Err(Failed::Rejected(why)) => {
                let rejected = batch.len();
                self.leave_out(&batch, LeftOut { rejected, why: Some(why), home: 0 });
            }
            Err(Failed::Home) => {
                let home = batch.len();
                self.leave_out(&batch, LeftOut { home, ..LeftOut::default() });
            }
            Err(Failed::Partly(left_out)) => self.leave_out(&batch, left_out),
            Err(Failed::Later(why)) => self.try_again(now, batch, &why, Duration::ZERO),
            Err(Failed::Busy(why, pause)) => {
                self.try_again(now, batch, &why, pause.min(self.retry_after_max));
            }
        }
    }

    fn leave_out(&mut self, batch: &[Parcel], LeftOut { rejected, why, home }: LeftOut) {
        if let Some(why) = why
            && let Some(others) = self.complaints.note()
        {
            tracing::warn!(to = %self.name, %why, items = rejected, others, "refused for good, and dropped");
        }
        if home > 0 && self.spool.drops(Reason::Home) == 0 {
            tracing::info!(to = %self.name, "what comes from there is not sent back: hubs forward in a circle");
        }
        self.meters.delivered(batch.len().saturating_sub(rejected + home));
        self.spool.left_out(Reason::Rejected, rejected);
        self.spool.left_out(Reason::Home, home);
    }

    /// Not before `pause` has passed.
    fn try_again(&mut self, now: Instant, batch: Vec<Parcel>, why: &anyhow::Error, pause: Duration) {
        if self.spool.failures() == 0
            && let Some(others) = self.complaints.note()
        {
            tracing::warn!(to = %self.name, %why, others, "can't be delivered, and is tried again");
        }
        self.meters.retry();
        self.spool.failed(now, batch, pause);
    }

    fn wake(&self, busy: bool) -> Option<Instant> {
        let spool = if busy { None } else { self.spool.poll_timeout() };
        spool.into_iter().chain(self.give_up).min()
    }

    fn end(mut self) {
        let left = self.spool.drop_all(Reason::Shutdown);
        if left > 0 {
            tracing::warn!(to = %self.name, items = left, "dropped at the end: the sink did not say in time that it has them");
        }
        self.meters.show(&self.spool);
    }
}

/// A batch on its way, which comes back with what became of it.
type Delivery = std::pin::Pin<Box<dyn Future<Output = (Vec<Parcel>, Result<(), Failed>)> + Send>>;

async fn delivered(delivery: &mut Option<Delivery>) -> (Vec<Parcel>, Result<(), Failed>) {
    match delivery {
        Some(delivery) => delivery.await,
        None => pending().await,
    }
}

async fn sleep_until(now: Instant, at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep(at - now).await,
        None => pending().await,
    }
}
