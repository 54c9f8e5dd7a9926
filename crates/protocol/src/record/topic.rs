//! What a recording knows about a topic.

use std::time::Duration;

use super::format::{Fields, put, put_bytes};
use crate::control::{AudioFormat, Lane};
use crate::topic::Name;
use crate::wire::Kind;

/// A topic, as its publisher would advertise it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Topic {
    /// Its name.
    pub name: Name,
    /// What it carries.
    pub kind: Kind,
    /// A media type such as `image/jpeg`; empty when not known. What exceeds 255 bytes is not recorded.
    pub content_type: String,
    /// For audio: rate and channels, if the publisher said.
    pub audio: Option<AudioFormat>,
    /// How old items may become before they are dropped, in whole milliseconds; `None`: they do not expire.
    pub max_age: Option<Duration>,
    /// The lane; [`Lane::Default`] when not known.
    pub lane: Lane,
}

/// A topic within one session of one recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TopicId(pub(super) u32);

impl TopicId {
    /// The topic's place in the order in which the session defined its topics, from 0.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl Topic {
    /// A topic of which nothing but name and kind is known.
    pub const fn new(name: Name, kind: Kind) -> Self {
        Self { name, kind, content_type: String::new(), audio: None, max_age: None, lane: Lane::Default }
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.push(self.kind as u8);
        out.push(self.lane as u8);
        let millis = self.max_age.map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX).max(1));
        put(out, millis);
        let AudioFormat { sample_rate, channels } = self.audio.unwrap_or_default();
        put(out, sample_rate.into());
        put(out, channels.into());
        put_bytes(out, self.name.as_str().as_bytes());
        let content_type = &self.content_type[..self.content_type.floor_char_boundary(CONTENT_TYPE_MAX)];
        put_bytes(out, content_type.as_bytes());
    }

    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Self, &'static str> {
        let kind = fields.u8()?;
        let kind =
            Kind::ALL.into_iter().find(|known| *known as u8 == kind).ok_or("a topic's kind is unknown")?;
        let lane = Lane::try_from(i32::from(fields.u8()?)).map_err(|_| "a topic's lane is unknown")?;
        let millis = fields.number()?;
        let (sample_rate, channels) = (fields.u32()?, fields.u32()?);
        let name = Name::new(fields.text()?).map_err(|_| "a topic has a name that no topic can have")?;
        let content_type = fields.text()?;
        if content_type.len() > CONTENT_TYPE_MAX {
            return Err("a content type exceeds 255 bytes");
        }
        Ok(Self {
            name,
            kind,
            content_type: content_type.to_owned(),
            audio: (sample_rate != 0 || channels != 0).then_some(AudioFormat { sample_rate, channels }),
            max_age: (millis > 0).then(|| Duration::from_millis(millis)),
            lane,
        })
    }
}

/// What the wire protocol allows too.
const CONTENT_TYPE_MAX: usize = 255;
