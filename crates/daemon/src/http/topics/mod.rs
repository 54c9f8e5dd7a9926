//! `/v1/topics`: what there is, the latest of a topic, and publishing to it.

mod latest;
mod media;
mod publish;
mod records;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use nyx_protocol::topic::Name;
use serde::Serialize;

use super::answer::{self, Code, Problem};
use super::visitor::Asker;

pub(super) use latest::{frame_type, latest};
pub(super) use media::Media;
pub(super) use publish::{patch, post, put};

#[derive(Serialize)]
struct Listing {
    topics: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    name: String,
    kind: &'static str,
    content_type: String,
    messages: u64,
    bytes: u64,
    subscribers: usize,
    retained_bytes: usize,
}

/// All topics that may be read but the hub's own, oldest first.
pub(super) async fn list(asker: Asker) -> Result<Response<Body>, Problem> {
    let asker = asker.known()?;
    let app = &asker.connection.app;
    let topics = app.hub.stats(app.now()).topics.into_iter();
    let topics = topics.filter(|topic| !topic.name.is_reserved() && asker.reads(&topic.name));
    let topics = topics.map(|topic| Entry {
        name: topic.name.as_str().to_owned(),
        kind: topic.kind.name(),
        content_type: topic.content_type,
        messages: topic.messages,
        bytes: topic.bytes,
        subscribers: topic.subscribers,
        retained_bytes: topic.retained_bytes,
    });
    Ok(answer::json(StatusCode::OK, &Listing { topics: topics.collect() }))
}

/// Names that the answer to a wrong one mentions.
const MENTIONED: usize = 10;

/// The topic does not exist: says what does.
pub(super) fn unknown(asker: &Asker, name: &Name) -> Problem {
    let topics = asker.connection.app.hub.topics();
    let names = topics.iter().map(|topic| topic.name());
    let names = names.filter(|name| !name.is_reserved() && asker.reads(name));
    let count = names.clone().count();
    let list: Vec<_> = names.take(MENTIONED).map(|name| format!("`{name}`")).collect();
    let there = match count {
        0 => "nothing has been published yet".to_owned(),
        _ if count > MENTIONED => format!("there are {} and more, see /v1/topics", list.join(", ")),
        _ => format!("there are {}", list.join(", ")),
    };
    Problem::new(Code::NotFound, format!("topic `{name}` does not exist; {there}"))
}
