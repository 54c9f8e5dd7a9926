//! The client's one task: a connection, and after it the next.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use nyx_core::Clock;
use nyx_protocol::control::Body;
use nyx_transport::alarm::Alarm;

use crate::Refusal;
use crate::backoff::Backoff;
use crate::connection::{self, End, Link};
use crate::error::ConnectError;
use crate::outgoing::{Fate, Segment};
use crate::requests::RequestError;
use crate::shared::Shared;
use crate::subscribe::{Delivery, Reconnected};

/// Runs until the client is closed.
pub(crate) async fn run(shared: Arc<Shared>, mut link: Link) {
    let mut backoff = Backoff::new(shared.config.backoff_min, shared.config.backoff_max);
    let mut lost_at = None;
    for number in 1.. {
        begin(&shared, number);
        shared.history.lock().refusal = None;
        let since = shared.clock.now();
        if let Some(lost_at) = lost_at {
            announce_return(&shared, Reconnected { downtime: since - lost_at });
        }
        let (end, unwritten) = link.run(&shared).await;
        finish(&shared, &end, unwritten);
        if matches!(end, End::Closed) {
            break;
        }
        let now = shared.clock.now();
        lost_at = Some(now);
        // A hub that takes connections and drops them is not to be stormed.
        if now - since >= shared.config.backoff_max {
            backoff.reset();
        }
        match reconnect(&shared, &mut backoff).await {
            Some(next) => link = next,
            None => break,
        }
    }
    shared.end();
}

/// Tries until there is a connection; `None` when the client was closed meanwhile.
pub(crate) async fn connect_patiently(shared: &Shared) -> Option<Link> {
    match connection::connect(shared).await {
        Ok(link) => Some(link),
        Err(error) => {
            failed(shared, &error);
            reconnect(shared, &mut Backoff::new(shared.config.backoff_min, shared.config.backoff_max)).await
        }
    }
}

async fn reconnect(shared: &Shared, backoff: &mut Backoff) -> Option<Link> {
    let attempts = async {
        loop {
            tokio::time::sleep(backoff.next(fastrand::f64())).await;
            match connection::connect(shared).await {
                Ok(link) => return link,
                Err(error) => failed(shared, &error),
            }
        }
    };
    tokio::select! {
        link = attempts => Some(link),
        () = shared.closing() => None,
        never = expire_calls(shared) => match never {},
    }
}

/// Gives up requests whose time passes while there is no connection.
async fn expire_calls(shared: &Shared) -> Infallible {
    let mut alarm = Alarm::default();
    poll_fn(|cx| {
        loop {
            shared.expire_calls();
            // There is nowhere to write to: only a poke counts, such as one that tells of an earlier deadline.
            let is_poked = shared.outgoing.park(cx.waker(), true).is_none();
            let deadline = shared.calls.next_deadline();
            if !is_poked && alarm.poll(cx, shared.clock.now(), deadline).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// There is no new connection yet.
fn failed(shared: &Shared, error: &ConnectError) {
    shared.history.lock().last_error = Some(error.to_string());
    if let ConnectError::Refused(refusal) = error {
        tell_refusal(shared, refusal);
    }
}

/// Tells subscriptions what the hub says against the session, unless that is what they were told last.
fn tell_refusal(shared: &Shared, refusal: &Refusal) {
    let before = shared.history.lock().refusal.replace(refusal.clone());
    if before.as_ref() != Some(refusal) {
        for entry in shared.registry.lock().subscriptions.values() {
            entry.inbox.push(Delivery::Refused(refusal.clone()));
        }
    }
}

/// Tells a new connection all that the hub must know: publishers, subscriptions, then what has waited, and state whole.
fn begin(shared: &Shared, number: u64) {
    let mut registry = shared.registry.lock();
    if shared.outgoing.waiting() == 0 {
        registry.prune();
    }
    let mut prelude = registry.prelude();
    prelude.extend(shared.services.lock().prelude().map(Body::from));
    let limit = shared.max_message_bytes();
    for (alias, length) in shared.outgoing.begin(number, prelude, limit) {
        registry.leave_out(alias, length, limit);
    }
    registry.publishers().for_each(|publisher| publisher.resend(shared));
    for ping in registry.pings.connect() {
        shared.outgoing.put_control(ping);
    }
    drop(registry);
    shared.calls.unblock(&shared.outgoing, shared.clock.now());
}

fn announce_return(shared: &Shared, reconnected: Reconnected) {
    shared.history.lock().reconnects += 1;
    for entry in shared.registry.lock().subscriptions.values() {
        entry.inbox.push(Delivery::Reconnected(reconnected));
    }
}

/// Keeps what can go out on the next connection, and counts what may be lost.
fn finish(shared: &Shared, end: &End, unwritten: Vec<Segment>) {
    shared.services.lock().disconnect();
    let mut registry = shared.registry.lock();
    let keep = registry.aliases_to_keep();
    let (unsent, appended) = shared.outgoing.end(unwritten, |header| keep.contains(&header.topic));
    for (publisher, refusal) in
        registry.publishers().filter_map(|publisher| Some((publisher, publisher.final_refusal()?)))
    {
        shared.outgoing.give_up(publisher.alias, &Fate::Refused(refusal));
    }
    let written = appended - unsent;
    let unconfirmed = written.saturating_sub(registry.pings.confirmed());
    registry.pings.give_up(written);
    registry.disconnect(unconfirmed);
    let mut history = shared.history.lock();
    history.maybe_lost += unconfirmed;
    history.last_error = Some(end.to_string());
    drop((registry, history));
    if let End::Refused(refusal) = end {
        tell_refusal(shared, refusal);
    }
    shared.calls.fail_all(&RequestError::Disconnected, &shared.outgoing, shared.clock.now());
}
