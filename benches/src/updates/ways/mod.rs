//! Ways to tell a receiver what a document has become.

mod bytewise;
mod full;
mod message;
#[cfg(feature = "moq")]
mod moq;
mod ours;
mod patch;
mod squeezed;

use nyx_protocol::state::Value;

use super::update::Update;
pub(super) use ours::Delta;
pub(super) use patch::difference;
pub(super) use squeezed::Zstd;

use bytewise::{Bsdiff, Prefix};
use full::{Json, MessagePack};
use message::Message;
use ours::{Dictionary, Upload};
use patch::{JsonPatch, MergePatch};
use squeezed::Squeezed;

/// One way: what its sender and its receiver keep. Updates come one after the other.
pub(super) trait Way {
    /// Appends what the receiver is sent.
    fn encode(&mut self, update: &Update, out: &mut Vec<u8>) -> anyhow::Result<()>;

    /// Brings the receiver along.
    fn apply(&mut self, bytes: &[u8]) -> anyhow::Result<()>;

    /// Whether the receiver has what the update made.
    fn holds(&self, update: &Update) -> bool;
}

impl<W: Way + ?Sized> Way for Box<W> {
    fn encode(&mut self, update: &Update, out: &mut Vec<u8>) -> anyhow::Result<()> {
        (**self).encode(update, out)
    }

    fn apply(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        (**self).apply(bytes)
    }

    fn holds(&self, update: &Update) -> bool {
        (**self).holds(update)
    }
}

type Named = (&'static str, Box<dyn Way>);

/// All ways, ready for the first of `measured`, and trained on what was `before`. The full document as JSON comes first: what the
/// others are compared with. Who needs a schema is left out where there is none.
pub(super) fn all(before: &[Update], measured: &[Update]) -> anyhow::Result<Vec<Named>> {
    let Some(start) = measured.first().map(|update| &update.before) else { return Ok(Vec::new()) };
    let json = || start.json.clone();
    let mut ways: Vec<Named> = vec![
        ("JSON", Box::new(Json::default())),
        ("JSON + zstd", Box::new(Squeezed::new(Json::default())?)),
        ("MessagePack", Box::new(MessagePack::default())),
        ("MessagePack + zstd", Box::new(Squeezed::new(MessagePack::default())?)),
        ("JSON Patch", Box::new(JsonPatch::new(json()))),
        ("JSON Patch + zstd", Box::new(Squeezed::new(JsonPatch::new(json()))?)),
        ("JSON merge patch", Box::new(MergePatch::new(json()))),
        ("JSON merge patch + zstd", Box::new(Squeezed::new(MergePatch::new(json()))?)),
        ("zstd, last JSON as prefix", Box::new(Prefix::new(&start.json)?)),
        ("bsdiff of JSON + zstd", Box::new(Squeezed::new(Bsdiff::new(&start.json)?)?)),
    ];
    if start.typed.is_some() {
        let trained = Squeezed::trained(Message::default(), before)?;
        ways.extend([
            ("prost", Box::new(Message::default()) as Box<dyn Way>),
            ("prost + zstd", Box::new(Squeezed::new(Message::default())?)),
            ("prost + zstd dictionary", Box::new(trained)),
        ]);
    }
    #[cfg(feature = "moq")]
    ways.extend([
        ("moq-json", Box::new(moq::Snapshots::new(start, false)?) as Box<dyn Way>),
        ("moq-json deflate", Box::new(moq::Snapshots::new(start, true)?)),
    ]);
    ways.extend([
        ("nyx", Box::new(Delta::new(&start.value)?) as Box<dyn Way>),
        ("nyx + zstd", Box::new(Squeezed::new(Delta::new(&start.value)?)?)),
        ("nyx dictionary", Box::new(Dictionary::new(&start.value, before)?)),
        ("nyx to the hub", Box::new(Upload::new(&start.value)?)),
    ]);
    Ok(ways)
}

/// A document of this value, for an authority.
fn document(start: &Value) -> anyhow::Result<nyx_protocol::state::Document> {
    use nyx_protocol::state::{Document, Limits, Patch};

    let mut document = Document::new(1, Limits::default());
    document.patch(&Patch::Set(start.clone()))?;
    Ok(document)
}

/// Equal but for the last bit of floats, which text may round.
fn is_about(a: &serde_json::Value, b: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Number, Object};

    match (a, b) {
        (Number(a), Number(b)) => {
            a == b
                || a.as_f64()
                    .zip(b.as_f64())
                    .is_some_and(|(a, b)| (a - b).abs() <= a.abs().max(b.abs()) * 4.0 * f64::EPSILON)
        }
        (Array(a), Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_about(a, b)),
        (Object(a), Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| is_about(a, b)))
        }
        (a, b) => a == b,
    }
}
