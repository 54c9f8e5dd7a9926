//! `/metrics`, for Prometheus.
//!
//! Cardinality is bounded: the oldest 500 topics have series of their own, and all later ones share the series of topic `*`,
//! which no topic can be called. So a counter never moves from one series to another. Sessions are only added up.

mod compression;
pub(crate) mod services;

use std::collections::HashMap;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Response};
use nyx_core::pool;
use nyx_hub::Transport;
use nyx_hub::stats::{Stats, Topic};
use nyx_protocol::control::ErrorCode;
use nyx_protocol::topic::Name;
use nyx_stream::metrics::{OTHERS, Unit};
use nyx_stream::{Drops, Histogram, Lane};

use super::answer::{self, Code, Problem};
use super::openmetrics::{CONTENT_TYPE, Kind, Page};
use super::visitor::Asker;
use crate::serve::STATISTICS;
use crate::serve::meters::TOPICS_MAX;

const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];

pub(super) async fn page(asker: Asker) -> Result<Response<Body>, Problem> {
    // It names topics and says what they carry, as the hub's statistics do.
    let Asker { connection, .. } = asker.may_read(&Name::new(STATISTICS)?)?;
    let app = &connection.app;
    let now = app.now();
    let mut page = Page::default();
    of_hub(&mut page, &app.hub.stats(now), now.since(app.started));
    super::refusals::write(&mut page, app);
    page.snapshot(&app.meters.registry.snapshot(now));
    Ok(answer::data(HeaderValue::from_static(CONTENT_TYPE), Body::from(page.finish())))
}

/// Bytes of memory that the process holds.
pub(crate) fn resident_bytes() -> Option<u64> {
    /// Of all platforms that have `/proc` and that this is built for.
    const PAGE_BYTES: u64 = 4096;
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(statm.split_whitespace().nth(1)?.parse::<u64>().ok()? * PAGE_BYTES)
}

/// The code's name in metrics and in the console, such as `kind_mismatch`.
pub(crate) fn code_name(code: ErrorCode) -> String {
    code.as_str_name().trim_start_matches("ERROR_CODE_").to_lowercase()
}

/// What is told of a topic, or of several together.
#[derive(Default)]
struct Row {
    messages: u64,
    bytes: u64,
    subscribers: usize,
    retained_bytes: usize,
    drops: Drops,
    ages: Option<Histogram>,
    compression: compression::Totals,
}

impl Row {
    fn add(&mut self, topic: &Topic) {
        self.messages += topic.messages;
        self.bytes += topic.bytes;
        self.subscribers += topic.subscribers;
        self.retained_bytes += topic.retained_bytes;
        self.drops.merge(&topic.drops);
        self.compression.add(topic);
        if let Some(ages) = &topic.ages {
            self.ages.get_or_insert_default().merge(ages);
        }
    }
}

fn of_hub(page: &mut Page, stats: &Stats, uptime: Duration) {
    let rows = rows(&stats.topics);
    topics(page, &rows);
    compression::put(page, &rows, stats.compression_allowed);
    sessions(page, stats);
    services::put(page, &stats.services);
    let mut family =
        page.family(Kind::Counter, "refused", Unit::None, "Errors sent to peers of the native protocol");
    for (code, count) in &stats.refused {
        family.counter(&[("code", &code_name(*code))], *count);
    }
    let help = "How often a session was read from more slowly because it published more than it may";
    page.family(Kind::Counter, "publishers_slowed", Unit::None, help).counter(&[], stats.slowed);
    copies(page, &stats.copies);
    let help = "HTTP requests and WebSockets that were refused";
    let mut family = page.family(Kind::Counter, "http_refused", Unit::None, help);
    for code in Code::ALL {
        family.counter(&[("code", code.name())], code.counted());
    }
    page.family(Kind::Gauge, "topics", Unit::None, "Topics").gauge(&[], stats.topics.len() as f64);
    let mut family = page.family(Kind::Gauge, "resident", Unit::Bytes, "Memory that the process holds");
    if let Some(bytes) = resident_bytes() {
        family.gauge(&[], bytes as f64);
    }
    page.family(Kind::Gauge, "uptime", Unit::Seconds, "Time since the start")
        .gauge(&[], uptime.as_secs_f64());
}

fn copies(page: &mut Page, pool: &pool::Stats) {
    let help = "Copies of items for which there was memory at hand";
    page.family(Kind::Counter, "copy_pool_hits", Unit::None, help).counter(&[], pool.hits());
    let help = "Copies of items for which memory had to be allocated";
    page.family(Kind::Counter, "copy_pool_misses", Unit::None, help).counter(&[], pool.misses());
    let help = "Memory that waits for the next copy";
    page.family(Kind::Gauge, "copy_pool_retained", Unit::Bytes, help)
        .gauge(&[], pool.retained_bytes() as f64);
}

fn rows(topics: &[Topic]) -> Vec<(&str, Row)> {
    let mut rows: Vec<(&str, Row)> = Vec::with_capacity(topics.len().min(TOPICS_MAX + 1));
    for (place, topic) in topics.iter().enumerate() {
        if place <= TOPICS_MAX {
            rows.push((if place < TOPICS_MAX { topic.name.as_str() } else { OTHERS }, Row::default()));
        }
        if let Some((_, row)) = rows.last_mut() {
            row.add(topic);
        }
    }
    rows
}

fn topics(page: &mut Page, rows: &[(&str, Row)]) {
    let mut counters = |name, unit, help, value: fn(&Row) -> u64| {
        let mut family = page.family(Kind::Counter, name, unit, help);
        rows.iter().for_each(|(topic, row)| family.counter(&[("topic", topic)], value(row)));
    };
    counters("topic_messages", Unit::None, "Items that were published", |row| row.messages);
    counters("topic", Unit::Bytes, "Bytes that were published", |row| row.bytes);
    let help = "Items that a subscriber did not get, over all subscribers";
    let mut family = page.family(Kind::Counter, "topic_drops", Unit::None, help);
    for (topic, row) in rows {
        for (reason, count) in row.drops.iter() {
            family.counter(&[("topic", topic), ("reason", reason.name())], count);
        }
    }
    let mut gauges = |name, unit, help, value: fn(&Row) -> usize| {
        let mut family = page.family(Kind::Gauge, name, unit, help);
        rows.iter().for_each(|(topic, row)| family.gauge(&[("topic", topic)], value(row) as f64));
    };
    gauges("topic_subscribers", Unit::None, "Sessions that read the topic", |row| row.subscribers);
    gauges("topic_retained", Unit::Bytes, "Memory that the topic holds", |row| row.retained_bytes);
    let mut family =
        page.family(Kind::Gauge, "topic_age", Unit::Seconds, "Age at delivery in the last seconds");
    for (topic, row) in rows {
        let Some(ages) = &row.ages else { continue };
        for (share, micros) in QUANTILES.into_iter().zip(ages.quantiles(QUANTILES)) {
            if let Some(micros) = micros {
                family.gauge(&[("topic", topic), ("quantile", &share.to_string())], micros as f64 / 1e6);
            }
        }
    }
}

fn sessions(page: &mut Page, stats: &Stats) {
    let mut by_transport: HashMap<Transport, usize> = HashMap::new();
    let mut drops = [Drops::default(); Lane::ALL.len()];
    for session in &stats.sessions {
        *by_transport.entry(session.transport).or_default() += 1;
        drops.iter_mut().zip(&session.drops).for_each(|(all, these)| all.merge(these));
    }
    let mut family = page.family(Kind::Gauge, "sessions", Unit::None, "Sessions that are connected");
    for transport in [Transport::Tcp, Transport::WebSocket, Transport::Http, Transport::Udp] {
        let count = by_transport.get(&transport).copied().unwrap_or(0);
        family.gauge(&[("transport", transport.name())], count as f64);
    }
    let help = "Items that the sessions now connected did not get";
    let mut family = page.family(Kind::Gauge, "session_drops", Unit::None, help);
    for (lane, drops) in Lane::ALL.into_iter().zip(&drops) {
        for (reason, count) in drops.iter() {
            family.gauge(&[("lane", lane.name()), ("reason", reason.name())], count as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use nyx_core::Instant;
    use nyx_hub::{Config, Hub};
    use nyx_protocol::wire::Kind;

    use super::*;

    #[test]
    fn topics_beyond_the_bound_share_a_series() {
        let hub = Hub::new(Config::default());
        for number in 0..TOPICS_MAX + 3 {
            let topic = hub.topic_for(&format!("t/{number}").parse().unwrap(), Kind::Event).unwrap();
            hub.publish(Instant::ZERO, &topic, 0, None, b"x").unwrap();
        }
        let stats = hub.stats(Instant::ZERO);
        let rows = rows(&stats.topics);
        assert_eq!(rows.len(), TOPICS_MAX + 1);
        let (name, others) = rows.last().unwrap();
        assert_eq!((*name, others.messages), (OTHERS, 3));
        assert_eq!(rows[TOPICS_MAX - 1].1.messages, 1);
    }

    #[test]
    fn names_are_quoted_and_codes_are_short() {
        let hub = Hub::new(Config::default());
        hub.topic_for(&"say \"hi\"".parse().unwrap(), Kind::Event).unwrap();
        let mut page = Page::default();
        of_hub(&mut page, &hub.stats(Instant::ZERO), Duration::from_secs(3));
        let text = page.finish();
        assert!(text.contains(r#"nyx_topic_messages_total{topic="say \"hi\""} 0"#), "{text}");
        assert!(text.contains(r#"nyx_refused_total{code="kind_mismatch"} 0"#), "{text}");
        assert!(text.contains("nyx_uptime_seconds 3.0"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
