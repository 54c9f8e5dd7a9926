//! `/v1/compression`: the kill switch, for whoever has to rule compression out while something is wrong.

use axum::body::Body;
use axum::http::header::HeaderMap;
use axum::http::{Response, StatusCode};
use nyx_protocol::topic::Name;
use serde::{Deserialize, Serialize};

use super::answer::{self, Code, Problem};
use super::body;
use super::connection::Connection;
use super::topics::Media;
use super::visitor::Asker;

/// Whether anything may be compressed.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    allowed: bool,
}

/// More than any good request has.
const BODY_MAX: usize = 1024;

/// Who may see the hub's figures may see it, and who may publish this, turn it.
const SETTING: &str = "$nyx/compression";

pub(super) async fn get(asker: Asker) -> Result<Response<Body>, Problem> {
    let asker = asker.may_read(&Name::new(SETTING)?)?;
    Ok(tell(&asker.connection))
}

/// Turns it. Subscribers and publishers are told at once.
pub(super) async fn put(asker: Asker, headers: HeaderMap, body: Body) -> Result<Response<Body>, Problem> {
    let Asker { connection, .. } = asker.may_publish(&Name::new(SETTING)?)?;
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
