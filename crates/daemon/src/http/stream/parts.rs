//! Frames as the parts of one response, each of which takes the place of the last.

use std::collections::VecDeque;
use std::task::{Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderValue;
use bytes::Bytes;
use nyx_protocol::topic::{Name, Pattern};
use nyx_protocol::wire::{Header, Kind};

use super::body;
use crate::http::feed::{Feed, Item};
use crate::http::topics::frame_type;

pub(super) fn stream(
    mut feed: Feed,
    name: &Name,
    max_age: Option<Duration>,
    topic_type: String,
) -> (HeaderValue, Body) {
    // Nobody who publishes images can know it beforehand.
    let boundary = format!("nyx-{:016x}", fastrand::u64(..));
    let content_type = HeaderValue::from_str(&format!("multipart/x-mixed-replace; boundary={boundary}"));
    if let Ok(pattern) = Pattern::new(name.as_str()) {
        feed.subscribe(pattern, max_age);
    }
    let mut waiting = VecDeque::from([Bytes::from(format!("--{boundary}\r\n"))]);
    let body = body(IDLE_HEADER, move |cx| {
        loop {
            if let Some(bytes) = waiting.pop_front() {
                return Poll::Ready(Some(bytes));
            }
            let Some(items) = ready!(feed.poll(cx)) else { return Poll::Ready(None) };
            for item in items {
                if let Item::Data { header, unix_micros, payload } = item
                    && header.kind == Some(Kind::Frame)
                {
                    waiting.push_back(head(&header, unix_micros, payload.len(), &topic_type).into());
                    waiting.push_back(payload);
                    // At once, and not before the next part: browsers show a part when they see its end.
                    waiting.push_back(format!("\r\n--{boundary}\r\n").into());
                }
            }
        }
    });
    (content_type.unwrap_or(HeaderValue::from_static("multipart/x-mixed-replace")), body)
}

/// Between parts: it stands in the head of the next one, and no browser knows it.
const IDLE_HEADER: &str = "x-nyx-idle: 1\r\n";

fn head(header: &Header, unix_micros: Option<u64>, len: usize, topic_type: &str) -> String {
    let content_type = frame_type(header.codec, topic_type);
    let content_type = content_type.to_str().unwrap_or("application/octet-stream");
    let stamp = unix_micros.map_or_else(String::new, |micros| format!("x-nyx-timestamp: {micros}\r\n"));
    let sequence = header.sequence;
    format!(
        "content-type: {content_type}\r\ncontent-length: {len}\r\nx-nyx-sequence: {sequence}\r\n{stamp}\r\n"
    )
}

#[cfg(test)]
mod tests {
    use nyx_protocol::wire::codec;

    use super::*;

    #[test]
    fn a_part_says_what_it_is() {
        let header = Header { codec: codec::FRAME_JPEG, sequence: 7, ..Header::data(Kind::Frame) };
        assert_eq!(
            head(&header, Some(9), 3, ""),
            "content-type: image/jpeg\r\ncontent-length: 3\r\nx-nyx-sequence: 7\r\nx-nyx-timestamp: 9\r\n\r\n"
        );
    }
}
