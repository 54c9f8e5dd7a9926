//! Somebody who uses the hub while others misuse it.

use std::time::Duration;

use nyx_client::publish::Options;
use nyx_client::{Item, Name, Pattern, subscribe};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::interval;

use super::daemon::{Daemon, PATIENCE};
use super::ledger::Ledger;
use super::wait::within;

/// An event every five milliseconds from one client to another.
pub(crate) struct Witness {
    stop: watch::Sender<bool>,
    task: JoinHandle<u64>,
}

impl Witness {
    /// Begins.
    pub(crate) async fn of(daemon: &Daemon) -> Self {
        let publisher = daemon.client("witness").await;
        let log = Name::new("witness").expect("a topic");
        let log = publisher.events(log, Options::default()).await.expect("the topic is accepted");
        let pattern = Pattern::new("witness").expect("a pattern");
        let subscriber = daemon.client("witness").await;
        let mut seen =
            subscriber.subscribe(pattern, subscribe::Options::default()).await.expect("a subscription");
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut ticks = interval(Duration::from_millis(5));
            let mut ledger = Ledger::default();
            while !*stopped.borrow() {
                ticks.tick().await;
                log.send_text("still here").await.expect("an event is taken");
                match within(PATIENCE, "the witness gets its event", seen.recv()).await {
                    Ok(Item::Event(event)) => ledger.deliver(event.sequence),
                    other => panic!("the witness was disturbed: {other:?}"),
                }
            }
            let stats = [publisher.stats(), subscriber.stats()];
            assert!(
                stats.iter().all(|stats| stats.reconnects == 0),
                "the witness was disconnected: {stats:?}"
            );
            ledger.delivered
        });
        Self { stop, task }
    }

    /// Ends, and says how many events came; none was lost, or this panics.
    pub(crate) async fn undisturbed(self) -> u64 {
        self.stop.send_replace(true);
        self.task.await.expect("the witness was not disturbed")
    }
}
