//! The native protocol over datagrams: one socket, one task, all peers.
//!
//! The loop moves datagrams and timers between the socket and values, and nothing else, so that another transport of datagrams can take
//! the place of what is inside.

mod host;
mod peer;

use std::future::{Future as _, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use anyhow::anyhow;
use bytes::BytesMut;
use nyx_core::Instant;
use nyx_hub::{Peer, Session, Transport};
use nyx_transport::alarm::Alarm;
use nyx_transport::udp::connection::{Config, Refused, Stats};
use nyx_transport::udp::{Batch, Inbox, Socket};

use ring::rand::{SecureRandom as _, SystemRandom};

use super::App;
use super::doorstep::Visit;
use super::native::farewell;
use crate::exit::{Failure, Outcome};
use host::{Host, Reception};

/// Batches in and out before the task lets others run.
const ROUNDS: usize = 8;

/// What cookies are made by.
pub(crate) fn secret() -> Outcome<[u8; 32]> {
    let mut secret = [0; 32];
    let drawn = SystemRandom::new().fill(&mut secret);
    drawn.map_err(|_| Failure::from(anyhow!("the system gives no random numbers for cookies")))?;
    Ok(secret)
}

/// Serves until the hub drains and the last peer is gone.
pub(crate) async fn serve(app: Arc<App>, socket: Socket, secret: [u8; 32]) {
    let mut config = Config::default();
    let message = app.hub.config().message_bytes + MESSAGE_HEAD;
    config.item_bytes = message;
    config.incoming_bytes = message + (message / 4).max(SMALL_ITEMS_BYTES);
    config.silence = app.hub.config().silence;
    let mut driver = Driver {
        host: Host::new(Desk { app: app.clone() }, secret, config),
        app: app.clone(),
        socket,
        inbox: Inbox::new(),
        batch: Batch::default(),
        alarm: Alarm::default(),
    };
    let mut stopped = pin!(app.stopped());
    let mut is_stopping = false;
    let outcome = poll_fn(|cx| {
        is_stopping = is_stopping || stopped.as_mut().poll(cx).is_ready();
        driver.poll(cx, is_stopping)
    });
    if let Err(error) = outcome.await {
        tracing::error!(%error, "the datagram socket failed");
    }
}

/// Bytes of a message beside its payload, and of what goes with it.
const MESSAGE_HEAD: usize = 4096;

/// Room for items behind one that is missing, in bytes, however small messages have to be: some thousand small ones.
const SMALL_ITEMS_BYTES: usize = 1 << 20;

struct Driver {
    app: Arc<App>,
    host: Host<Desk>,
    socket: Socket,
    inbox: Inbox,
    batch: Batch,
    alarm: Alarm,
}

impl Driver {
    fn poll(&mut self, cx: &mut Context<'_>, is_stopping: bool) -> Poll<io::Result<()>> {
        self.host.register(cx.waker());
        for _ in 0..ROUNDS {
            let now = self.app.now();
            let received = self.receive(cx, now)?;
            self.host.turn(now, &mut self.batch);
            let sent = self.send(cx)?;
            if is_stopping && self.host.len() == 0 && self.batch.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let is_busy = received || (sent && self.host.is_touched());
            if !is_busy && self.alarm.poll(cx, now, self.host.poll_timeout()).is_pending() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn receive(&mut self, cx: &mut Context<'_>, now: Instant) -> io::Result<bool> {
        match self.socket.poll_recv(cx, &mut self.inbox) {
            Poll::Pending => Ok(false),
            // Such an error is about something that was sent: nobody listens there any more.
            Poll::Ready(Err(error)) if error.raw_os_error().is_some() => Ok(true),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(_)) => {
                let traffic = &self.app.meters.link(Transport::Udp).traffic;
                for datagram in self.inbox.iter() {
                    traffic.received.add(datagram.payload.len() as u64);
                    let (source, local, payload) = (datagram.source, datagram.local, datagram.payload);
                    self.host.handle_datagram(now, source, local, payload, &mut self.batch);
                }
                Ok(true)
            }
        }
    }

    /// Whether all that was there has gone.
    fn send(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        while !self.batch.is_empty() {
            let bytes = self.batch.bytes();
            match self.socket.poll_send(cx, &mut self.batch) {
                Poll::Pending => return Ok(false),
                Poll::Ready(sent) => {
                    let sent = sent?;
                    let meters = &self.app.meters;
                    meters.datagrams.unsent.add((sent.too_large + sent.failed) as u64);
                    meters.link(Transport::Udp).traffic.sent.add((bytes - self.batch.bytes()) as u64);
                }
            }
        }
        Ok(true)
    }
}

/// Lets peers in as those of TCP are, and counts.
struct Desk {
    app: Arc<App>,
}

impl Reception for Desk {
    fn admit(&mut self, now: Instant, peer: SocketAddr) -> Result<(Session, Option<Visit>), BytesMut> {
        let app = &self.app;
        if !app.admits(peer, Transport::Udp) {
            return Err(farewell(
                "this address connects too often: come back later (limits.connections_per_peer)",
            ));
        }
        let visit = app.doorstep.enter(peer.ip());
        let entry = app.entry(peer.ip(), None);
        match app.hub.session_with(now, Peer::new(peer, Transport::Udp), entry) {
            Ok(session) => {
                app.meters.link(Transport::Udp).opened();
                Ok((session, Some(visit)))
            }
            Err(error) => {
                app.meters.link(Transport::Udp).refused.inc();
                app.audit.refuse(peer.ip(), "", error);
                Err(farewell(error))
            }
        }
    }

    fn answered(&mut self) {
        self.app.meters.datagrams.answered.inc();
    }

    fn refused(&mut self, peer: SocketAddr, reason: Refused) {
        self.app.meters.datagrams.refuse(reason);
        if reason == Refused::Replayed {
            self.app.audit.refuse(peer.ip(), "", "a datagram that began a connection came again");
        }
    }

    fn counted(&mut self, stats: &Stats) {
        self.app.meters.datagrams.add(stats);
    }

    fn left(&mut self, _: SocketAddr) {
        self.app.meters.link(Transport::Udp).ended();
    }
}

#[cfg(test)]
mod tests;
