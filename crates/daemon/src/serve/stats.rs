//! `$nyx/stats`: what the hub does, as one of its own state topics.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use nyx_core::Instant;
use nyx_hub::stats::{Blocks, Compression, Service, Session, Stats, Topic};
use nyx_hub::{Spec, Topic as HubTopic};
use nyx_protocol::control::Status;
use nyx_protocol::state::{Patch, Value};
use nyx_protocol::topic::Name;
use nyx_protocol::wire::Kind;
use nyx_stream::Drops;
use nyx_stream::metrics::Snapshot;

use super::App;
use super::meters::Meters;
use crate::http::metrics::{resident_bytes, services};

/// The topic's name.
pub(crate) const STATISTICS: &str = "$nyx/stats";

/// How often it is renewed.
const EVERY: Duration = Duration::from_millis(500);

/// Samples over which rates are taken: with 30 items a second, two seconds hold the error under one in thirty.
const SAMPLES: usize = 5;

/// What the page can show, and what a document should hold.
const TOPICS_MAX: usize = 200;
const SESSIONS_MAX: usize = 100;
const SERVICES_MAX: usize = 100;
const DECISIONS_MAX: usize = 5;

/// Renews the topic until it is aborted. When nobody reads it, only the counters that rates need are sampled.
pub(super) async fn publish(app: Arc<App>) {
    let Some(topic) = own_topic(&app) else { return };
    let mut history = History::default();
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = app.now();
        let stats = app.hub.stats(now);
        let read = stats.topics.iter().any(|stats| stats.name == *topic.name() && stats.subscribers > 0);
        history.add(now, &stats, &app.meters);
        if read && let Err(error) = app.hub.patch(&topic, &Patch::Set(describe(&app, now, &stats, &history)))
        {
            tracing::warn!(%error, "can't publish statistics");
        }
    }
}

fn own_topic(app: &App) -> Option<Arc<HubTopic>> {
    let name = Name::new(STATISTICS).ok()?;
    app.hub.create_own(&name, &Spec::new(Kind::State)).ok()
}

/// Counters of the last few seconds.
#[derive(Default)]
struct History(VecDeque<Sample>);

struct Sample {
    at: Instant,
    /// Messages and bytes by topic, bytes by session.
    topics: HashMap<Name, (u64, u64)>,
    sessions: HashMap<u64, u64>,
    /// What the daemon itself counts.
    meters: Snapshot,
}

impl History {
    fn add(&mut self, at: Instant, stats: &Stats, meters: &Meters) {
        let oldest = if self.0.len() == SAMPLES { self.0.pop_front() } else { None };
        let mut snapshot = oldest.map(|sample| sample.meters).unwrap_or_default();
        meters.registry.snapshot_into(at, &mut snapshot);
        let topics =
            stats.topics.iter().map(|topic| (topic.name.clone(), (topic.messages, topic.bytes))).collect();
        let sessions = stats.sessions.iter().map(|session| (session.id, session.bytes)).collect();
        self.0.push_back(Sample { at, topics, sessions, meters: snapshot });
    }

    /// What has been added per second since the oldest sample to the daemon's own counters `names`, over all their series.
    fn own_rates<const N: usize>(&self, names: [&str; N]) -> [f64; N] {
        let (Some(oldest), Some(latest)) = (self.0.front(), self.0.back()) else { return [0.0; N] };
        let recent = latest.meters.since(&oldest.meters);
        names.map(|name| {
            let of_name = recent.rates().filter(|(metric, _)| metric.name() == name);
            round(of_name.map(|(_, rate)| rate).sum())
        })
    }

    /// What has been added per second since the oldest sample.
    fn rate(&self, now: Instant, total: u64, before: impl Fn(&Sample) -> Option<u64>) -> f64 {
        let Some(oldest) = self.0.front() else { return 0.0 };
        let seconds = now.since(oldest.at).as_secs_f64();
        if seconds == 0.0 {
            return 0.0;
        }
        round(total.saturating_sub(before(oldest).unwrap_or(0)) as f64 / seconds)
    }
}

fn describe(app: &App, now: Instant, stats: &Stats, history: &History) -> Value {
    let mut topics: Vec<_> = stats.topics.iter().filter(|topic| !topic.name.is_reserved()).collect();
    let count = topics.len();
    topics.sort_by_key(|topic| Reverse(topic.bytes));
    topics.truncate(TOPICS_MAX);
    let topics =
        topics.into_iter().map(|topic| (topic.name.as_str().to_owned(), of_topic(app, now, topic, history)));

    let mut sessions: Vec<_> = stats.sessions.iter().filter(|session| session.topics > 0).collect();
    let subscribers = sessions.len();
    sessions.sort_by_key(|session| Reverse((session.all_drops().total(), session.lag)));
    sessions.truncate(SESSIONS_MAX);
    let sessions =
        sessions.into_iter().map(|session| (session.id.to_string(), of_session(now, session, history)));

    let refused = stats.refused.iter().filter(|(_, count)| *count > 0);
    let refused = refused.map(|(code, count)| (crate::http::metrics::code_name(*code), int(*count)));
    let [received, sent, requests] = history.own_rates(["received", "sent", "http_request"]);
    let moved = app.meters.datagrams.moved().map(|(name, count)| (name, int(count)));
    let datagrams = app.config.listen.udp.map_or(Value::Null, |_| Value::map(moved));
    let server = Value::map([
        ("version", Value::from(env!("CARGO_PKG_VERSION"))),
        ("started_ms", int(app.started_ms)),
        ("uptime_s", int(now.since(app.started).as_secs())),
        ("connections", int(stats.sessions.len() as u64)),
        ("topics", int(count as u64)),
        ("subscribers", int(subscribers as u64)),
        ("memory_bytes", int(resident_bytes().unwrap_or(0))),
        ("refused", Value::map(refused)),
        ("received_byte_rate", Value::F64(received)),
        ("sent_byte_rate", Value::F64(sent)),
        ("http_request_rate", Value::F64(requests)),
        ("compression_allowed", Value::from(stats.compression_allowed)),
        ("datagrams", datagrams),
    ]);
    Value::map([
        ("server", server),
        ("topics", Value::Map(topics.collect::<BTreeMap<_, _>>())),
        ("services", Value::map(stats.services.iter().take(SERVICES_MAX).map(of_service))),
        ("subscribers", Value::Map(sessions.collect::<BTreeMap<_, _>>())),
    ])
}

fn of_topic(app: &App, now: Instant, topic: &Topic, history: &History) -> Value {
    let before = |sample: &Sample| sample.topics.get(&topic.name).copied();
    let ages = topic.ages.as_ref().map_or([None; 2], |ages| ages.quantiles([0.5, 0.99]));
    let [p50, p99] = ages.map(millis);
    Value::map([
        ("kind", Value::from(topic.kind.name())),
        ("content_type", Value::from(topic.content_type.as_str())),
        ("messages", int(topic.messages)),
        ("bytes", int(topic.bytes)),
        (
            "rate",
            Value::F64(
                history.rate(now, topic.messages, |sample| before(sample).map(|(messages, _)| messages)),
            ),
        ),
        (
            "byte_rate",
            Value::F64(history.rate(now, topic.bytes, |sample| before(sample).map(|(_, bytes)| bytes))),
        ),
        ("subscribers", int(topic.subscribers as u64)),
        ("retained_bytes", int(topic.retained_bytes as u64)),
        ("age_p50_ms", p50),
        ("age_p99_ms", p99),
        ("drops", of_drops(&topic.drops)),
        ("blocks", of_blocks(&topic.blocks)),
        (
            "compression",
            topic.compression.as_ref().map_or(Value::Null, |compression| of_compression(app, compression)),
        ),
    ])
}

fn of_service(service: &Service) -> (String, Value) {
    let [p50, p99] = services::quantiles(service, [0.5, 0.99]).map(millis);
    let failed = service.outcomes.iter().filter(|(status, count)| *status != Status::Ok && *count > 0);
    let answered = service.outcomes.iter().find(|(status, _)| *status == Status::Ok);
    let value = Value::map([
        ("servers", int(service.servers as u64)),
        ("requests", int(service.requests)),
        ("answered", int(answered.map_or(0, |(_, count)| *count))),
        ("failed", Value::map(failed.map(|(status, count)| (services::status_name(*status), int(*count))))),
        ("waiting", int(service.waiting as u64)),
        ("in_flight", int(service.in_flight as u64)),
        ("p50_ms", p50),
        ("p99_ms", p99),
    ]);
    (services::name(service).to_owned(), value)
}

/// Microseconds as milliseconds.
fn millis(micros: Option<u64>) -> Value {
    micros.map_or(Value::Null, |micros| Value::F64(round(micros as f64 / 1000.0)))
}

fn of_blocks(blocks: &Blocks) -> Value {
    Value::map([
        ("messages", int(blocks.messages)),
        ("before_bytes", int(blocks.before_bytes)),
        ("after_bytes", int(blocks.after_bytes)),
    ])
}

fn of_compression(app: &App, compression: &Compression) -> Value {
    let App { started, started_ms, .. } = *app;
    let decisions = compression.log.iter().rev().take(DECISIONS_MAX);
    let decisions = decisions.map(|entry| {
        Value::map([
            ("at_ms", int(started_ms + entry.at.since(started).as_millis() as u64)),
            ("reason", Value::from(entry.reason.name())),
            ("text", Value::from(entry.to_string())),
        ])
    });
    let choices = compression.choices.iter().map(|(codec, count)| (codec.to_string(), int(*count)));
    Value::map([
        ("allowed", Value::from(compression.pin.to_string())),
        ("chosen", Value::from(compression.chosen.codec.to_string())),
        ("before_bytes", int(compression.before_bytes)),
        ("after_bytes", int(compression.after_bytes)),
        ("cpu_ms", Value::F64(round(compression.cpu.as_secs_f64() * 1000.0))),
        ("over_budget", int(compression.over_budget)),
        ("choices", Value::map(choices)),
        ("dictionary_bytes", compression.dictionary.map_or(Value::Null, |(_, bytes)| int(bytes as u64))),
        ("decisions", Value::List(decisions.collect())),
    ])
}

fn of_session(now: Instant, session: &Session, history: &History) -> Value {
    let rate = history.rate(now, session.bytes, |sample| sample.sessions.get(&session.id).copied());
    let millis = |time: Duration| Value::F64(round(time.as_secs_f64() * 1000.0));
    Value::map([
        ("name", Value::from(session.name.as_str())),
        ("peer", Value::from(session.peer.as_str())),
        ("transport", Value::from(session.transport.name())),
        ("topics", int(session.topics)),
        ("delivered", int(session.delivered)),
        ("byte_rate", Value::F64(rate)),
        ("in_flight_bytes", int(session.in_flight)),
        ("unsent_target_bytes", session.unsent_target.map_or(Value::Null, |bytes| int(bytes.into()))),
        ("lag_ms", millis(session.lag)),
        ("rtt_ms", session.round_trip.map_or(Value::Null, millis)),
        ("drops", of_drops(&session.all_drops())),
    ])
}

fn of_drops(drops: &Drops) -> Value {
    Value::map(drops.iter().map(|(reason, count)| (reason.name(), int(count))))
}

fn int(count: u64) -> Value {
    Value::I64(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Two decimals are all that is shown; more would change with every sample and travel each time.
fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
