//! What the daemon itself counts: connections, their bytes, and how long requests take. What the hub counts is the hub's.

use std::time::Duration;

use anyhow::Context as _;
use nyx_hub::{Hub, Transport};
use nyx_stream::metrics::{Counter, Family, Histogram, Metric, Registry, Unit};
use nyx_transport::udp::connection::{self, Refused};

/// Handles of the daemon's metrics.
pub(crate) struct Meters {
    pub(crate) registry: Registry,
    tcp: Link,
    websocket: Link,
    http: Link,
    udp: Link,
    pub(crate) datagrams: Datagrams,
    requests: [Histogram; Route::ALL.len()],
    http_published: Family<Counter, 1>,
}

/// Topics with series of their own in one metric.
pub(crate) const TOPICS_MAX: usize = 500;

/// What is counted of connections of one transport.
pub(crate) struct Link {
    accepted: Counter,
    closed: Counter,
    pub(crate) refused: Counter,
    pub(crate) traffic: Traffic,
}

/// Bytes that drivers move.
pub(crate) struct Traffic {
    pub(crate) received: Counter,
    pub(crate) sent: Counter,
}

/// A connection that is counted as closed when this is dropped.
pub(crate) struct Open<'a>(&'a Link);

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Topics,
    Stream,
    WebSocket,
    Metrics,
    Health,
    Other,
}

impl Meters {
    pub(crate) fn new(hub: &Hub) -> anyhow::Result<Self> {
        let registry = Registry::new();
        let link = |transport| Link::new(&registry, transport);
        let (tcp, websocket) = (link(Transport::Tcp)?, link(Transport::WebSocket)?);
        let (http, udp) = (link(Transport::Http)?, link(Transport::Udp)?);
        let datagrams = Datagrams::new(&registry)?;
        let requests = Route::ALL.map(|_| Histogram::new());
        for (route, histogram) in Route::ALL.into_iter().zip(&requests) {
            let help = "Time from a request's head to its answer's, for each kind of request";
            let metric = Metric::new("http_request", help).with_unit(Unit::Micros);
            register(&registry, metric.with_label("route", route.name()), histogram)?;
        }
        let help = "Age of what was delivered, from its arrival at the hub";
        register(&registry, Metric::new("delivery_age", help).with_unit(Unit::Micros), hub.ages())?;
        let help = "HTTP requests that published something";
        let published = Metric::new("http_published", help);
        let http_published = registry.family(published, ["topic"], TOPICS_MAX).context(UNREGISTERED)?;
        Ok(Self { registry, tcp, websocket, http, udp, datagrams, requests, http_published })
    }

    pub(crate) const fn link(&self, transport: Transport) -> &Link {
        match transport {
            Transport::Tcp => &self.tcp,
            Transport::WebSocket => &self.websocket,
            Transport::Http => &self.http,
            Transport::Udp => &self.udp,
        }
    }

    /// A request was answered.
    pub(crate) fn request(&self, route: Route, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.requests[route as usize].record(micros);
    }

    /// A request published something in this topic.
    pub(crate) fn publish_by_http(&self, topic: &str) {
        self.http_published.get([topic]).inc();
    }
}

impl Link {
    fn new(registry: &Registry, transport: Transport) -> anyhow::Result<Self> {
        let counter = |name: &str, help: &str, unit: Unit| {
            let metric = Metric::new(name, help).with_unit(unit).with_label("transport", transport.name());
            let counter = Counter::new();
            register(registry, metric, &counter).map(|()| counter)
        };
        Ok(Self {
            accepted: counter("connections_accepted", "Connections that came, WebSockets twice", Unit::None)?,
            closed: counter("connections_closed", "Connections that ended", Unit::None)?,
            refused: counter(
                "connections_refused",
                "Connections that were turned away, for there were too many",
                Unit::None,
            )?,
            traffic: Traffic {
                received: counter("received", "Bytes that sessions received from peers", Unit::Bytes)?,
                sent: counter("sent", "Bytes that sessions sent to peers", Unit::Bytes)?,
            },
        })
    }

    pub(crate) fn open(&self) -> Open<'_> {
        self.opened();
        Open(self)
    }

    /// A connection has come, whose end will be told by [`ended`](Self::ended).
    pub(crate) fn opened(&self) {
        self.accepted.inc();
    }

    /// It has ended.
    pub(crate) fn ended(&self) {
        self.closed.inc();
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.ended();
    }
}

/// What is counted of datagrams.
pub(crate) struct Datagrams {
    /// Those that belong to no connection and were answered.
    pub(crate) answered: Counter,
    /// Those that the system did not take.
    pub(crate) unsent: Counter,
    refused: [Counter; Refused::ALL.len()],
    /// What connections have counted.
    moved: [Counter; MOVED.len()],
    dropped: [Counter; DROPPED.len()],
}

/// What becomes of datagrams of connections, by the name of its metric.
const MOVED: [(&str, &str); 4] = [
    ("udp_sent", "Datagrams that connections have sent"),
    ("udp_received", "Datagrams that connections have received"),
    ("udp_lost", "Datagrams that were sent and taken for lost"),
    ("udp_reordered", "Of those taken for lost, the ones that arrived after all, behind later ones"),
];

/// Why datagrams of connections came to nothing.
const DROPPED: [&str; 4] = ["repeated", "malformed", "foreign", "no_room"];

impl Datagrams {
    fn new(registry: &Registry) -> anyhow::Result<Self> {
        let counter = |metric| {
            let counter = Counter::new();
            register(registry, metric, &counter).map(|()| counter)
        };
        let refused = |reason: Refused| {
            let help = "Datagrams of no connection that came to nothing";
            counter(Metric::new("udp_refused", help).with_label("reason", reason.name()))
        };
        let dropped = |reason| {
            let help = "Datagrams of connections that came to nothing";
            counter(Metric::new("udp_dropped", help).with_label("reason", reason))
        };
        let [a, b, c, d] = Refused::ALL.map(refused);
        let [e, f, g, h] = MOVED.map(|(name, help)| counter(Metric::new(name, help)));
        let [i, j, k, l] = DROPPED.map(dropped);
        Ok(Self {
            answered: counter(Metric::new("udp_answered", "Datagrams of no connection that were answered"))?,
            unsent: counter(Metric::new("udp_unsent", "Datagrams that the system did not take"))?,
            refused: [a?, b?, c?, d?],
            moved: [e?, f?, g?, h?],
            dropped: [i?, j?, k?, l?],
        })
    }

    pub(crate) fn refuse(&self, reason: Refused) {
        if let Some(place) = Refused::ALL.iter().position(|known| *known == reason) {
            self.refused[place].inc();
        }
    }

    /// What has become of datagrams of connections, by what happened.
    pub(crate) fn moved(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let names = MOVED.map(|(name, _)| name.trim_start_matches("udp_"));
        names.into_iter().zip(&self.moved).map(|(name, counter)| (name, counter.get()))
    }

    /// A connection has counted this since it was told last.
    pub(crate) fn add(&self, stats: &connection::Stats) {
        let moved = [stats.sent, stats.received, stats.lost, stats.spurious];
        let dropped = [stats.repeated, stats.malformed, stats.foreign, stats.refused];
        let counters = self.moved.iter().chain(&self.dropped);
        counters.zip(moved.into_iter().chain(dropped)).for_each(|(counter, count)| counter.add(count));
    }
}

impl Route {
    const ALL: [Self; 6] =
        [Self::Topics, Self::Stream, Self::WebSocket, Self::Metrics, Self::Health, Self::Other];

    /// What a request for `path` is for. What is none of ours is `Other`, so peers can't make series.
    pub(crate) fn of(path: &str) -> Self {
        let mut segments = path.split('/').skip(1);
        match (segments.next(), segments.next()) {
            (Some("v1"), Some("topics")) => Self::Topics,
            (Some("v1"), Some("stream")) => Self::Stream,
            (Some("v1"), Some("ws")) | (Some("ws"), Some(_)) => Self::WebSocket,
            (Some("metrics"), None) => Self::Metrics,
            (Some("healthz" | "readyz"), None) => Self::Health,
            _ => Self::Other,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Topics => "topics",
            Self::Stream => "stream",
            Self::WebSocket => "websocket",
            Self::Metrics => "metrics",
            Self::Health => "health",
            Self::Other => "other",
        }
    }
}

fn register(
    registry: &Registry,
    metric: Metric,
    instrument: &impl nyx_stream::metrics::Instrument,
) -> anyhow::Result<()> {
    registry.register(metric, instrument).context(UNREGISTERED)
}

const UNREGISTERED: &str = "a metric of the daemon can't be registered";

#[cfg(test)]
mod tests {
    use nyx_stream::metrics::OTHERS;

    use super::*;

    #[test]
    fn every_route_has_a_place_and_paths_of_peers_make_none() {
        for (place, route) in Route::ALL.into_iter().enumerate() {
            assert_eq!(route as usize, place);
        }
        for (path, route) in [
            ("/v1/topics", Route::Topics),
            ("/v1/topics/a/b", Route::Topics),
            ("/v1/stream/a", Route::Stream),
            ("/v1/ws", Route::WebSocket),
            ("/ws/me", Route::WebSocket),
            ("/metrics", Route::Metrics),
            ("/readyz", Route::Health),
            ("/", Route::Other),
            ("", Route::Other),
            ("/metrics/x", Route::Other),
            ("/v1", Route::Other),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }

    #[test]
    fn a_connection_is_closed_when_it_is_dropped() {
        let hub = Hub::new(nyx_hub::Config::default());
        let meters = Meters::new(&hub).unwrap();
        let link = meters.link(Transport::Tcp);
        let open = link.open();
        assert_eq!((link.accepted.get(), link.closed.get()), (1, 0));
        drop(open);
        assert_eq!(link.closed.get(), 1);
    }

    #[test]
    fn topics_beyond_the_bound_share_a_series() {
        let meters = Meters::new(&Hub::new(nyx_hub::Config::default())).unwrap();
        let topics: Vec<_> = (0..TOPICS_MAX + 7).map(|n| format!("a/{n}")).collect();
        topics.iter().chain(&topics).for_each(|topic| meters.publish_by_http(topic));
        let snapshot = meters.registry.snapshot(nyx_core::Instant::ZERO);
        let count = |topic: &str| snapshot.counter("http_published", &[("topic", topic)]);
        assert_eq!((count("a/0"), count(OTHERS)), (Some(2), Some(14)));
        assert_eq!(count(&topics[TOPICS_MAX]), None);
    }
}
