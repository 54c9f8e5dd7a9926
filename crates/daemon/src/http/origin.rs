//! Origins of pages and hosts of requests, as text.

use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;

/// Where pages come from, as browsers tell it (RFC 6454, section 6.1).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Origin(String);

impl FromStr for Origin {
    type Err = BadOrigin;

    fn from_str(text: &str) -> Result<Self, BadOrigin> {
        let text = text.strip_suffix('/').unwrap_or(text);
        let (scheme, authority) = text.split_once("://").ok_or(BadOrigin)?;
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        if scheme.is_empty() || authority.is_empty() || !authority.bytes().all(is_host) {
            return Err(BadOrigin);
        }
        // Browsers leave it out.
        let default = match scheme.to_ascii_lowercase().as_str() {
            "http" => ":80",
            "https" => ":443",
            _ => "",
        };
        Ok(Self(format!("{scheme}://{}", authority.strip_suffix(default).unwrap_or(authority))))
    }
}

impl Origin {
    /// Whether a browser that tells this means it.
    pub(crate) fn is(&self, told: &str) -> bool {
        self.0.eq_ignore_ascii_case(told)
    }
}

/// A text that no browser tells as an origin. Whoever configured it erred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "an origin is a scheme, a host and perhaps a port, such as https://dash.example; each has to be listed"
)]
pub(crate) struct BadOrigin;

/// Whether nobody else can make `host` resolve to this machine.
pub(crate) fn is_ours(host: &str) -> bool {
    let (name, _) = split_port(host);
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    bare.parse::<IpAddr>().is_ok() || name.eq_ignore_ascii_case("localhost")
}

/// Whether the origin's host and port are those of the `Host` header.
pub(crate) fn is_same(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default = match scheme {
        "http" => "80",
        "https" => "443",
        _ => return false,
    };
    let (there, port_there) = split_port(authority);
    let (here, port_here) = split_port(host);
    there.eq_ignore_ascii_case(here) && port_there.unwrap_or(default) == port_here.unwrap_or(default)
}

/// Name and port; the name of an IPv6 address keeps its brackets.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((name, port)) if !name.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            (name, Some(port))
        }
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_no_browser_tells_is_no_origin() {
        for text in [
            "*",
            "",
            "null",
            "dash.example",
            "https://",
            "://a",
            "https://*.example",
            "https://a/b",
            "https://a b",
            "https://é.example",
        ] {
            assert_eq!(text.parse::<Origin>(), Err(BadOrigin), "{text}");
        }
        for (text, told) in [
            ("https://dash.example/", "https://dash.example"),
            ("https://dash.example:443", "https://dash.example"),
            ("http://[::1]:80", "http://[::1]"),
            ("http://localhost:443", "http://localhost:443"),
            ("chrome-extension://abc", "chrome-extension://abc"),
        ] {
            assert_eq!(text.parse::<Origin>(), Ok(Origin(told.to_owned())));
        }
    }

    #[test]
    fn default_ports_may_be_left_out() {
        assert!(is_same("https://nyx.example", "nyx.example:443"));
        assert!(is_same("http://nyx.example:80", "nyx.example"));
        assert!(is_same("http://[::1]:6991", "[::1]:6991"));
        assert!(!is_same("https://nyx.example", "nyx.example:80"));
    }

    proptest! {
        #[test]
        fn only_addresses_and_localhost_are_ours_and_only_what_names_the_host_is_its_origin(
            text in "[a-c.:/\\[\\]1@é-]{0,20}",
            host in prop_oneof!["[a-c.:\\[\\]1]{0,12}", Just("localhost:1".to_owned()), Just("[::1]".to_owned())],
        ) {
            let name = host.rsplit_once(':').map_or(&*host, |(name, _)| name);
            let bare = |text: &str| text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
            prop_assert!(!is_ours(&host) || bare(&host) || bare(name) || name == "localhost", "{}", host);
            prop_assert!(!is_same(&text, &host));
            let is_same_there = is_same(&format!("http://{text}"), &host);
            prop_assert!(!is_same_there || text.starts_with(host.trim_end_matches(":80")), "{} at {}", text, host);
            if let Ok(origin) = text.parse::<Origin>() {
                prop_assert_eq!(origin.0.parse(), Ok(origin.clone()));
                prop_assert!(origin.is(&origin.0));
            }
        }
    }
}
