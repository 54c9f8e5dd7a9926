//! A link that is slower than what is sent over it.
#![allow(dead_code, reason = "each suite uses a part")]

use std::net::SocketAddr;

use nyx_netem::{Handle, Impairment, Proxy, proxy};
use tokio::task::JoinHandle;

/// A proxy before the hub, with the buffers that it has by default; closed when dropped.
pub(crate) struct SlowLink {
    /// Where a slow subscriber connects.
    pub(crate) address: SocketAddr,
    /// Stalls and cuts it.
    pub(crate) handle: Handle,
    task: JoinHandle<()>,
}

impl SlowLink {
    /// A link to `hub` with `rate` in each direction, such as `500kB/s`; `None` only relays.
    pub(crate) fn to(hub: SocketAddr, rate: Option<&str>) -> Self {
        let mut impairment = Impairment::default();
        impairment.rate = rate.map(|rate| rate.parse().expect("a rate"));
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let proxy = Proxy::bind(any, hub, proxy::Config::from(impairment)).expect("the proxy listens");
        let (address, handle) = (proxy.local_addr(), proxy.handle());
        let task = tokio::spawn(async move { match proxy.run().await {} });
        Self { address, handle, task }
    }
}

impl Drop for SlowLink {
    fn drop(&mut self) {
        self.task.abort();
    }
}
