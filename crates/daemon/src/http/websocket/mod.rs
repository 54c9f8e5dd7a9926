//! WebSocket (RFC 6455): the native protocol at `/v1/ws`, plain images at `/ws/{client_id}`.
//!
//! - `socket`: the framing around a stream, so that what drives TCP drives this too.
//! - `images`: frames for clients that speak no protocol.
//!
//! A handler answers with 101 and leaves in the connection's [`Handover`] what is to follow; the connection's own task then goes
//! on with that, without what HTTP needed. A connection is one task and, while it is idle, a session and no buffer.

mod images;
mod socket;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Request};
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use nyx_hub::{Session, Transport};
use nyx_protocol::topic::Pattern;
use parking_lot::Mutex;
use serde::Deserialize;
use sha1::{Digest as _, Sha1};

use super::answer::{Code, Problem};
use super::connection::{Connection, Io};
use super::feed::Feed;
use super::routes::Params;
use super::visitor::Asker;
use crate::serve::{App, drive};
use images::Images;
use socket::Socket;

/// What follows on a connection when its requests are over.
#[derive(Clone, Default)]
pub(super) struct Handover(Arc<Mutex<Option<Upgrade>>>);

pub(super) struct Upgrade {
    stream: OnUpgrade,
    then: Then,
}

enum Then {
    Native(Box<Session>),
    Images(Box<Images>),
}

impl Handover {
    pub(super) fn take(&self) -> Option<Upgrade> {
        self.0.lock().take()
    }
}

/// The native protocol.
pub(super) async fn native(
    Extension(connection): Extension<Connection>,
    asker: Result<Asker, Problem>,
    mut request: Request,
) -> Result<Response<Body>, Problem> {
    let (stream, response) = accept(&mut request)?;
    let app = &connection.app;
    // Who brought no token may do so in its hello. A page can't read the answer to an opening that was refused, so one with a token
    // that is not good any more is told in the session, too.
    let permit = match asker {
        Ok(asker) => asker.permit().cloned(),
        Err(problem) if problem.code == Code::Unauthorized => None,
        Err(problem) => return Err(problem),
    };
    let entry = app.entry(connection.peer.ip(), permit);
    let peer = connection.as_peer(Transport::WebSocket);
    let session = app.hub.session_with(app.now(), peer, entry);
    let session = session.inspect_err(|error| app.audit.refuse(connection.peer.ip(), "", error))?;
    *connection.handover.0.lock() = Some(Upgrade { stream, then: Then::Native(Box::new(session)) });
    Ok(response)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ImageOptions {
    topic: Option<String>,
}

/// Plain images, for a client that has a name.
pub(super) async fn images(
    asker: Asker,
    Path(client): Path<String>,
    Params(options): Params<ImageOptions>,
    mut request: Request,
) -> Result<Response<Body>, Problem> {
    let asked = options.topic.map(|pattern| Pattern::new(&pattern)).transpose()?;
    let asker = asker.known()?;
    let configured =
        || asker.connection.app.config.http.image_topic.as_ref().map(|pattern| pattern.0.clone());
    let pattern = asked.or_else(configured);
    let asker = match &pattern {
        Some(pattern) => asker.may_subscribe(pattern)?,
        None => asker,
    };
    let (stream, response) = accept(&mut request)?;
    let feed = Feed::open(&asker, &client, Transport::WebSocket)?;
    let Asker { connection, visitor } = asker;
    let images = Images::new(connection.app, visitor, feed, pattern);
    *connection.handover.0.lock() = Some(Upgrade { stream, then: Then::Images(Box::new(images)) });
    Ok(response)
}

/// Goes on with a connection that was upgraded, until it ends.
pub(super) async fn run(app: Arc<App>, peer: SocketAddr, upgrade: Upgrade) {
    let Upgrade { stream, then } = upgrade;
    let Ok(upgraded) = stream.await else { return };
    let Ok(parts) = upgraded.downcast::<TokioIo<Io>>() else { return };
    let mut socket = Socket::new(parts.io.into_inner(), parts.read_buf);
    let link = app.meters.link(Transport::WebSocket);
    let _open = link.open();
    let ended = match then {
        Then::Native(session) => {
            let visit = Some(app.doorstep.enter(peer.ip()));
            drive(session, &mut socket, app.clock.clone(), &link.traffic, visit).await
        }
        Then::Images(images) => images.run(&mut socket).await,
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "connection lost");
    }
}

/// The opening handshake, RFC 6455 section 4.2.
fn accept(request: &mut Request) -> Result<(OnUpgrade, Response<Body>), Problem> {
    if *request.method() != Method::GET {
        return Err(Problem::new(Code::BadRequest, "a WebSocket is opened by GET"));
    }
    let key = key(request.headers())?;
    let Some(stream) = request.extensions_mut().remove::<OnUpgrade>() else {
        return Err(Problem::new(Code::UpgradeRequired, "this connection can't be upgraded: use HTTP/1.1"));
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(answer) = HeaderValue::from_str(&answer_to(key.as_bytes())) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, answer);
    }
    Ok((stream, response))
}

/// The key of a well-formed opening.
fn key(headers: &HeaderMap) -> Result<HeaderValue, Problem> {
    let has = |name, token: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value: &str| value.split(',').any(|present| present.trim().eq_ignore_ascii_case(token)))
    };
    if !has(header::CONNECTION, "upgrade") || !has(header::UPGRADE, "websocket") {
        let text = "this is for WebSocket: open it with a WebSocket client, or use /v1/stream/TOPIC";
        return Err(Problem::new(Code::UpgradeRequired, text));
    }
    if !has(header::SEC_WEBSOCKET_VERSION, "13") {
        let text = "only version 13 of WebSocket is spoken here: say sec-websocket-version: 13";
        return Err(Problem::new(Code::UpgradeRequired, text));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY);
    let whole = key.filter(|key| BASE64.decode(key.as_bytes()).is_ok_and(|nonce| nonce.len() == 16));
    whole
        .cloned()
        .ok_or_else(|| Problem::new(Code::BadRequest, "sec-websocket-key is 16 random bytes in base64"))
}

fn answer_to(key: &[u8]) -> String {
    const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    BASE64.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_answered_as_the_rfc_has_it() {
        // The example of section 1.3.
        assert_eq!(answer_to(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn openings_are_checked() {
        let judge = |changed: &str, to: &str| {
            let mut head = HeaderMap::new();
            for (name, value) in [
                ("connection", "keep-alive, Upgrade"),
                ("upgrade", "WebSocket"),
                ("sec-websocket-version", "13"),
                ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ] {
                let value = if name == changed { to } else { value };
                head.insert(header::HeaderName::from_static(name), value.parse().unwrap());
            }
            key(&head).map(drop).map_err(|problem| problem.code)
        };
        assert_eq!(judge("", ""), Ok(()));
        assert_eq!(judge("upgrade", "h2c"), Err(Code::UpgradeRequired));
        assert_eq!(judge("connection", "close"), Err(Code::UpgradeRequired));
        assert_eq!(judge("sec-websocket-version", "8"), Err(Code::UpgradeRequired));
        assert_eq!(judge("sec-websocket-key", "c2hvcnQ="), Err(Code::BadRequest));
    }
}
