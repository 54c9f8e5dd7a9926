//! A connection over datagrams: the handshake, and the session that follows.
//!
//! - `wire`: datagrams and timers, between the socket and the connection's value.
//! - `session`: what the hub says and is told, as over a stream.

mod session;
mod wire;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use nyx_core::Clock as _;
use nyx_protocol::control::{self, Body};
use nyx_protocol::wire::{self as message, Scan};

pub(super) use session::Session;
use wire::Wire;

use crate::Refusal;
use crate::error::{ConnectError, ProtocolError};
use crate::registry::hello;
use crate::shared::Shared;

/// A connection over datagrams that the hub has welcomed.
#[derive(Debug)]
pub(crate) struct Link {
    wire: Wire,
    /// What came behind the welcome.
    input: BytesMut,
}

/// One attempt, within the connect timeout, which all addresses of the host share.
pub(super) async fn connect(shared: &Shared) -> Result<Link, ConnectError> {
    let Shared { address, config, .. } = shared;
    let found = tokio::net::lookup_host((address.host(), address.port())).await;
    let found: Vec<SocketAddr> =
        found.map_err(|source| ConnectError::NoSuchHost { address: address.clone(), source })?.collect();
    let share = config.connect_timeout / u32::try_from(found.len().max(1)).unwrap_or(u32::MAX);
    let mut last = ConnectError::NoAnswer(address.clone());
    for peer in found {
        match try_one(shared, peer, share).await {
            Err(error @ (ConnectError::NoAnswer(_) | ConnectError::Socket { .. })) => last = error,
            decided => return decided,
        }
    }
    Err(last)
}

async fn try_one(shared: &Shared, peer: SocketAddr, timeout: Duration) -> Result<Link, ConnectError> {
    let Shared { address, config, clock, .. } = shared;
    if config.token.is_some() && !peer.ip().is_loopback() && !config.send_token_in_clear {
        return Err(ConnectError::TokenInClear(address.clone()));
    }
    let wire = Wire::new(clock.clone(), peer)
        .map_err(|source| ConnectError::Socket { address: address.clone(), source })?;
    match tokio::time::timeout(timeout, greet(shared, wire)).await {
        Ok(result) => result,
        Err(_) => Err(ConnectError::NoAnswer(address.clone())),
    }
}

async fn greet(shared: &Shared, mut wire: Wire) -> Result<Link, ConnectError> {
    let alien = |source| ConnectError::NotAHub { address: shared.address.clone(), source };
    let broken = |source| ConnectError::Io { address: shared.address.clone(), source };
    let mut out = BytesMut::new();
    // What refers to something that was sent before can't be read where that is lost.
    control::put(&mut out, control::Hello { blocks: None, ..hello(&shared.config) });
    wire.connection.write(&out);
    let mut input = BytesMut::new();
    loop {
        while let Scan::Control { len } =
            message::scan(&input, message::MAX_CONTROL_LEN).map_err(|error| alien(error.into()))?
        {
            match control::parse(&input.split_to(len)).map_err(|error| alien(error.into()))? {
                Some(Body::Welcome(welcome)) if welcome.version == control::VERSION => {
                    shared.welcome(&welcome);
                    wire.connection.allow_items(shared.max_message_bytes().saturating_add(MESSAGE_HEAD));
                    return Ok(Link { wire, input });
                }
                Some(Body::Welcome(_)) => return Err(alien(ProtocolError::Unexpected("protocol version"))),
                Some(Body::Error(error)) => return Err(ConnectError::Refused(Refusal::new(error, ""))),
                _ => {}
            }
        }
        // What comes of it is in the stream, or the end.
        poll_fn(|cx| {
            let now = shared.clock.now();
            loop {
                let moved = wire.poll(cx, now)?;
                wire.connection.take_stream(&mut input);
                if !input.is_empty() || wire.connection.is_closed() {
                    return Poll::Ready(Ok(()));
                }
                if !moved && wire.poll_alarm(cx, now, None).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
        .map_err(broken)?;
        if wire.connection.is_closed() && input.is_empty() {
            return Err(broken(std::io::ErrorKind::ConnectionReset.into()));
        }
    }
}

/// Bytes of a message beside its payload, and of what goes with it.
const MESSAGE_HEAD: usize = 4096;
