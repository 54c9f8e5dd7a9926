//! `/metrics`, for Prometheus.
//!
//! Cardinality is bounded: the oldest 500 topics have series of their own, and all later ones share the series of topic `*`,
//! which no topic can be called. So a counter never moves from one series to another. Sessions are only added up.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::http::{HeaderValue, Response};
use nyx_hub::Transport;
use nyx_hub::stats::{Stats, Topic};
use nyx_protocol::control::ErrorCode;
use nyx_stream::{Drops, Histogram, Lane};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::answer::{self, Code, Problem};
use super::connection::Connection;

/// Topics with series of their own.
const TOPICS_MAX: usize = 500;

/// The series that later topics share.
const OTHERS: &str = "*";

const QUANTILES: [(&str, f64); 3] = [("0.5", 0.5), ("0.9", 0.9), ("0.99", 0.99)];

pub(super) async fn page(Extension(connection): Extension<Connection>) -> Result<Response<Body>, Problem> {
    let app = &connection.app;
    let now = app.now();
    let mut registry = Registry::with_prefix("nyx");
    registry
        .register_collector(Box::new(Snapshot { stats: app.hub.stats(now), uptime: now.since(app.started) }));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)
        .map_err(|error| Problem::new(Code::Limit, format!("the metrics can't be written: {error}")))?;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(answer::data(HeaderValue::from_static(content_type), Body::from(text)))
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

#[derive(Debug)]
struct Snapshot {
    stats: Stats,
    uptime: Duration,
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
}

impl Row {
    fn add(&mut self, topic: &Topic) {
        self.messages += topic.messages;
        self.bytes += topic.bytes;
        self.subscribers += topic.subscribers;
        self.retained_bytes += topic.retained_bytes;
        self.drops.merge(&topic.drops);
        if let Some(ages) = &topic.ages {
            self.ages.get_or_insert_default().merge(ages);
        }
    }
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(&mut encoder);
        page.topics(&rows(&self.stats.topics))?;
        page.sessions(&self.stats)?;
        let refused = self.stats.refused.iter().map(|(code, count)| ([("code", code_name(*code))], *count));
        page.counters("refused", "Errors sent to peers of the native protocol", refused)?;
        let refused = Code::ALL.iter().map(|code| ([("code", code.name().to_owned())], code.counted()));
        page.counters("http_refused", "HTTP requests and WebSockets that were refused", refused)?;
        let none: [(&str, String); 0] = [];
        page.gauges("topics", "Topics", [(none.clone(), self.stats.topics.len() as f64)])?;
        let resident = resident_bytes().map(|bytes| (none.clone(), bytes as f64));
        page.gauges("resident_bytes", "Memory that the process holds", resident)?;
        page.gauges("uptime_seconds", "Time since the start", [(none, self.uptime.as_secs_f64())])
    }
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

/// What is being written. Labels are pairs of a name and a value.
struct Page<'a, 'b>(&'a mut DescriptorEncoder<'b>);

impl Page<'_, '_> {
    fn topics(&mut self, rows: &[(&str, Row)]) -> fmt::Result {
        let by_topic = |value: fn(&Row) -> f64| {
            rows.iter().map(move |(name, row)| ([("topic", (*name).to_owned())], value(row)))
        };
        let counts = |value: fn(&Row) -> u64| {
            rows.iter().map(move |(name, row)| ([("topic", (*name).to_owned())], value(row)))
        };
        self.counters("topic_messages", "Items that were published", counts(|row| row.messages))?;
        self.counters("topic_bytes", "Bytes that were published", counts(|row| row.bytes))?;
        let drops = rows.iter().flat_map(|(name, row)| {
            row.drops.iter().map(|(reason, count)| {
                ([("topic", (*name).to_owned()), ("reason", reason.name().to_owned())], count)
            })
        });
        self.counters("topic_drops", "Items that a subscriber did not get, over all subscribers", drops)?;
        self.gauges(
            "topic_subscribers",
            "Sessions that read the topic",
            by_topic(|row| row.subscribers as f64),
        )?;
        self.gauges(
            "topic_retained_bytes",
            "Memory that the topic holds",
            by_topic(|row| row.retained_bytes as f64),
        )?;
        let ages = rows.iter().flat_map(|(name, row)| {
            QUANTILES.into_iter().filter_map(move |(label, share)| {
                let micros = row.ages.as_ref()?.quantile(share)?;
                Some(([("topic", (*name).to_owned()), ("quantile", label.to_owned())], micros as f64 / 1e6))
            })
        });
        self.gauges("topic_age_seconds", "Age at delivery in the last seconds", ages)
    }

    fn sessions(&mut self, stats: &Stats) -> fmt::Result {
        let mut by_transport: HashMap<Transport, usize> = HashMap::new();
        let mut drops = [Drops::default(); Lane::ALL.len()];
        for session in &stats.sessions {
            *by_transport.entry(session.transport).or_default() += 1;
            drops.iter_mut().zip(&session.drops).for_each(|(all, these)| all.merge(these));
        }
        let transports =
            [Transport::Tcp, Transport::WebSocket, Transport::Http].into_iter().map(|transport| {
                let count = by_transport.get(&transport).copied().unwrap_or(0);
                ([("transport", transport.name().to_owned())], count as f64)
            });
        self.gauges("sessions", "Sessions that are connected", transports)?;
        let drops = Lane::ALL.into_iter().zip(&drops).flat_map(|(lane, drops)| {
            drops.iter().map(move |(reason, count)| {
                ([("lane", lane.name().to_owned()), ("reason", reason.name().to_owned())], count as f64)
            })
        });
        self.gauges("session_drops", "Items that the sessions now connected did not get", drops)
    }

    fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = ([(&'static str, String); N], u64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in samples {
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, u64, u64>(&value, None)?;
        }
        Ok(())
    }

    fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = ([(&'static str, String); N], f64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in samples {
            match labels.is_empty() {
                true => metric.encode_gauge(&value)?,
                false => metric.encode_family(&labels)?.encode_gauge(&value)?,
            }
        }
        Ok(())
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
        let mut registry = Registry::with_prefix("nyx");
        let snapshot = Snapshot { stats: hub.stats(Instant::ZERO), uptime: Duration::from_secs(3) };
        registry.register_collector(Box::new(snapshot));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains(r#"nyx_topic_messages_total{topic="say \"hi\""} 0"#), "{text}");
        assert!(text.contains(r#"nyx_refused_total{code="kind_mismatch"} 0"#), "{text}");
        assert!(text.contains("nyx_uptime_seconds 3.0"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
