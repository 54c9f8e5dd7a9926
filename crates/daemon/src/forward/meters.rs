//! What is counted of one forwarder.

use anyhow::Context as _;
use nyx_protocol::control;
use nyx_stream::metrics::{Counter, Gauge, Metric, Registry, Unit};

use super::settings::Destination;
use super::spool::{Reason, Spool};
use crate::exit::{Failure, Outcome};

/// Handles of a forwarder's metrics, by its destination.
pub(super) struct Meters {
    items: Counter,
    retries: Counter,
    spooled: Gauge,
    /// By the spool's reasons, what of them was counted already, and those that the hub told.
    drops: [(Counter, u64); Reason::ALL.len()],
    gaps: Counter,
}

impl Meters {
    /// Those of the forwarder to `to`, of which there can be one.
    pub(super) fn named(registry: &Registry, to: &Destination) -> Outcome<Self> {
        Self::new(registry, &to.to_string()).context("a forwarder can't be counted").map_err(Failure::usage)
    }

    fn new(registry: &Registry, to: &str) -> anyhow::Result<Self> {
        let metric = |name: &str, help: &str| Metric::new(name, help).with_label("to", to);
        let taken = "two forwarders have the same destination: give their topics to one, or their paths a `?` and a name";
        let mut drops = Vec::new();
        let help = "Items that a forwarder will not deliver";
        for reason in Reason::ALL {
            let metric = metric("forward_drops", help).with_label("reason", reason.name());
            drops.push((registry.counter(metric).context(taken)?, 0));
        }
        let missed = metric("forward_drops", help).with_label("reason", "missed");
        Ok(Self {
            items: registry
                .counter(metric("forwarded_items", "Items that a sink has taken"))
                .context(taken)?,
            retries: registry
                .counter(metric("forward_retries", "Batches that were not taken and are sent again"))
                .context(taken)?,
            spooled: registry
                .gauge(
                    metric("forward_spooled", "What waits for a sink, or is on its way")
                        .with_unit(Unit::Bytes),
                )
                .context(taken)?,
            drops: drops.try_into().map_err(|_| anyhow::anyhow!("there is a counter for each reason"))?,
            gaps: registry.counter(missed).context(taken)?,
        })
    }

    pub(super) fn delivered(&self, items: usize) {
        self.items.add(items as u64);
    }

    pub(super) fn retry(&self) {
        self.retries.inc();
    }

    /// The hub could not give these.
    pub(super) fn missed(&self, gap: &control::Gap) {
        self.gaps.add(gap.drops.iter().map(|drop| drop.count).sum());
    }

    /// Brings what is counted to where the spool is.
    pub(super) fn show(&mut self, spool: &Spool) {
        self.spooled.set(spool.bytes() as f64);
        for (reason, (counter, counted)) in Reason::ALL.into_iter().zip(&mut self.drops) {
            let total = spool.drops(reason);
            counter.add(total - *counted);
            *counted = total;
        }
    }
}
