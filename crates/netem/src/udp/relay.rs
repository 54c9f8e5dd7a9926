//! One client: two sockets and a path in each direction.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use nyx_core::Instant;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};

use super::{Control, DATAGRAM_MAX, TURN, Tally, drain};
use crate::alarm::Alarm;
use crate::path::{Counters, Path};

/// One client.
pub(super) struct Relay {
    pub(super) client: SocketAddr,
    pub(super) to_client: Arc<UdpSocket>,
    pub(super) upstream: SocketAddr,
    pub(super) to_upstream: UdpSocket,
    pub(super) inbox: mpsc::Receiver<Bytes>,
    /// To upstream, and to the client.
    pub(super) paths: [Path; 2],
    /// What left the paths and would not be sent.
    pub(super) unsendable: [u64; 2],
    /// What of the paths' counters is in the tally.
    pub(super) told: [Counters; 2],
    pub(super) control: watch::Receiver<Control>,
    pub(super) alarm: Arc<Alarm>,
    pub(super) tally: Arc<Tally>,
    pub(super) idle: Duration,
}

impl Relay {
    /// Runs until the client has been silent for long enough.
    pub(super) async fn run(mut self) {
        let socket = self.tally.unread.open(&self.to_upstream);
        self.relay().await;
        self.tally.unread.close(socket);
    }

    async fn relay(&mut self) {
        self.control.mark_changed();
        let mut buffer = vec![0; DATAGRAM_MAX];
        let mut last = self.alarm.now();
        loop {
            let now = self.alarm.now();
            self.follow_control(now);
            self.deliver(now).await;
            self.tell();
            let forget = last + self.idle;
            let on_its_way = self.paths.iter().filter_map(Path::poll_timeout).min();
            let Some(wake) = wake(now, on_its_way, forget) else { return };
            tokio::select! {
                Ok(()) = self.control.changed() => self.control.mark_changed(),
                datagram = self.inbox.recv() => match datagram {
                    Some(datagram) => {
                        last = self.alarm.now();
                        self.take_from_client(last, datagram);
                    }
                    None => return,
                },
                received = self.to_upstream.recv_from(&mut buffer) => {
                    let (now, path) = (self.alarm.now(), &mut self.paths[1]);
                    drain(&self.to_upstream, received, &mut buffer, |datagram, from| {
                        // A router that translates lets in only what comes from where the client sends to.
                        if from == self.upstream {
                            last = now;
                            path.handle_input(now, datagram);
                        }
                    });
                }
                () = self.alarm.sleep_until(wake) => {}
            }
        }
    }

    /// Puts a datagram on its path, and what else waits.
    fn take_from_client(&mut self, now: Instant, datagram: Bytes) {
        self.paths[0].handle_input(now, datagram);
        for _ in 1..TURN {
            let Ok(datagram) = self.inbox.try_recv() else { return };
            self.paths[0].handle_input(now, datagram);
        }
    }

    fn follow_control(&mut self, now: Instant) {
        if self.control.has_changed().unwrap_or(false) {
            let Control { conditions, cut } = self.control.borrow_and_update().clone();
            for path in &mut self.paths {
                path.set(now, conditions.clone());
                path.cut(now, cut);
            }
        }
    }

    async fn deliver(&mut self, now: Instant) {
        let ways = [(&self.to_upstream, self.upstream), (&*self.to_client, self.client)];
        for ((path, unsendable), (socket, to)) in self.paths.iter_mut().zip(&mut self.unsendable).zip(ways) {
            while let Some(datagram) = path.poll_output(now) {
                if let Err(error) = socket.send_to(&datagram, to).await {
                    *unsendable += 1;
                    tracing::debug!(%to, %error, "cannot send");
                }
            }
        }
    }

    fn tell(&mut self) {
        let unsendable = std::mem::take(&mut self.unsendable);
        self.tally.unsendable.fetch_add(unsendable.iter().sum(), Ordering::Relaxed);
        let mut flows = self.tally.flows.lock();
        for (((flow, path), told), unsendable) in
            flows.iter_mut().zip(&self.paths).zip(&mut self.told).zip(unsendable)
        {
            let counters = path.counters();
            flow.add(&counters, told);
            // They left the path, and went nowhere.
            flow.delivered -= unsendable;
            *told = counters;
        }
    }
}

/// When there is something to do though nothing comes. `None`: the client is to be forgotten, which it is not while something is on its way.
fn wake(now: Instant, on_its_way: Option<Instant>, forget: Instant) -> Option<Instant> {
    on_its_way.or_else(|| (now < forget).then_some(forget))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_silent_is_forgotten_once_nothing_is_on_its_way_and_costs_nothing_until_then() {
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        assert_eq!(wake(at(1), None, at(10)), Some(at(10)));
        assert_eq!(wake(at(1), Some(at(3)), at(10)), Some(at(3)));
        // Whether it has been silent for long enough or will have been: there is nothing to do before the datagram is due.
        for now in [1, 10, 11] {
            assert_eq!(wake(at(now), Some(at(12)), at(10)), Some(at(12)));
        }
        assert_eq!(wake(at(10), None, at(10)), None);
    }
}
