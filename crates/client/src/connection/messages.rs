//! What the hub's messages do.

use std::sync::Arc;

use bytes::BytesMut;
use nyx_protocol::control::{self, Body, Pong, Resync};
use nyx_protocol::wire::{self, Scan};

use super::End;
use super::packing::Packing;
use crate::Refusal;
use crate::error::ProtocolError;
use crate::registry::Registry;
use crate::requests::Mail;
use crate::shared::Shared;
use crate::subscribe::Acks;

/// What is left in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Less than a message: so many bytes more are needed.
    Needs(usize),
    /// Whole messages, as too much waits to be consumed.
    HeldBack,
    /// Whole messages, as what those before have caused is to be sent first.
    More,
}

/// Takes whole messages off the front of `buffer`. `packing` says what is packed, and whether the hub takes blocks.
pub(super) fn take(
    shared: &Shared,
    acks: &Arc<Acks>,
    packing: (&mut Packing, bool),
    buffer: &mut BytesMut,
) -> Result<Taken, End> {
    let mut mail = Mail::default();
    let taken = sort(shared, acks, packing, buffer, &mut mail);
    // What came before the end counts.
    mail.handle(shared);
    taken
}

/// Does what the messages say, but for those about requests.
fn sort(
    shared: &Shared,
    acks: &Arc<Acks>,
    (packing, takes_blocks): (&mut Packing, bool),
    buffer: &mut BytesMut,
    mail: &mut Mail,
) -> Result<Taken, End> {
    let max = shared.max_message_bytes().max(RECEIVE_MIN);
    let mut registry = shared.registry.lock();
    loop {
        match wire::scan(buffer, max).map_err(ProtocolError::from)? {
            Scan::Incomplete { needed } => return Ok(Taken::Needs(needed)),
            Scan::Control { .. } if mail.is_full() => return Ok(Taken::More),
            Scan::Control { len } => {
                let message = buffer.split_to(len).freeze();
                let body = control::parse_shared(message).map_err(ProtocolError::from)?;
                if let Some(body) = body.and_then(|body| mail.take(body)) {
                    handle_control(shared, &mut registry, (packing, takes_blocks), body)?;
                }
            }
            // A few bytes may stand for many: they wait like what waits in the socket.
            Scan::Run(_) if acks.is_over() => return Ok(Taken::HeldBack),
            Scan::Run(run) => {
                let bytes = buffer.split_to(run.len).freeze();
                if let Some(topic_id) = registry.dispatch.run(run, bytes, max, acks)? {
                    shared.outgoing.put_control(Resync { topic_id });
                }
            }
        }
    }
}

fn handle_control(
    shared: &Shared,
    registry: &mut Registry,
    (packing, takes_blocks): (&mut Packing, bool),
    body: Body,
) -> Result<(), End> {
    match body {
        Body::Error(error) if error.fatal => return Err(End::Refused(Refusal::new(error, ""))),
        Body::Error(error) => registry.refuse(error),
        Body::Advertised(advertised) => {
            registry.accepted(advertised.alias, advertised.plain);
            packing.forget(advertised.alias);
        }
        Body::Results(results) => registry.results(results, &shared.outgoing)?,
        Body::Subscribed(subscribed) => registry.subscribed(subscribed.id),
        Body::Announce(announce) => {
            let subscriptions = registry.subscriptions.iter();
            let subscriptions = subscriptions.map(|(&id, entry)| (id, &entry.pattern, &entry.inbox));
            registry.dispatch.announce(&announce, subscriptions)?;
        }
        Body::Gap(gap) => registry.dispatch.gap(&gap),
        Body::Dictionary(dictionary) => {
            registry.dispatch.unpacking.insert(&dictionary).map_err(ProtocolError::from)?;
        }
        Body::Compression(compression) => packing.is_allowed = takes_blocks && compression.allowed,
        Body::Retire(retire) => registry.dispatch.unpacking.retire(&retire),
        Body::Ping(ping) => shared.outgoing.put_control(Pong { nonce: ping.nonce }),
        Body::Pong(pong) => registry.pings.pong(pong.nonce),
        Body::Served(served) => shared.services.lock().served(served),
        Body::Goodbye(goodbye) => return Err(End::Goodbye(goodbye.reason)),
        // What only a client sends is no reason to give up.
        _ => {}
    }
    Ok(())
}

/// What is received of one message at least, whatever the hub takes: its documents have a limit of their own.
const RECEIVE_MIN: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests;
