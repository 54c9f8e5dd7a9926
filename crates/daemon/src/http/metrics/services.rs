//! What became of requests to services.

use nyx_core::Instant;
use nyx_hub::stats::Service;
use nyx_protocol::control::Status;
use nyx_stream::metrics::{Metric, OTHERS, Registry, Snapshot, Unit};

use crate::http::openmetrics::{Kind, Page};

const DURATION: &str = "service_duration";

/// The status's name in metrics and in the console, such as `no_server`.
pub(crate) fn status_name(status: Status) -> String {
    status.as_str_name().trim_start_matches("STATUS_").to_lowercase()
}

/// The service's name, where there is one.
pub(crate) fn name(service: &Service) -> &str {
    service.name.as_ref().map_or(OTHERS, |name| name.as_str())
}

/// How long answers took, by service.
fn durations(services: &[Service]) -> Snapshot {
    let registry = Registry::new();
    for service in services {
        let metric = Metric::new(DURATION, "Time from a request to its server's answer")
            .with_unit(Unit::Micros)
            .with_label("service", name(service));
        // Names differ, and are no more than a registry takes.
        let _ = registry.register(metric, &service.times);
    }
    registry.snapshot(Instant::ZERO)
}

/// Quantiles of how long a service's answers took, in microseconds.
pub(crate) fn quantiles<const N: usize>(service: &Service, shares: [f64; N]) -> [Option<u64>; N] {
    let snapshot = durations(std::slice::from_ref(service));
    let times = snapshot.histogram(DURATION, &[("service", name(service))]);
    times.map_or([None; N], |times| times.quantiles(shares))
}

pub(super) fn put(page: &mut Page, services: &[Service]) {
    let help = "Requests that came for a service";
    let mut family = page.family(Kind::Counter, "service_requests", Unit::None, help);
    services.iter().for_each(|service| family.counter(&[("service", name(service))], service.requests));
    let help = "Requests that are over, by what their requesters were told";
    let mut family = page.family(Kind::Counter, "service_replies", Unit::None, help);
    for service in services {
        for (status, count) in &service.outcomes {
            family.counter(&[("service", name(service)), ("status", &status_name(*status))], *count);
        }
    }
    let mut gauges = |metric, help, value: fn(&Service) -> usize| {
        let mut family = page.family(Kind::Gauge, metric, Unit::None, help);
        let named = services.iter().filter(|service| service.name.is_some());
        named.for_each(|service| family.gauge(&[("service", name(service))], value(service) as f64));
    };
    gauges("service_servers", "Sessions that serve it", |service| service.servers);
    gauges("service_waiting", "Requests that wait for a server to take them", |service| service.waiting);
    gauges("service_in_flight", "Requests that servers have", |service| service.in_flight);
    page.snapshot(&durations(services));
}
