//! Many events in one request: JSON texts, one a line, and a result for each.
//!
//! One that is no good, or over a quota, does not keep the others from being published. All accepted is 202, otherwise it is
//! 207: then `results` says, in the order of the lines, which has which number, and why which has none.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{HeaderValue, RETRY_AFTER};
use axum::http::{Response, StatusCode};
use nyx_hub::{PublishError, Topic};
use nyx_protocol::topic::Name;
use nyx_protocol::wire::{Kind, codec};
use serde::Serialize;

use super::publish::{self, Way};
use crate::http::answer::{self, Code, Problem};
use crate::http::visitor::Asker;
use crate::serve::App;

/// Records in one request: their results are gathered in memory, at some 20 to 200 bytes each.
const RECORDS_MAX: usize = 10_000;

#[derive(Serialize)]
struct Results<'a> {
    topic: &'a str,
    kind: &'static str,
    /// Bytes of the body.
    bytes: usize,
    accepted: usize,
    refused: usize,
    /// One for each line that is not blank.
    results: Vec<Outcome>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    /// Its number in the topic.
    Sequence(u64),
    Error(serde_json::Value),
}

/// Publishes each line of `body`.
pub(super) async fn post(
    asker: &Asker,
    name: &Name,
    way: &Way,
    body: &[u8],
) -> Result<Response<Body>, Problem> {
    let lines = || body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    match lines().take(RECORDS_MAX + 1).count() {
        0 => return Err(Problem::new(Code::BadRequest, "the body has no lines: send one JSON text a line")),
        count if count > RECORDS_MAX => {
            let text = format!("a request has at most {RECORDS_MAX} records: send fewer at a time");
            return Err(Problem::new(Code::TooLarge, text));
        }
        _ => {}
    }
    let app = &*asker.connection.app;
    let topic = app.hub.topic_for(name, Kind::Event)?;
    let (mut results, mut retry_after, mut accepted, mut is_busy) = (Vec::new(), None, 0, false);
    for line in lines() {
        match record(asker, &topic, way, line.trim_ascii(), is_busy).await {
            Ok(sequence) => {
                accepted += 1;
                app.meters.publish_by_http(name.as_str());
                results.push(Outcome::Sequence(sequence));
            }
            Err(problem) => {
                // Who was waited for once in vain is not waited for again.
                is_busy |= problem.code == Code::Busy;
                problem.code.count();
                retry_after = retry_after.max(problem.retry_after());
                results.push(Outcome::Error(problem.error()));
            }
        }
    }
    let refused = results.len() - accepted;
    let status = if refused == 0 { StatusCode::ACCEPTED } else { StatusCode::MULTI_STATUS };
    let results = Results {
        topic: name.as_str(),
        kind: Kind::Event.name(),
        bytes: body.len(),
        accepted,
        refused,
        results,
    };
    let mut response = answer::json(status, &results);
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    Ok(response)
}

async fn record(
    asker: &Asker,
    topic: &Arc<Topic>,
    way: &Way,
    line: &[u8],
    is_busy: bool,
) -> Result<u64, Problem> {
    serde_json::from_slice::<serde::de::IgnoredAny>(line)
        .map_err(|error| Problem::new(Code::BadJson, format!("the line is no JSON: {error}")))?;
    let app: &App = &asker.connection.app;
    let now = app.now();
    asker.admit_publish(line.len())?;
    let published: Result<u64, PublishError> = if is_busy {
        app.hub.publish_forwarded(now, topic, codec::EVENT_JSON, Some(way.stamp), line, &way.trail)
    } else {
        publish::publish(app, topic, codec::EVENT_JSON, way, line).await
    };
    Ok(published?)
}
