//! Frames as files.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nyx_client::FrameCodec;
use nyx_client::subscribe::Frame;

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
/// names sort by sequence, and no topic reaches outside of the directory.
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
    format!("{name}-{sequence:08}.{extension}")
}

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
    fn no_topic_leads_elsewhere_or_hides() {
        assert_eq!(file_name("../etc", 1, "jpg"), "%2E.+etc-00000001.jpg");
        assert_eq!(file_name("\\c:\u{e9}", 1, "jpg"), "%5Cc%3A%C3%A9-00000001.jpg");
    }
}
