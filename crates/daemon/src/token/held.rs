//! A file that holds one token and nothing else: how a program is told what it shows to others.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use nyx_client::Token;

/// Reads the token. White space around it does not count.
///
/// # Errors
/// The file can't be read, or what it holds is no token, or more than one. What it holds is not told.
pub(crate) fn read(path: &Path) -> anyhow::Result<Token> {
    let (name, mut text) = (|| path.display(), String::new());
    let file = File::open(path).with_context(|| format!("can't read {}", name()))?;
    let read = file.take(FILE_BYTES_MAX).read_to_string(&mut text);
    read.with_context(|| format!("can't read {}", name()))?;
    let token = text.trim();
    // What RFC 6750 lets stand in a header.
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!("{} does not hold one token and nothing else", name());
    }
    if text.len() as u64 == FILE_BYTES_MAX {
        bail!("{} has {FILE_BYTES_MAX} bytes or more, which no token has", name());
    }
    Ok(Token::new(token))
}

/// Services take headers of some KiB.
const FILE_BYTES_MAX: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_one_token_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let read_of = |text: &[u8]| {
            std::fs::write(&path, text).unwrap();
            read(&path)
        };
        assert_eq!(read_of(b" nyx_abc_def\r\n").unwrap().expose(), "nyx_abc_def");
        let long = vec![b'x'; 70_000];
        for bad in [
            &b""[..],
            b" \n",
            b"one two",
            b"one\ntwo",
            b"se\x1bcret",
            "se\u{e9}cret".as_bytes(),
            b"\xff",
            &long,
        ] {
            let error = format!("{:#}", read_of(bad).unwrap_err());
            assert!(error.contains("token") && !error.contains("cret"), "{error}");
        }
        assert!(read(folder.path()).is_err() && read(&folder.path().join("missing")).is_err());
    }
}
