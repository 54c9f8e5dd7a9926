//! Whose pages may do what.
//!
//! A browser lets any page send requests to any address, this machine's own included. Two things protect against that. A
//! request that changes something, or opens a WebSocket, must come from a page of this origin or of one that is listed; what
//! is no browser sends no `Origin` and passes. And a page whose name suddenly resolves to this machine (DNS rebinding) has the
//! same origin as what it asks, so on loopback only names that nobody else can own are answered.

use std::net::SocketAddr;

use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, Request, Version};

use super::answer::{Code, Problem};
use super::origin::{Origin, is_ours, is_same};
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
    if allowed.iter().any(|listed| listed.0.is(origin)) {
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
}
