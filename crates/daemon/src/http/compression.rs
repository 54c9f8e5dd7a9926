//! `/v1/compression`: the kill switch, for whoever has to rule compression out while something is wrong.

use axum::Extension;
use axum::body::Body;
use axum::http::header::HeaderMap;
use axum::http::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use super::answer::{self, Code, Problem};
use super::body;
use super::connection::Connection;
use super::topics::Media;

/// Whether anything may be compressed.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    allowed: bool,
}

/// More than any good request has.
const BODY_MAX: usize = 1024;

pub(super) async fn get(Extension(connection): Extension<Connection>) -> Response<Body> {
    tell(&connection)
}

/// Turns it. Subscribers and publishers are told at once.
pub(super) async fn put(
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response<Body>, Problem> {
    if Media::of(&headers) != Media::Json {
        let text = "the switch is JSON: say content-type application/json";
        return Err(Problem::new(Code::UnsupportedMedia, text));
    }
    let app = &connection.app;
    let body = body::read(body, BODY_MAX, app.hub.config().handshake).await?;
    let switch: Switch = serde_json::from_slice(&body).map_err(|error| {
        Problem::new(Code::BadJson, format!("the switch is {{\"allowed\": true}} or false: {error}"))
    })?;
    app.hub.set_compression(switch.allowed);
    tracing::info!(allowed = switch.allowed, peer = %connection.peer, "the kill switch of compression was turned");
    Ok(tell(&connection))
}

fn tell(connection: &Connection) -> Response<Body> {
    answer::json(StatusCode::OK, &Switch { allowed: connection.app.hub.is_compression_allowed() })
}
