//! The counters of `nyx netem`, in words and as JSON.

use std::time::Duration;

use nyx_netem::{Counters, Flow, Handle};

use crate::tell;

/// Tells once a second what crosses, until dropped.
pub(super) async fn progress(handle: Handle) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.tick().await;
    let mut before = handle.counters();
    loop {
        ticks.tick().await;
        let now = handle.counters();
        let rate = |now: Flow, before: Flow| tell::bytes((now.delivered - before.delivered) as f64);
        let down = rate(now.to_client, before.to_client);
        let up = rate(now.to_upstream, before.to_upstream);
        tell::progress(format_args!("netem: {}, now {down}/s down, {up}/s up", describe(&now)));
        before = now;
    }
}

pub(super) fn describe(counters: &Counters) -> String {
    let Counters { accepted, open, over_limit, unreachable, cut, reset, to_client, to_upstream, .. } =
        counters;
    let bytes = |flow: &Flow| tell::bytes(flow.delivered as f64);
    let mut words = format!(
        "connections: {accepted}, {open} of them open, {} to clients, {} to the server",
        bytes(to_client),
        bytes(to_upstream)
    );
    for (count, what) in [
        (over_limit, "too many at once"),
        (unreachable, "not answered by the server"),
        (cut, "cut"),
        (reset, "reset"),
    ] {
        if *count > 0 {
            words.push_str(&format!(", {count} {what}"));
        }
    }
    words
}

pub(super) fn json(counters: &Counters) -> serde_json::Value {
    let flow = |flow: &Flow| serde_json::json!({ "received": flow.received, "delivered": flow.delivered });
    serde_json::json!({
        "accepted": counters.accepted,
        "open": counters.open,
        "over_limit": counters.over_limit,
        "unreachable": counters.unreachable,
        "cut": counters.cut,
        "reset": counters.reset,
        "to_upstream": flow(&counters.to_upstream),
        "to_client": flow(&counters.to_client),
    })
}
