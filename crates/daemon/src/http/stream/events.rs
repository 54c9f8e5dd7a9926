//! Events as server-sent events; `state` is what becomes of documents.
//!
//! | event | data | id |
//! | --- | --- | --- |
//! | `state` | the whole document as JSON, after one or many changes | its version |
//! | `message` | an event of text or JSON | epoch, `-`, sequence |
//! | `binary` | an event of bytes, in base64 | the same |
//! | `gap` | `{"first": sequence, "drops": {reason: count}}`: events that will not come | |
//!
//! A browser that reconnects sends the last id; events then go on after it, as far as the hub still has them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::task::{Poll, ready};
use std::time::Duration;

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use nyx_protocol::control::{self, Body as Control};
use nyx_protocol::topic::Name;
use nyx_protocol::wire::{Header, codec};

use super::place::Place;
use super::{Opened, body};
use crate::http::feed::{Feed, Item};

pub(super) fn stream(mut feed: Feed, name: &Name, max_age: Option<Duration>, last: Option<Place>) -> Opened {
    let resume = last.map(|last| control::Resume {
        topic: name.as_str().to_owned(),
        epoch: last.epoch,
        position: last.next(),
    });
    feed.tell(control::Subscribe {
        id: 0,
        pattern: name.as_str().to_owned(),
        max_age_ms: max_age.map_or(0, |age| u32::try_from(age.as_millis()).unwrap_or(u32::MAX)),
        resume: resume.into_iter().collect(),
    });
    let (mut writer, mut text) = (Writer::default(), GREETING.to_owned());
    let body = body(COMMENT, move |cx| {
        while text.is_empty() {
            let Some(items) = ready!(feed.poll(cx)) else { return Poll::Ready(None) };
            items.into_iter().for_each(|item| writer.write(item, &mut text));
        }
        Poll::Ready(Some(Bytes::from(std::mem::take(&mut text))))
    });
    (HeaderValue::from_static(EVENT_STREAM), body)
}

pub(super) const EVENT_STREAM: &str = "text/event-stream";

/// The first bytes tell the browser that it is connected, and to come back soon if that ends.
pub(super) const GREETING: &str = "retry: 1000\n\n";

/// What event sources pass over.
pub(super) const COMMENT: &str = ":\n\n";

/// Of the topic, and the full number of the next event.
#[derive(Default)]
struct Writer {
    epoch: u64,
    next: u64,
}

impl Writer {
    fn write(&mut self, item: Item, out: &mut String) {
        match item {
            Item::Control(Control::Announce(announce)) => {
                (self.epoch, self.next) = (announce.epoch, announce.position);
            }
            Item::Control(Control::Gap(gap)) => write_gap(&gap, out),
            Item::Control(_) => {}
            Item::Data { header, payload, .. } => self.write_event(&header, &payload, out),
        }
    }

    fn write_event(&mut self, header: &Header, payload: &[u8], out: &mut String) {
        // The header has the low half of a number that only grows.
        let ahead = header.sequence.wrapping_sub(self.next as u32);
        let sequence = self.next + u64::from(ahead);
        self.next = sequence + 1;
        let id = Place { epoch: self.epoch, sequence };
        let id = format_args!("{id}");
        match std::str::from_utf8(payload) {
            Ok(text) if header.codec != codec::EVENT_BYTES => write(out, "message", id, text),
            _ => write(out, "binary", id, &BASE64.encode(payload)),
        }
    }
}

fn write(out: &mut String, event: &str, id: std::fmt::Arguments<'_>, data: &str) {
    // Writing to a string does not fail.
    let _ = write!(out, "event: {event}\nid: {id}\n");
    put_data(out, data);
}

fn write_gap(gap: &control::Gap, out: &mut String) {
    let drops = gap.drops.iter().map(|drop| {
        let reason = drop.reason().as_str_name().trim_start_matches("REASON_").to_ascii_lowercase();
        (reason, drop.count)
    });
    let data = serde_json::json!({ "first": gap.first_sequence, "drops": drops.collect::<BTreeMap<_, _>>() });
    out.push_str("event: gap\n");
    put_data(out, &data.to_string());
}

/// A field has one line: data of several has several fields.
fn put_data(out: &mut String, data: &str) {
    let mut rest = data;
    loop {
        let end = rest.find(['\r', '\n']).unwrap_or(rest.len());
        out.push_str("data: ");
        out.push_str(&rest[..end]);
        out.push('\n');
        rest = &rest[end..];
        let Some(after) = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix(['\r', '\n'])) else {
            break;
        };
        rest = after;
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use nyx_protocol::wire::Kind;

    use super::*;

    fn written(items: impl IntoIterator<Item = Item>) -> String {
        let (mut writer, mut out) = (Writer::default(), String::new());
        items.into_iter().for_each(|item| writer.write(item, &mut out));
        out
    }

    fn event(sequence: u32, codec: u8, payload: &'static [u8]) -> Item {
        let header = Header { codec, sequence, ..Header::data(Kind::Event) };
        Item::Data { header, unix_micros: None, payload: Bytes::from_static(payload) }
    }

    fn announce(epoch: u64, position: u64) -> Item {
        Item::Control(control::Announce { epoch, position, ..Default::default() }.into())
    }

    #[test]
    fn lines_stay_in_their_event() {
        let mut out = String::new();
        put_data(&mut out, "a\r\nb\rid: 7\n");
        assert_eq!(out, "data: a\ndata: b\ndata: id: 7\ndata: \n\n");
    }

    #[test]
    fn ids_say_where_to_go_on() {
        let start = u64::from(u32::MAX);
        let out = written([
            announce(0xab, start),
            event(u32::MAX, codec::EVENT_TEXT, b"x"),
            event(1, codec::EVENT_JSON, b"{}"),
        ]);
        assert!(out.starts_with("event: message\nid: ab-4294967295\ndata: x\n\n"), "{out}");
        assert!(out.ends_with("event: message\nid: ab-4294967297\ndata: {}\n\n"), "{out}");
    }

    #[test]
    fn bytes_travel_as_base64() {
        assert!(
            written([event(0, codec::EVENT_BYTES, b"\xff\x00")])
                .contains("event: binary\nid: 0-0\ndata: /wA=\n")
        );
        assert!(written([event(0, codec::EVENT_TEXT, b"\xff")]).contains("event: binary\n"));
    }
}
