//! `nyx netem --udp`.

use std::net::SocketAddr;
use std::time::Duration;

use nyx_netem::path::Counters;
use nyx_netem::schedule::Schedule;
use nyx_netem::udp::{Handle, Proxy, Totals};
use tokio::task::JoinSet;

use super::{Args, listen_failed, script};
use crate::exit::Outcome;
use crate::serve::Signals;
use crate::tell;

pub(super) async fn run(
    args: &Args,
    upstream: SocketAddr,
    schedule: Option<Schedule>,
    mut signals: Signals,
) -> Outcome {
    let proxy = Proxy::bind(args.listen, upstream, args.conditions().into()).map_err(listen_failed)?;
    let handle = proxy.handle();
    tell::note(format_args!("netem: datagrams {} -> {upstream}{}", proxy.local_addr(), args.describe()));
    let mut background = JoinSet::new();
    if let Some(schedule) = schedule {
        background.spawn(script::datagrams(handle.clone(), schedule));
    }
    if args.progress {
        background.spawn(progress(handle.clone()));
    }
    let totals = tokio::select! {
        never = proxy.run() => match never {},
        // Read before the proxy is dropped: the system forgets what it counted for a socket with it.
        totals = async { signals.wait().await; handle.totals() } => totals,
    };
    drop(background);
    tell::end_progress();
    if args.json {
        tell::print(format!("{}\n", json(&totals)))?;
    } else {
        tell::note(format_args!("netem: {}", describe(&totals)));
    }
    Ok(())
}

async fn progress(handle: Handle) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        tell::progress(format_args!("netem: {}", describe(&handle.totals())));
    }
}

fn describe(totals: &Totals) -> String {
    let Totals { clients, refused, unread, unsendable, to_upstream, to_client, .. } = totals;
    let mut words = format!(
        "clients: {clients}, {} datagrams to them, {} to the server",
        to_client.delivered, to_upstream.delivered
    );
    let both = |count: fn(&Counters) -> u64| count(to_upstream) + count(to_client);
    for (count, what) in [
        (both(|counters| counters.lost), "lost"),
        (both(|counters| counters.overflowed), "dropped for want of room"),
        (both(|counters| counters.too_large), "too large"),
        (both(|counters| counters.cut), "cut"),
        (both(|counters| counters.duplicated), "doubled"),
        (both(|counters| counters.reordered), "held back"),
        (*refused, "refused"),
        (*unread, "dropped by the system, unread"),
        (*unsendable, "not to be sent"),
    ] {
        if count > 0 {
            words.push_str(&format!(", {count} {what}"));
        }
    }
    words
}

fn json(totals: &Totals) -> serde_json::Value {
    let flow = |counters: &Counters| {
        serde_json::json!({
            "received": counters.received,
            "delivered": counters.delivered,
            "lost": counters.lost,
            "overflowed": counters.overflowed,
            "too_large": counters.too_large,
            "cut": counters.cut,
            "duplicated": counters.duplicated,
            "reordered": counters.reordered,
        })
    };
    serde_json::json!({
        "clients": totals.clients,
        "refused": totals.refused,
        "unread": totals.unread,
        "unsendable": totals.unsendable,
        "to_upstream": flow(&totals.to_upstream),
        "to_client": flow(&totals.to_client),
    })
}
