//! Who makes a request, and what it may do.
//!
//! A token comes as `Authorization: Bearer`, which a program sends, or in the cookie that `POST /v1/login` sets: a page can put no
//! header on an `<img>` or a WebSocket, and what it keeps where scripts can read it, other scripts can read as well.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use nyx_hub::access::{Forbidden, Permit, Rejected};
use nyx_protocol::control::ErrorCode;
use nyx_protocol::topic::{Name, Pattern};
use serde::{Deserialize, Serialize};

use super::answer::{self, Code, Problem};
use super::connection::Connection;
use crate::serve::App;
use crate::token::book::{BadToken, TOKEN_BYTES_MAX};

/// Who makes a request.
#[derive(Clone)]
pub(super) enum Visitor {
    /// The hub asks nobody.
    Anybody,
    /// No token came. A WebSocket may still bring one in its `Hello`.
    Unknown,
    Bearer(Arc<Permit>),
}

impl Visitor {
    /// Whether it may read a topic, without anybody being told that it may not.
    pub(super) fn reads(&self, topic: &Name) -> bool {
        match self {
            Self::Anybody => true,
            Self::Unknown => false,
            Self::Bearer(permit) => permit.permissions.may_subscribe(topic),
        }
    }

    fn permit(&self) -> Option<&Permit> {
        match self {
            Self::Bearer(permit) => Some(permit),
            Self::Anybody | Self::Unknown => None,
        }
    }
}

/// Whoever makes it, as a handler sees it. A token that is not good is refused before.
pub(super) struct Asker {
    pub(super) connection: Connection,
    pub(super) visitor: Visitor,
}

impl<S: Send + Sync> FromRequestParts<S> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Extension(connection) = Extension::<Connection>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::new(Code::BadRequest, "this request came on no connection"))?;
        let visitor = visitor(&connection, &parts.headers)?;
        Ok(Self { connection, visitor })
    }
}

fn visitor(connection: &Connection, headers: &HeaderMap) -> Result<Visitor, Problem> {
    let app = &connection.app;
    if app.access.is_none() {
        return Ok(Visitor::Anybody);
    }
    let peer = connection.peer.ip();
    let token =
        token(headers, app).inspect_err(|_| app.audit.refuse(peer, "", "authorization of another kind"))?;
    let Some(token) = token else { return Ok(Visitor::Unknown) };
    let permit = app.judge(peer, token)?;
    Ok(permit.map_or(Visitor::Anybody, |permit| Visitor::Bearer(Arc::new(permit))))
}

impl Asker {
    /// Whoever may do anything at all.
    pub(super) fn known(self) -> Result<Self, Problem> {
        match self.visitor {
            // For the count and the log, and for what to say.
            Visitor::Unknown => match self.connection.app.judge(self.connection.peer.ip(), "") {
                Err(rejected) => Err(rejected.into()),
                Ok(_) => Ok(self),
            },
            _ => Ok(self),
        }
    }

    pub(super) fn may_publish(self, topic: &Name) -> Result<Self, Problem> {
        let asker = self.known()?;
        let allowed = asker.permit().is_none_or(|permit| permit.permissions.may_publish(topic));
        asker.allow(allowed, Forbidden::Publish(topic.as_str()))
    }

    pub(super) fn may_read(self, topic: &Name) -> Result<Self, Problem> {
        let asker = self.known()?;
        let allowed = asker.reads(topic);
        asker.allow(allowed, Forbidden::Subscribe(topic.as_str()))
    }

    pub(super) fn may_subscribe(self, pattern: &Pattern) -> Result<Self, Problem> {
        let asker = self.known()?;
        let allowed = asker.permit().is_none_or(|permit| permit.permissions.may_subscribe_some(pattern));
        asker.allow(allowed, Forbidden::Subscribe(pattern.as_str()))
    }

    /// As [`Visitor::reads`].
    pub(super) fn reads(&self, topic: &Name) -> bool {
        self.visitor.reads(topic)
    }

    pub(super) fn permit(&self) -> Option<&Permit> {
        self.visitor.permit()
    }

    /// Charges the quotas of the address and of the token for publishing so many bytes now.
    pub(super) fn admit_publish(&self, bytes: usize) -> Result<(), Problem> {
        let (app, peer) = (&self.connection.app, self.connection.peer.ip());
        let subject = self.permit().map(|permit| &*permit.subject);
        let admitted = app.gate.admit_publish(app.now(), peer, subject, bytes);
        Ok(admitted.inspect_err(|over| {
            app.audit.refuse(
                peer,
                subject.unwrap_or_default(),
                format_args!("publishes too much ({})", over.setting),
            );
        })?)
    }

    fn allow(self, allowed: bool, what: Forbidden<'_>) -> Result<Self, Problem> {
        if allowed {
            return Ok(self);
        }
        let subject = self.permit().map_or("", |permit| &permit.subject);
        self.connection.app.note_forbidden(self.connection.peer.ip(), subject, what);
        let text = match what {
            Forbidden::Publish(_) => "your token does not allow to publish this: ask for one that does",
            Forbidden::Subscribe(_) => "your token does not allow to read this: ask for one that does",
        };
        Err(Problem::new(Code::Forbidden, text))
    }
}

impl From<Rejected> for Problem {
    fn from(rejected: Rejected) -> Self {
        match rejected.code {
            ErrorCode::Limit => Self::new(Code::RateLimited, rejected.message),
            _ => Self::new(Code::Unauthorized, rejected.message),
        }
    }
}

/// The token that a request brings.
fn token<'a>(headers: &'a HeaderMap, app: &App) -> Result<Option<&'a str>, Problem> {
    let text = |value: &'a HeaderValue| value.to_str().ok();
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let bearer = text(value).and_then(bearer);
        return bearer.map(Some).ok_or_else(|| {
            Problem::new(Code::Unauthorized, "say `Authorization: Bearer TOKEN`; no other way is known here")
        });
    }
    let name = cookie_name(app);
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(text);
    let mut pairs =
        cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    Ok(pairs.find(|(found, _)| *found == name).map(|(_, token)| token))
}

/// RFC 6750, section 2.1; the scheme's case does not matter.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Over TLS with the prefix that lets a browser take it from this host alone, not from one that shares its domain.
fn cookie_name(app: &App) -> &'static str {
    if app.secure.is_some() { "__Host-nyx-token" } else { "nyx-token" }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    token: String,
}

/// Whether a token is asked for, and whose the request's is.
#[derive(Serialize)]
struct Who<'a> {
    required: bool,
    /// What its owner calls the bearer.
    name: &'a str,
    /// Its public part.
    token: &'a str,
}

/// Says who asks, so that a page can.
pub(super) async fn who(asker: Asker) -> Result<Response<Body>, Problem> {
    let who = match &asker.visitor {
        Visitor::Anybody => Who { required: false, name: "", token: "" },
        Visitor::Bearer(permit) => Who { required: true, name: &permit.name, token: &permit.subject },
        // That a page asks is no refusal: it is neither counted nor told.
        Visitor::Unknown => return Err(Problem::new(Code::Unauthorized, BadToken::Missing.to_string())),
    };
    Ok(answer::json(StatusCode::OK, &who))
}

/// Takes a token from a form, and gives it back as a cookie that no script can read and no other site can use.
pub(super) async fn login(
    Extension(connection): Extension<Connection>,
    body: Body,
) -> Result<Response<Body>, Problem> {
    let app = &connection.app;
    // Percent signs can triple it.
    let limit = 3 * TOKEN_BYTES_MAX + 16;
    let form = super::body::read(body, limit, app.hub.config().handshake).await?;
    let Login { token } = serde_urlencoded::from_bytes(&form)
        .map_err(|_| Problem::new(Code::BadRequest, "the body is a form with the field `token`"))?;
    let token = token.trim();
    app.judge(connection.peer.ip(), token)?;
    // What is good has no other characters; but it stands in a header now.
    if !token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~+/=".contains(&byte)) {
        return Err(Problem::new(Code::BadRequest, "the token has characters that no token has"));
    }
    Ok(with_cookie(app, token, ""))
}

/// Has the browser forget its token.
pub(super) async fn logout(Extension(connection): Extension<Connection>) -> Response<Body> {
    with_cookie(&connection.app, "", "; Max-Age=0")
}

fn with_cookie(app: &App, token: &str, more: &str) -> Response<Body> {
    let secure = if app.secure.is_some() { "; Secure" } else { "" };
    let name = cookie_name(app);
    // Without an end of its own: the browser forgets it when it is closed.
    let cookie = format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict{secure}{more}");
    let mut response = answer::data(HeaderValue::from_static("text/plain"), Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_bearer_in_any_case() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bEARER  abc "), Some("abc"));
        for value in ["abc", "Basic abc", "Bearer", ""] {
            assert_eq!(bearer(value), None, "{value}");
        }
    }
}
