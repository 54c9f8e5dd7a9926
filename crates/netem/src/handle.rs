//! Control of a proxy while it runs.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;

use crate::counters::{Counters, Tally};
use crate::link::Impairment;

/// Changes a running [`Proxy`](crate::Proxy) and reads its counters. Clones control the same proxy.
///
/// A change reaches each connection at its next turn, within microseconds unless the machine is busy.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(crate) control: watch::Sender<Control>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) local_addr: SocketAddr,
}

impl Handle {
    /// Where the proxy listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What the links do now.
    pub fn impairment(&self) -> Impairment {
        self.control.borrow().impairment.clone()
    }

    /// Replaces what the links do, of open and of future connections. A new seed counts for future ones.
    pub fn set(&self, impairment: Impairment) {
        self.control.send_modify(|control| control.impairment = impairment);
    }

    /// Changes a part of what the links do, in one step.
    pub fn update(&self, change: impl FnOnce(&mut Impairment)) {
        self.control.send_modify(|control| change(&mut control.impairment));
    }

    /// Stops all bytes in both directions, or lets them go on where they stood. Connections stay open, and new ones
    /// are accepted.
    pub fn stall(&self, stalled: bool) {
        self.control.send_modify(|control| control.stalled = stalled);
    }

    /// Whether the proxy stands still.
    pub fn is_stalled(&self) -> bool {
        self.control.borrow().stalled
    }

    /// Resets all present connections on both sides, as a link that breaks. What they held is lost; new ones may come.
    pub fn cut(&self) {
        self.control.send_modify(|control| control.cuts += 1);
    }

    /// Breaks the link until it is told otherwise: resets all present connections on both sides, and each that comes on arrival; or
    /// lets them come again.
    pub fn down(&self, down: bool) {
        self.control.send_modify(|control| {
            control.down = down;
            control.cuts += u64::from(down);
        });
    }

    /// Totals since the proxy was bound.
    pub fn counters(&self) -> Counters {
        self.tally.snapshot()
    }
}

/// What every connection follows.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    pub(crate) impairment: Impairment,
    pub(crate) stalled: bool,
    /// Whether connections that come are reset.
    pub(crate) down: bool,
    /// A connection lives as long as this is what it was when the connection began.
    pub(crate) cuts: u64,
}
