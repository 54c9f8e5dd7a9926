//! Ways to tell a subscriber what a document has become.

use bytes::BytesMut;
use nyx_protocol::state::{Document, Encoded, Limits, Patch, Value};
use zstd::zstd_safe::{CCtx, CParameter, compress_bound};

/// A document before and after a tick, as values of both libraries.
pub(super) struct Update {
    pub(super) before: Value,
    pub(super) after: Value,
    json_before: serde_json::Value,
    json_after: serde_json::Value,
    text_before: Vec<u8>,
}

impl Update {
    pub(super) fn new(before: Value, after: Value) -> Self {
        let (json_before, json_after) = (to_json(&before), to_json(&after));
        let text_before = text(&json_before);
        Self { before, after, json_before, json_after, text_before }
    }
}

/// One way, and its name.
pub(super) struct Contender {
    pub(super) name: &'static str,
    tell: Box<dyn FnMut(&Update) -> usize>,
}

impl Contender {
    fn new(name: &'static str, tell: impl FnMut(&Update) -> usize + 'static) -> Self {
        Self { name, tell: Box::new(tell) }
    }

    /// The bytes that it takes.
    pub(super) fn update(&mut self, update: &Update) -> usize {
        (self.tell)(update)
    }
}

/// The full document as JSON first: what all others are compared with.
pub(super) fn all(start: &Value) -> Vec<Contender> {
    let (mut json_zstd, mut message_pack_zstd, mut byte_delta) = (Zstd::new(1), Zstd::new(1), Zstd::new(1));
    let (mut patch_zstd, mut merge_zstd, mut delta_zstd) = (Zstd::new(1), Zstd::new(1), Zstd::new(1));
    let (mut hub, mut hub_zstd) = (Hub::new(start), Hub::new(start));
    vec![
        Contender::new("JSON", |update| text(&update.json_after).len()),
        Contender::new("JSON + zstd", move |update| json_zstd.len(&text(&update.json_after), None)),
        Contender::new("MessagePack", |update| message_pack(&update.json_after).len()),
        Contender::new("MessagePack + zstd", move |update| {
            message_pack_zstd.len(&message_pack(&update.json_after), None)
        }),
        Contender::new("byte delta of JSON", move |update| {
            byte_delta.len(&text(&update.json_after), Some(&update.text_before))
        }),
        Contender::new("JSON Patch", |update| json_patch(update).len()),
        Contender::new("JSON Patch + zstd", move |update| patch_zstd.len(&json_patch(update), None)),
        Contender::new("JSON merge patch", |update| merge_patch(update).len()),
        Contender::new("JSON merge patch + zstd", move |update| merge_zstd.len(&merge_patch(update), None)),
        Contender::new("nyx, to the hub", |update| {
            let mut out = BytesMut::new();
            if let Some(patch) = Patch::diff(&update.before, &update.after) {
                patch.encode(&mut out);
            }
            out.len()
        }),
        Contender::new("nyx", move |update| hub.delta(update).len()),
        Contender::new("nyx + zstd", move |update| delta_zstd.len(hub_zstd.delta(update), None)),
    ]
}

/// Ours: the difference between two values, the hub's document, and the delta for who has the version before.
struct Hub {
    document: Document,
    out: BytesMut,
}

impl Hub {
    fn new(start: &Value) -> Self {
        let mut document = Document::new(1, Limits::default());
        let patched = document.patch(&Patch::Set(start.clone()));
        assert!(patched.is_ok(), "the trace is within the limits");
        Self { document, out: BytesMut::new() }
    }

    fn delta(&mut self, update: &Update) -> &[u8] {
        let base = self.document.version();
        self.out.clear();
        if let Some(patch) = Patch::diff(&update.before, &update.after) {
            let patched = self.document.patch(&patch);
            assert!(patched.is_ok(), "a difference fits");
        }
        let encoded = self.document.delta_since(base, &mut self.out);
        assert!(encoded != Encoded::Snapshot, "the trace changes in parts");
        &self.out
    }
}

/// A compression context that is used again and again.
struct Zstd {
    context: CCtx<'static>,
    out: Vec<u8>,
}

impl Zstd {
    fn new(level: i32) -> Self {
        let mut context = CCtx::create();
        let set = context.set_parameter(CParameter::CompressionLevel(level));
        assert!(set.is_ok(), "the level exists");
        Self { context, out: Vec::new() }
    }

    /// The length after compression, or before it where that is less. With a prefix, what repeats it is not told again.
    fn len(&mut self, bytes: &[u8], prefix: Option<&[u8]>) -> usize {
        self.out.clear();
        self.out.reserve(compress_bound(bytes.len()));
        // A context lives on, a prefix does not: it is given up after each frame.
        let compressed = match prefix {
            Some(prefix) => {
                let mut context = CCtx::create();
                let referred = context
                    .set_parameter(CParameter::WindowLog(20))
                    .and_then(|_| context.ref_prefix(prefix))
                    .and_then(|_| context.compress2(&mut self.out, bytes));
                referred.unwrap_or(usize::MAX)
            }
            None => self.context.compress2(&mut self.out, bytes).unwrap_or(usize::MAX),
        };
        compressed.min(bytes.len())
    }
}

fn to_json(value: &Value) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn text(json: &serde_json::Value) -> Vec<u8> {
    serde_json::to_vec(json).unwrap_or_default()
}

fn message_pack(json: &serde_json::Value) -> Vec<u8> {
    rmp_serde::to_vec(json).unwrap_or_default()
}

/// RFC 6902, by the crate json-patch.
fn json_patch(update: &Update) -> Vec<u8> {
    serde_json::to_vec(&json_patch::diff(&update.json_before, &update.json_after)).unwrap_or_default()
}

/// RFC 7386.
fn merge_patch(update: &Update) -> Vec<u8> {
    text(&merge_difference(&update.json_before, &update.json_after).unwrap_or_default())
}

fn merge_difference(old: &serde_json::Value, new: &serde_json::Value) -> Option<serde_json::Value> {
    let (serde_json::Value::Object(old), serde_json::Value::Object(new)) = (old, new) else {
        return (old != new).then(|| new.clone());
    };
    let gone =
        old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), serde_json::Value::Null));
    let changed = new.iter().filter_map(|(key, new)| {
        let difference = match old.get(key) {
            Some(old) => merge_difference(old, new)?,
            None => new.clone(),
        };
        Some((key.clone(), difference))
    });
    let entries: serde_json::Map<_, _> = gone.chain(changed).collect();
    (!entries.is_empty()).then_some(serde_json::Value::Object(entries))
}
