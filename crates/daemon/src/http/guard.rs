//! Whose pages may do what.
//!
//! A browser lets any page send requests to any address, this machine's own included. Two things protect against that. A
//! request that changes something, or opens a WebSocket, must come from a page of this origin or of one that is listed; what
//! is no browser sends no `Origin` and passes. And a page whose name suddenly resolves to this machine (DNS rebinding) has the
//! same origin as what it asks, so on loopback only names that nobody else can own are answered.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, Request, Version};
use thiserror::Error;

use super::answer::{Code, Problem};
use crate::config::Text;

/// A request that may be answered.
#[derive(Debug)]
pub(super) struct Admitted {
    /// A listed origin whose page may read the answer.
    reader: Option<HeaderValue>,
}

impl Admitted {
    /// Tells the browser who may read the answer. `asks`: the hub asks for tokens.
    pub(super) fn mark(self, headers: &mut HeaderMap, asks: bool) {
        // With a cookie a browser asks in its user's name, also for a page of another port of this host.
        let embeds = if asks && self.reader.is_none() { "same-origin" } else { "same-site" };
        headers.insert("cross-origin-resource-policy", HeaderValue::from_static(embeds));
        if let Some(origin) = self.reader {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(
                header::ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static("etag, retry-after, x-nyx-sequence, x-nyx-timestamp"),
            );
            headers.append(header::VARY, HeaderValue::from_static("origin"));
        }
    }
}

/// Judges a request by its head.
pub(super) fn admit<B>(
    request: &Request<B>,
    listen: SocketAddr,
    allowed: &[Text<Origin>],
) -> Result<Admitted, Problem> {
    let headers = request.headers();
    // RFC 9112, section 3.2. Whatever stands in front of this may have judged by another of several.
    match headers.get_all(header::HOST).iter().count() {
        0 if request.version() >= Version::HTTP_11 => {
            return Err(Problem::new(Code::BadRequest, "a request has a `Host`, and this has none"));
        }
        0 | 1 => {}
        _ => return Err(Problem::new(Code::BadRequest, "a request has one `Host`, and this has several")),
    }
    // Section 6.1. What else stands there would be passed on as it came, or be read differently by whatever stands in front.
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    if codings.next().is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
        || codings.next().is_some()
    {
        let text = "of transfer codings only `chunked` is known here, and once: send the body plainly";
        return Err(Problem::new(Code::BadRequest, text));
    }
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?"));
    let host = request.uri().authority().map(|authority| authority.as_str()).or_else(|| text(header::HOST));
    if let Some(host) = host
        && listen.ip().is_loopback()
        && !is_ours(host)
    {
        return Err(Problem::new(
            Code::ForbiddenHost,
            format!(
                "`{host}` is no name of this machine: use http://{listen} or http://localhost:{}",
                listen.port()
            ),
        ));
    }
    let Some(origin) = text(header::ORIGIN) else { return Ok(Admitted { reader: None }) };
    if allowed.iter().any(|listed| listed.0.0.eq_ignore_ascii_case(origin)) {
        return Ok(Admitted { reader: headers.get(header::ORIGIN).cloned() });
    }
    let changes =
        !matches!(*request.method(), Method::GET | Method::HEAD) || headers.contains_key(header::UPGRADE);
    if changes && !host.is_some_and(|host| is_same(origin, host)) {
        return Err(Problem::new(
            Code::ForbiddenOrigin,
            format!(
                "pages of `{origin}` may not do this: add it to http.allowed_origins in the configuration"
            ),
        ));
    }
    Ok(Admitted { reader: None })
}

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

/// A text that no browser tells as an origin. Whoever configured it erred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "an origin is a scheme, a host and perhaps a port, such as https://dash.example; each has to be listed"
)]
pub(crate) struct BadOrigin;

/// Whether nobody else can make `host` resolve to this machine.
fn is_ours(host: &str) -> bool {
    let (name, _) = split_port(host);
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    bare.parse::<IpAddr>().is_ok() || name.eq_ignore_ascii_case("localhost")
}

/// Whether the origin's host and port are those of the `Host` header.
fn is_same(origin: &str, host: &str) -> bool {
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
    use super::*;

    const LOOPBACK: &str = "127.0.0.1:6991";

    fn judge(method: &str, listen: &str, head: &[(&str, &str)]) -> Result<bool, Code> {
        let mut request = Request::builder().method(method).uri("/v1/topics/a");
        for (name, value) in head {
            request = request.header(*name, *value);
        }
        let allowed = [Text("https://dash.example:443/".parse().unwrap())];
        admit(&request.body(()).unwrap(), listen.parse().unwrap(), &allowed)
            .map(|admitted| admitted.reader.is_some())
            .map_err(|problem| problem.code)
    }

    #[test]
    fn on_loopback_only_names_that_nobody_can_own_are_answered() {
        for (host, good) in [
            ("127.0.0.1:6991", true),
            ("localhost:6991", true),
            ("LOCALHOST", true),
            ("[::1]:6991", true),
            ("192.168.1.7", true),
            ("evil.example", false),
            ("localhost.evil.example:6991", false),
            ("127.0.0.1.evil.example", false),
            ("", false),
        ] {
            let expected = if good { Ok(false) } else { Err(Code::ForbiddenHost) };
            assert_eq!(judge("GET", LOOPBACK, &[("host", host)]), expected, "{host}");
        }
        assert_eq!(judge("GET", "0.0.0.0:80", &[("host", "nyx.example")]), Ok(false));
        for hosts in [["localhost", "evil.example"], ["localhost", "localhost"]] {
            let head = hosts.map(|host| ("host", host));
            assert_eq!(judge("GET", LOOPBACK, &head), Err(Code::BadRequest), "{hosts:?}");
        }
        assert_eq!(judge("GET", LOOPBACK, &[]), Err(Code::BadRequest), "HTTP/1.1 has one");
        let old = Request::builder().version(Version::HTTP_10).uri("/healthz").body(()).unwrap();
        assert!(admit(&old, LOOPBACK.parse().unwrap(), &[]).is_ok(), "HTTP/1.0 need not");
    }

    #[test]
    fn a_body_comes_in_chunks_or_whole_and_is_not_encoded_otherwise() {
        let host = ("host", "localhost");
        let judge = |codings: &[&'static str]| {
            let codings = codings.iter().map(|coding| ("transfer-encoding", *coding));
            judge("POST", LOOPBACK, &[host].into_iter().chain(codings).collect::<Vec<_>>())
        };
        assert_eq!((judge(&[]), judge(&["Chunked"])), (Ok(false), Ok(false)));
        for codings in
            [&["gzip, chunked"][..], &["chunked, chunked"], &["gzip", "chunked"], &["chunked", "chunked"]]
        {
            assert_eq!(judge(codings), Err(Code::BadRequest), "{codings:?}");
        }
    }

    #[test]
    fn foreign_pages_change_nothing_and_open_no_websocket() {
        let host = ("host", "localhost:6991");
        for origin in ["https://evil.example", "null", "http://localhost:80", "http://localhost", "file://"] {
            let head = [host, ("origin", origin)];
            assert_eq!(judge("POST", LOOPBACK, &head), Err(Code::ForbiddenOrigin), "{origin}");
            assert_eq!(judge("OPTIONS", LOOPBACK, &head), Err(Code::ForbiddenOrigin), "{origin}");
            assert_eq!(judge("GET", LOOPBACK, &head), Ok(false), "{origin}");
            let upgrade = [host, ("origin", origin), ("upgrade", "websocket")];
            assert_eq!(judge("GET", LOOPBACK, &upgrade), Err(Code::ForbiddenOrigin), "{origin}");
        }
    }

    #[test]
    fn own_listed_and_absent_origins_may() {
        let host = ("host", "localhost:6991");
        assert_eq!(judge("POST", LOOPBACK, &[host]), Ok(false));
        assert_eq!(judge("POST", LOOPBACK, &[host, ("origin", "http://localhost:6991")]), Ok(false));
        assert_eq!(judge("POST", LOOPBACK, &[host, ("origin", "https://DASH.example")]), Ok(true));
    }

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
}
