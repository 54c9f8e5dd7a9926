//! What a body is, by its content type, and what kind of topic it belongs to.

use axum::http::header::{CONTENT_TYPE, HeaderMap};
use nyx_protocol::wire::{Kind, codec};

use crate::http::answer::{Code, Problem};

/// A body's media type, without parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) enum Media {
    Json,
    /// JSON texts, one a line.
    JsonLines,
    Text,
    Bytes,
    /// `image/…`.
    Image(String),
    /// `audio/…`.
    Audio,
    /// None was said.
    Absent,
    Other(String),
}

impl Media {
    pub(in crate::http) fn of(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(CONTENT_TYPE) else { return Self::Absent };
        let text = value.to_str().unwrap_or("?").to_ascii_lowercase();
        let essence = text.split(';').next().unwrap_or_default().trim();
        match essence.split_once('/') {
            Some((_, "json")) => Self::Json,
            Some((_, subtype)) if subtype.ends_with("+json") => Self::Json,
            Some(("application", "x-ndjson" | "ndjson" | "jsonl" | "x-jsonl")) => Self::JsonLines,
            Some(("image", _)) => Self::Image(essence.to_owned()),
            Some(("audio", _)) => Self::Audio,
            Some(("text", "plain")) => Self::Text,
            Some(("application", "octet-stream")) => Self::Bytes,
            _ => Self::Other(essence.to_owned()),
        }
    }

    /// What a frame of this type has for a codec.
    pub(super) fn frame_codec(&self) -> u8 {
        match self {
            Self::Image(essence) => match essence.as_str() {
                "image/jpeg" | "image/jpg" => codec::FRAME_JPEG,
                "image/png" => codec::FRAME_PNG,
                "image/webp" => codec::FRAME_WEBP,
                _ => codec::FRAME_OTHER,
            },
            _ => codec::FRAME_OTHER,
        }
    }
}

/// What a body is published as: what is asked for, or else what its type says and the topic takes.
pub(super) fn kind(asked: Option<Kind>, media: &Media, existing: Option<Kind>) -> Result<Kind, Problem> {
    let unsupported = |text: String| Err(Problem::new(Code::UnsupportedMedia, text));
    if asked == Some(Kind::Audio) || *media == Media::Audio {
        return unsupported(
            "sound is published in chunks as it goes along, not by requests: use `nyx pub TOPIC --kind audio FILE.wav`".into(),
        );
    }
    if let Some(asked) = asked.filter(|asked| *media != Media::JsonLines || *asked == Kind::Event) {
        return Ok(asked);
    }
    if *media == Media::JsonLines && asked.is_some() {
        return unsupported("lines of JSON are events: send a document or a frame by itself".into());
    }
    match media {
        Media::Json if existing == Some(Kind::Event) => Ok(Kind::Event),
        Media::Json => Ok(Kind::State),
        Media::Image(_) => Ok(Kind::Frame),
        Media::JsonLines | Media::Text | Media::Bytes => Ok(Kind::Event),
        Media::Absent => unsupported(
            "say what the body is: content-type application/json, image/jpeg, text/plain or application/octet-stream, \
             or ?kind=state, frame or event"
                .into(),
        ),
        Media::Other(essence) if essence == "application/x-www-form-urlencoded" => unsupported(
            "a form is no item of a topic; with curl, say -H 'content-type: application/json' or ?kind=state, frame or event"
                .into(),
        ),
        Media::Audio | Media::Other(_) => unsupported(
            "this content type says no kind: use application/json, image/…, text/plain or application/octet-stream, \
             or say ?kind=state, frame or event"
                .into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(text: &'static str) -> Media {
        Media::of(&HeaderMap::from_iter([(CONTENT_TYPE, text.parse().unwrap())]))
    }

    #[test]
    fn types_are_read_without_case_and_parameters() {
        assert_eq!(media("Application/JSON; charset=utf-8"), Media::Json);
        assert_eq!(media("application/merge-patch+json"), Media::Json);
        assert_eq!(media("image/PNG"), Media::Image("image/png".into()));
        assert_eq!(media("application/x-ndjson"), Media::JsonLines);
        assert_eq!(media("nonsense"), Media::Other("nonsense".into()));
        assert_eq!(Media::of(&HeaderMap::new()), Media::Absent);
    }

    #[test]
    fn kinds_follow_the_question_then_the_topic_then_the_type() {
        let found =
            |asked, text, existing| kind(asked, &media(text), existing).map_err(|problem| problem.code);
        assert_eq!(found(None, "application/json", None), Ok(Kind::State));
        assert_eq!(found(None, "application/json", Some(Kind::State)), Ok(Kind::State));
        assert_eq!(found(None, "application/json", Some(Kind::Event)), Ok(Kind::Event));
        assert_eq!(found(Some(Kind::Event), "application/json", None), Ok(Kind::Event));
        assert_eq!(found(None, "image/avif", None), Ok(Kind::Frame));
        assert_eq!(found(None, "text/plain", None), Ok(Kind::Event));
        assert_eq!(found(Some(Kind::Frame), "application/octet-stream", None), Ok(Kind::Frame));
        assert_eq!(found(None, "application/jsonl", None), Ok(Kind::Event));
        assert_eq!(found(Some(Kind::State), "application/jsonl", None), Err(Code::UnsupportedMedia));
        for text in ["audio/wav", "text/html", "application/x-www-form-urlencoded"] {
            assert_eq!(found(None, text, None), Err(Code::UnsupportedMedia), "{text}");
        }
    }

    #[test]
    fn images_have_their_codec() {
        assert_eq!(media("image/jpeg").frame_codec(), codec::FRAME_JPEG);
        assert_eq!(media("image/webp").frame_codec(), codec::FRAME_WEBP);
        assert_eq!(media("image/avif").frame_codec(), codec::FRAME_OTHER);
        assert_eq!(media("application/octet-stream").frame_codec(), codec::FRAME_OTHER);
    }
}
