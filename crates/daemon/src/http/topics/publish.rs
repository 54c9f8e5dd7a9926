//! One item per request, or many events.
//!
//! `POST` publishes: a document that replaces the topic's, a frame, an event, or events as lines of JSON. `PUT` takes documents alone. `PATCH` merges
//! into a document, as RFC 7386 has it. What was queued is told with 202: who gets it when is decided later.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::HeaderMap;
use axum::http::{Response, StatusCode};
use nyx_hub::{PublishError, Spec, Topic as HubTopic};
use nyx_protocol::state::{Document, Patch, Value};
use nyx_protocol::topic::Name;
use nyx_protocol::trail::Trail;
use nyx_protocol::wire::{Kind, TIMESTAMP_LEN, codec};
use serde::{Deserialize, Serialize};

use super::media::{self, Media};
use super::records;
use crate::http::answer::{self, Code, Problem};
use crate::http::body;
use crate::http::passed;
use crate::http::routes::{Params, Topic};
use crate::http::visitor::Asker;
use crate::serve::App;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Options {
    kind: Option<String>,
}

/// Where an item comes from.
pub(super) struct Way {
    /// When it was captured, in microseconds since the Unix epoch.
    pub(super) stamp: u64,
    /// Which hubs it has passed.
    pub(super) trail: Trail,
}

/// The answer to what was published.
#[derive(Serialize)]
struct Queued<'a> {
    topic: &'a str,
    kind: &'static str,
    /// Bytes of the body.
    bytes: usize,
    /// State: whether the document is another one now.
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<bool>,
}

pub(in crate::http) async fn post(
    asker: Asker,
    Topic(name): Topic,
    Params(options): Params<Options>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response<Body>, Problem> {
    let asker = asker.may_publish(&name)?;
    body::check_coding(&headers)?;
    let app = &*asker.connection.app;
    let asked = options.kind.map(|kind| kind.parse::<Kind>());
    let asked = asked.transpose().map_err(|error| Problem::new(Code::BadRequest, error.to_string()))?;
    let media = Media::of(&headers);
    let existing = app.hub.topic(&name).map(|topic| topic.spec().kind);
    let kind = media::kind(asked, &media, existing)?;
    let way = Way { stamp: stamp(&headers)?, trail: passed::read(&headers, &app.hub)? };
    if media == Media::JsonLines {
        // Each line is charged by itself.
        let body = read(&asker, body).await?;
        return records::post(&asker, &name, &way, &body).await;
    }
    let body = take(&asker, body).await?;
    match kind {
        Kind::State => change(app, &name, &body, Patch::Set, &way.trail),
        Kind::Frame => frame(app, &name, &media, &way, &body).await,
        Kind::Event | Kind::Audio => event(app, &name, &media, &way, &body).await,
    }
}

pub(in crate::http) async fn put(
    asker: Asker,
    Topic(name): Topic,
    headers: HeaderMap,
    body: Body,
) -> Result<Response<Body>, Problem> {
    document(asker, &name, &headers, body, Patch::Set).await
}

pub(in crate::http) async fn patch(
    asker: Asker,
    Topic(name): Topic,
    headers: HeaderMap,
    body: Body,
) -> Result<Response<Body>, Problem> {
    document(asker, &name, &headers, body, Patch::merge).await
}

async fn document(
    asker: Asker,
    name: &Name,
    headers: &HeaderMap,
    body: Body,
    patch: fn(Value) -> Patch,
) -> Result<Response<Body>, Problem> {
    let asker = asker.may_publish(name)?;
    body::check_coding(headers)?;
    if Media::of(headers) != Media::Json {
        let text = "documents are JSON here: say content-type application/json, or POST other things";
        return Err(Problem::new(Code::UnsupportedMedia, text));
    }
    let app = &*asker.connection.app;
    let trail = passed::read(headers, &app.hub)?;
    let body = take(&asker, body).await?;
    change(app, name, &body, patch, &trail)
}

/// The body, if its sender may publish it now.
async fn take(asker: &Asker, body: Body) -> Result<Vec<u8>, Problem> {
    let body = read(asker, body).await?;
    asker.admit_publish(body.len())?;
    Ok(body)
}

/// The body, if there is anybody to take it.
async fn read(asker: &Asker, body: Body) -> Result<Vec<u8>, Problem> {
    let app = &*asker.connection.app;
    let config = app.hub.config();
    // What is published has a capture time, which counts.
    let limit = config.message_bytes.saturating_sub(TIMESTAMP_LEN);
    let body = body::read(body, limit, config.handshake).await?;
    if app.hub.is_draining() {
        return Err(Problem::new(
            Code::Draining,
            "the hub is shutting down: come back when it has restarted",
        ));
    }
    Ok(body)
}

/// The capture time that the publisher says, or the present.
fn stamp(headers: &HeaderMap) -> Result<u64, Problem> {
    let Some(value) = headers.get("x-nyx-timestamp") else { return Ok(nyx_core::clock::unix_micros()) };
    value.to_str().ok().and_then(|text| text.parse().ok()).ok_or_else(|| {
        Problem::new(Code::BadRequest, "x-nyx-timestamp is a number of microseconds since the Unix epoch")
    })
}

fn change(
    app: &App,
    name: &Name,
    body: &[u8],
    patch: fn(Value) -> Patch,
    trail: &Trail,
) -> Result<Response<Body>, Problem> {
    let value: Value = serde_json::from_slice(body).map_err(|error| bad_json(&error))?;
    let patch = patch(value);
    if app.hub.topic(name).is_none() {
        // A document that does not fit must not leave an empty topic behind.
        Document::new(0, app.hub.config().document.clone()).patch(&patch).map_err(PublishError::from)?;
    }
    let topic = app.hub.topic_for(name, Kind::State)?;
    let changed = app.hub.patch_forwarded(&topic, &patch, trail)?;
    Ok(queued(app, name, Kind::State, body, Some(changed)))
}

/// JSON that no document can hold is understood, but can't be processed.
fn bad_json(error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let code = match error.classify() {
        serde_json::error::Category::Data => Code::BadDocument,
        _ if text.starts_with("recursion limit") => Code::BadDocument,
        _ => Code::BadJson,
    };
    Problem::new(code, format!("the body is no document: {text}"))
}

async fn frame(
    app: &App,
    name: &Name,
    media: &Media,
    way: &Way,
    body: &[u8],
) -> Result<Response<Body>, Problem> {
    if body.is_empty() {
        return Err(Problem::new(Code::BadRequest, "the body is empty: send the image in it"));
    }
    let mut spec = Spec::new(Kind::Frame);
    if let Media::Image(essence) = media {
        spec.content_type.clone_from(essence);
    }
    let topic = app.hub.create(name, &spec)?;
    publish(app, &topic, media.frame_codec(), way, body).await?;
    Ok(queued(app, name, Kind::Frame, body, None))
}

async fn event(
    app: &App,
    name: &Name,
    media: &Media,
    way: &Way,
    body: &[u8],
) -> Result<Response<Body>, Problem> {
    let codec = match media {
        Media::Json => {
            serde_json::from_slice::<serde::de::IgnoredAny>(body).map_err(|error| bad_json(&error))?;
            codec::EVENT_JSON
        }
        Media::Text if std::str::from_utf8(body).is_ok() => codec::EVENT_TEXT,
        Media::Text => {
            let text = "the body is no UTF-8: say content-type application/octet-stream";
            return Err(Problem::new(Code::BadRequest, text));
        }
        _ => codec::EVENT_BYTES,
    };
    let topic = app.hub.topic_for(name, Kind::Event)?;
    publish(app, &topic, codec, way, body).await?;
    Ok(queued(app, name, Kind::Event, body, None))
}

/// How often a publisher that is being slowed asks again: there is no session that could be woken.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// Publishes; while subscribers lag, waits for them as long as the hub would have a session wait. Returns the item's number.
pub(super) async fn publish(
    app: &App,
    topic: &Arc<HubTopic>,
    codec: u8,
    way: &Way,
    body: &[u8],
) -> Result<u64, PublishError> {
    let mut patience = None;
    loop {
        let now = app.now();
        match app.hub.publish_forwarded(now, topic, codec, Some(way.stamp), body, &way.trail) {
            Err(PublishError::Busy { until }) if now < *patience.get_or_insert(until) => {
                tokio::time::sleep(ASK_EVERY).await;
            }
            done => return done,
        }
    }
}

fn queued(app: &App, name: &Name, kind: Kind, body: &[u8], changed: Option<bool>) -> Response<Body> {
    app.meters.publish_by_http(name.as_str());
    let queued = Queued { topic: name.as_str(), kind: kind.name(), bytes: body.len(), changed };
    answer::json(StatusCode::ACCEPTED, &queued)
}
