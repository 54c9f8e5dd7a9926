//! Frames as files.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nyx_client::FrameCodec;
use nyx_client::subscribe::Frame;
use sha1::{Digest as _, Sha1};

use crate::exit::Outcome;

/// A directory with a file for each frame.
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// Makes the directory, unless it is there.
    pub(crate) fn new(path: &Path) -> Outcome<Self> {
        std::fs::create_dir_all(path)
            .with_context(|| format!("can't make the directory {}", path.display()))?;
        Ok(Self(path.to_owned()))
    }

    /// Writes a frame, and tells where.
    pub(crate) fn write(&self, frame: &Frame) -> Outcome<PathBuf> {
        let name = file_name(frame.topic.name.as_str(), frame.sequence, extension(frame.codec));
        let path = self.0.join(name);
        std::fs::write(&path, &frame.payload).with_context(|| format!("can't write {}", path.display()))?;
        Ok(path)
    }
}

fn extension(codec: FrameCodec) -> &'static str {
    match codec {
        FrameCodec::Jpeg => "jpg",
        FrameCodec::Png => "png",
        FrameCodec::WebP => "webp",
        FrameCodec::Other | FrameCodec::Unknown(_) => "bin",
    }
}

/// `a/b` becomes `a+b`, and what a file name had better not have is written as in URLs: so topics never share a file,
/// names sort by sequence, and no topic reaches outside of the directory. Of a topic whose name is too long for a file's, what does not fit is
/// a hash of the whole.
fn file_name(topic: &str, sequence: u64, extension: &str) -> String {
    let mut name = String::with_capacity(topic.len() + 16);
    for byte in topic.bytes() {
        match byte {
            b'/' => name.push('+'),
            b'.' if !name.is_empty() => name.push('.'),
            b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => name.push(byte.into()),
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
    if name.len() > NAME_MAX {
        let hash = Sha1::digest(topic.as_bytes());
        name.truncate(NAME_MAX);
        name.push('~');
        hash.iter().for_each(|byte| name.push_str(&format!("{byte:02x}")));
    }
    format!("{name}-{sequence:08}.{extension}")
}

/// File systems take 255 bytes, of which the hash takes 41 and sequence and extension at most 26.
const NAME_MAX: usize = 255 - 41 - 26;

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn names_tell_topic_and_number() {
        assert_eq!(file_name("camera/1", 42, "jpg"), "camera+1-00000042.jpg");
        assert_eq!(file_name("v1.2_x-y", 0, "png"), "v1.2_x-y-00000000.png");
        assert_eq!(file_name("a+b c", 123_456_789, "webp"), "a%2Bb%20c-123456789.webp");
    }

    #[test]
    fn a_name_that_is_too_long_for_a_file_is_cut_and_stays_its_own() {
        let [one, other] = ["x", "y"].map(|end| format!("{}{end}", "\u{e9}".repeat(127)));
        let [one, other] = [one, other].map(|topic| file_name(&topic, u64::MAX, "webp"));
        assert_eq!((one.len(), other.len()), (255, 255));
        assert_ne!(one, other);
        assert!(file_name(&"x".repeat(188), 1, "jpg").starts_with(&format!("{}-", "x".repeat(188))));
    }

    #[test]
    fn no_topic_leads_elsewhere_or_hides() {
        assert_eq!(file_name("../etc", 1, "jpg"), "%2E.+etc-00000001.jpg");
        assert_eq!(file_name("\\c:\u{e9}", 1, "jpg"), "%5Cc%3A%C3%A9-00000001.jpg");
    }
}
