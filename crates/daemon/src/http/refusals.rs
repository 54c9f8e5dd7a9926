//! What was refused and held up, for `/metrics`: by tokens, by limits, by TLS.

use nyx_stream::metrics::Unit;

use super::openmetrics::{Kind, Page};
use crate::serve::App;

pub(super) fn write(page: &mut Page, app: &App) {
    limits(page, app);
    tokens(page, app);
    tls(page, app);
    let help = "Refusals, each a line of the log or counted in one";
    count(page, "audit_refusals", help, app.audit.refused());
    let help = "Refusals that no line of the log tells yet";
    page.family(Kind::Gauge, "audit_untold", Unit::None, help).gauge(&[], app.audit.untold() as f64);
}

fn count(page: &mut Page, name: &str, help: &str, value: u64) {
    page.family(Kind::Counter, name, Unit::None, help).counter(&[], value);
}

fn limits(page: &mut Page, app: &App) {
    let counts = &app.gate.counts;
    let help =
        "How often a limit of an address or a token was in the way; sessions that publish are slowed instead";
    let mut family = page.family(Kind::Counter, "limited", Unit::None, help);
    for (limit, counter) in [
        ("connections_per_peer", &counts.connections),
        ("requests_per_peer", &counts.requests),
        ("failures_per_peer", &counts.failures),
        ("publish", &counts.published),
    ] {
        family.counter(&[("limit", limit)], counter.get());
    }
    let help = "Peers that had said nothing yet and had to make room for others (limits.handshakes)";
    count(page, "handshakes_displaced", help, app.doorstep.displaced.get());
    let help = "Peers that have said nothing yet";
    page.family(Kind::Gauge, "handshakes", Unit::None, help).gauge(&[], app.doorstep.len() as f64);
}

fn tokens(page: &mut Page, app: &App) {
    let Some(access) = &app.access else { return };
    let help = "Tokens of the token file";
    page.family(Kind::Gauge, "tokens", Unit::None, help).gauge(&[], access.tokens() as f64);
    let help = "Tokens that were refused";
    let mut family = page.family(Kind::Counter, "tokens_refused", Unit::None, help);
    access.refused().for_each(|(reason, value)| family.counter(&[("reason", reason)], value));
    let help = "Times that the token file could not be read";
    count(page, "token_file_failures", help, access.failures.get());
    let help = "Sessions that ended because their token was revoked or changed";
    count(page, "sessions_expelled", help, access.expelled.get());
}

fn tls(page: &mut Page, app: &App) {
    let Some(secure) = &app.secure else { return };
    let help = "TLS handshakes that failed";
    let mut family = page.family(Kind::Counter, "tls_failed", Unit::None, help);
    secure.failed().for_each(|(reason, value)| family.counter(&[("reason", reason)], value));
    family.counter(&[("reason", "timeout")], secure.slow.get());
    let help = "Times that the certificate was read again";
    let mut family = page.family(Kind::Counter, "certificate_reloads", Unit::None, help);
    family.counter(&[("outcome", "done")], secure.reloaded.get());
    family.counter(&[("outcome", "failed")], secure.not_reloaded.get());
}
