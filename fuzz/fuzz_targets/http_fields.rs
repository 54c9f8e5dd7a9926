//! Any text as an origin, a host or the id of an event: what is taken for one is written and read the same, and nobody else's host is this machine's.

#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;

// The daemon is a program and no library; these parts of it stand alone.
#[allow(dead_code, missing_docs, reason = "a part of the daemon, of which this uses a part")]
#[path = "../../crates/daemon/src/http/origin.rs"]
mod origin;
#[allow(dead_code, missing_docs, reason = "a part of the daemon, of which this uses a part")]
#[path = "../../crates/daemon/src/http/stream/place.rs"]
mod place;

use origin::{Origin, is_ours, is_same};
use place::Place;

fuzz_target!(|input: &str| {
    let (text, host) = input.split_once('\n').unwrap_or((input, input));
    if let Some(place) = Place::parse(text) {
        assert_eq!(Place::parse(&place.to_string()), Some(place));
    }
    if let Ok(origin) = text.parse::<Origin>() {
        assert!(text.contains("://") && !origin.is("null"));
    }
    if is_same(text, host) {
        let (scheme, _) = text.split_once("://").expect("an origin has a scheme");
        assert!(matches!(scheme, "http" | "https"));
        assert!(is_same(&format!("{scheme}://{host}"), host));
    }
    if is_ours(host) {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let is_address = |text: &str| text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        assert!(is_address(host) || is_address(name) || host.to_ascii_lowercase().contains("localhost"));
    }
});
