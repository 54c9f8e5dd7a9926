//! How errors are told: a status, and JSON that names the cause and the remedy.
//!
//! `{"error": {"code": "kind_mismatch", "message": "topic `a` carries …"}}`

use std::sync::LazyLock;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{
    CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue, IF_NONE_MATCH, RETRY_AFTER,
    SEC_WEBSOCKET_VERSION, UPGRADE, WWW_AUTHENTICATE,
};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use nyx_core::limit::{CheckError, Denied, OverBurst};
use nyx_hub::{AdmitError, CreateError, PublishError};
use nyx_protocol::topic::NameError;
use nyx_stream::metrics::Counter;

use crate::serve::OverQuota;

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    BadRequest,
    BadTopic,
    BadJson,
    Unauthorized,
    Forbidden,
    ForbiddenHost,
    ForbiddenOrigin,
    NotFound,
    MethodNotAllowed,
    Timeout,
    KindMismatch,
    TooLarge,
    UnsupportedMedia,
    BadDocument,
    UpgradeRequired,
    /// A WebSocket that speaks something else than it should.
    BadFrame,
    RateLimited,
    Limit,
    Busy,
    Draining,
    /// Something that hubs forward has come home.
    Loop,
}

impl Code {
    pub(super) const ALL: [Self; 21] = [
        Self::BadRequest,
        Self::BadTopic,
        Self::BadJson,
        Self::Unauthorized,
        Self::Forbidden,
        Self::ForbiddenHost,
        Self::ForbiddenOrigin,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Timeout,
        Self::KindMismatch,
        Self::TooLarge,
        Self::UnsupportedMedia,
        Self::BadDocument,
        Self::UpgradeRequired,
        Self::BadFrame,
        Self::RateLimited,
        Self::Limit,
        Self::Busy,
        Self::Draining,
        Self::Loop,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::BadTopic => "bad_topic",
            Self::BadJson => "bad_json",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::ForbiddenHost => "forbidden_host",
            Self::ForbiddenOrigin => "forbidden_origin",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Timeout => "timeout",
            Self::KindMismatch => "kind_mismatch",
            Self::TooLarge => "too_large",
            Self::UnsupportedMedia => "unsupported_media",
            Self::BadDocument => "bad_document",
            Self::UpgradeRequired => "upgrade_required",
            Self::BadFrame => "bad_frame",
            Self::RateLimited => "rate_limited",
            Self::Limit => "limit",
            Self::Busy => "busy",
            Self::Draining => "draining",
            Self::Loop => "loop",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::BadRequest | Self::BadTopic | Self::BadJson | Self::BadFrame => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::ForbiddenHost | Self::ForbiddenOrigin => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::KindMismatch => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BadDocument => StatusCode::UNPROCESSABLE_ENTITY,
            Self::UpgradeRequired => StatusCode::UPGRADE_REQUIRED,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Limit | Self::Busy | Self::Draining => StatusCode::SERVICE_UNAVAILABLE,
            Self::Loop => StatusCode::LOOP_DETECTED,
        }
    }

    /// Seconds after which the same request may succeed.
    const fn retry_after(self) -> Option<u64> {
        match self {
            Self::RateLimited | Self::Limit | Self::Busy => Some(1),
            Self::Draining => Some(5),
            _ => None,
        }
    }

    /// Counts one, for metrics.
    pub(super) fn count(self) {
        REFUSED[self as usize].inc();
    }

    /// How many there were since the process started.
    pub(super) fn counted(self) -> u64 {
        REFUSED[self as usize].get()
    }
}

static REFUSED: LazyLock<[Counter; Code::ALL.len()]> = LazyLock::new(|| Code::ALL.map(|_| Counter::new()));

/// A request that was not granted.
#[derive(Debug, PartialEq)]
pub(super) struct Problem {
    pub(super) code: Code,
    pub(super) message: String,
    /// Seconds after which the same request may succeed, if it may.
    retry_after: Option<u64>,
}

impl Problem {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: code.retry_after() }
    }

    /// The same request may succeed after `wait`.
    fn limited(wait: Duration, text: String) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self { retry_after: Some(seconds.max(1)), ..Self::new(Code::RateLimited, text) }
    }

    /// Seconds after which the same request may succeed, if it may.
    pub(super) const fn retry_after(&self) -> Option<u64> {
        self.retry_after
    }

    /// Code and message.
    pub(super) fn error(&self) -> serde_json::Value {
        serde_json::json!({ "code": self.code.name(), "message": self.message })
    }

    pub(super) fn into_response(self) -> Response<Body> {
        self.code.count();
        let error = serde_json::json!({ "error": self.error() });
        let mut response = json(self.code.status(), &error);
        if self.code == Code::Unauthorized {
            // RFC 9110, section 15.5.2: it says how.
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"nyx\""));
        }
        if self.code == Code::UpgradeRequired {
            // RFC 9110, section 15.5.22, and RFC 6455, section 4.4: to what, and to which version.
            let headers = response.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        self.into_response()
    }
}

impl From<NameError> for Problem {
    fn from(error: NameError) -> Self {
        Self::new(Code::BadTopic, error.to_string())
    }
}

impl From<CreateError> for Problem {
    fn from(error: CreateError) -> Self {
        let code = match error {
            CreateError::KindMismatch { .. } | CreateError::FormatMismatch { .. } => Code::KindMismatch,
            CreateError::Reserved(_) => Code::BadTopic,
            CreateError::TooMany(_) => Code::Limit,
        };
        Self::new(code, error.to_string())
    }
}

impl From<PublishError> for Problem {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Topic(error) => error.into(),
            PublishError::TooLarge { .. } => Self::new(Code::TooLarge, error.to_string()),
            PublishError::Gone(_) => Self::new(Code::KindMismatch, error.to_string()),
            PublishError::Busy { .. } => Self::new(Code::Busy, error.to_string()),
            PublishError::Patch(error) => Self::new(
                Code::BadDocument,
                format!("{error}: keep less in one topic, or raise limits.document_bytes or document_depth"),
            ),
            // The hub's errors may become more; all of them say what to do.
            _ => Self::new(Code::BadRequest, error.to_string()),
        }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        let wait = denied.retry_after();
        let text = format!("too many requests from this address: wait {wait:.0?} (limits.requests_per_peer)");
        Self::limited(wait, text)
    }
}

impl From<OverQuota> for Problem {
    fn from(OverQuota { setting, error }: OverQuota) -> Self {
        match error {
            CheckError::OverBurst(OverBurst { asked, burst }) => {
                let text = format!(
                    "a body of {asked} bytes is over the burst of {setting}, {burst}: send less at a time, or raise it"
                );
                Self::new(Code::TooLarge, text)
            }
            error => {
                let wait = error.retry_after().unwrap_or_default();
                Self::limited(wait, format!("this address publishes too much: wait {wait:.0?} ({setting})"))
            }
        }
    }
}

impl From<AdmitError> for Problem {
    fn from(error: AdmitError) -> Self {
        let code = match error {
            AdmitError::TooMany(_) => Code::Limit,
            AdmitError::Draining => Code::Draining,
        };
        Self::new(code, error.to_string())
    }
}

/// A JSON answer.
pub(super) fn json(status: StatusCode, value: &impl serde::Serialize) -> Response<Body> {
    let text = serde_json::to_vec(value).unwrap_or_default();
    let mut response = data(HeaderValue::from_static("application/json"), Body::from(text));
    *response.status_mut() = status;
    response
}

/// An answer whose bytes a publisher chose, in part or whole: no browser may take it for a page of this origin.
pub(super) fn data(content_type: HeaderValue, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    no_sniffing(headers);
    response
}

/// Whether who asks has what `tag` stands for (RFC 9110, section 13.1.2). A proxy that compresses makes the tag a weak one.
pub(super) fn is_known(asked: &HeaderMap, tag: &str) -> bool {
    let texts = asked.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = texts.flat_map(|text| text.split(',')).map(str::trim);
    tags.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

pub(super) fn no_sniffing(headers: &mut HeaderMap) {
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_known_among_others_and_as_a_weak_one() {
        let knows = |values: &[&str]| {
            let headers = values.iter().map(|value| (IF_NONE_MATCH, value.parse().unwrap()));
            is_known(&headers.collect(), "\"a-1\"")
        };
        for good in [&["\"a-1\""][..], &["W/\"a-1\""], &["\"x\", \"a-1\""], &["\"x\"", "\"a-1\""], &["*"]] {
            assert!(knows(good), "{good:?}");
        }
        for bad in [&[][..], &["\"a-2\""], &["a-1"], &["\"x\",W/\"y\""], &[""]] {
            assert!(!knows(bad), "{bad:?}");
        }
    }

    #[test]
    fn every_code_has_a_place_and_a_name_of_its_own() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
        for (place, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, place);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
    }
}
