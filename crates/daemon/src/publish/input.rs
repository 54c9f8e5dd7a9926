//! Where the bytes come from: files and stdin.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use anyhow::Context as _;

use super::guess::Format;
use crate::exit::Outcome;
use crate::stdio;

/// A place to read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Stdin,
    File(PathBuf),
}

impl From<PathBuf> for Place {
    fn from(path: PathBuf) -> Self {
        if stdio::is_meant(&path) { Self::Stdin } else { Self::File(path) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("stdin"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl Place {
    /// Fails early where reading would fail later.
    pub(crate) fn check(&self) -> Outcome {
        if let Self::File(path) = self {
            File::open(path).with_context(|| cannot_read(self))?;
        }
        Ok(())
    }

    /// Opens it, and reads until it is clear what it is. Blocks.
    pub(crate) fn open(&self) -> Outcome<Input> {
        let (reader, is_live): (Box<dyn Read + Send>, bool) = match self {
            Self::Stdin => (Box::new(io::stdin()), !stdin_is_file()),
            Self::File(path) => {
                let file = File::open(path).with_context(|| cannot_read(self))?;
                let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
                (Box::new(file), !is_file)
            }
        };
        Input::begin(reader, is_live).with_context(|| cannot_read(self)).map_err(Into::into)
    }
}

fn cannot_read(place: &Place) -> String {
    format!("can't read {place}")
}

/// Whether stdin was redirected from a file, which has no pace of its own.
fn stdin_is_file() -> bool {
    stdio::stdin().and_then(|file| file.metadata()).is_ok_and(|metadata| metadata.is_file())
}

/// An open input.
pub(crate) struct Input {
    /// What was read to find out what it is.
    head: io::Cursor<Vec<u8>>,
    rest: Box<dyn Read + Send>,
    /// What it looks like.
    pub(crate) format: Format,
    /// Whether it comes at a pace of its own, as from a pipe.
    pub(crate) is_live: bool,
}

impl Input {
    fn begin(mut rest: Box<dyn Read + Send>, is_live: bool) -> io::Result<Self> {
        let mut head = Vec::new();
        let format = loop {
            let mut piece = [0; 512];
            let read = read_some(&mut rest, &mut piece)?;
            head.extend_from_slice(&piece[..read]);
            match Format::of(&head) {
                Some(format) => break format,
                None if read == 0 => break Format::Lines,
                None => {}
            }
        };
        Ok(Self { head: io::Cursor::new(head), rest, format, is_live })
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.head.read(buffer)? {
            0 => self.rest.read(buffer),
            read => Ok(read),
        }
    }
}

/// Reads what there is, at least a byte unless the input is at its end.
pub(crate) fn read_some(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_looked_at_is_read_again() {
        let text = b"RIFF is how this line begins\nand it goes on";
        let mut input = Input::begin(Box::new(&text[..]), false).unwrap();
        assert_eq!(input.format, Format::Lines);
        let mut read = Vec::new();
        input.read_to_end(&mut read).unwrap();
        assert_eq!(read, text);
    }

    #[test]
    fn an_input_that_ends_early_is_lines() {
        for text in [&b""[..], b"R", b"\xff\xd8"] {
            let mut input = Input::begin(Box::new(text), false).unwrap();
            assert_eq!(input.format, Format::Lines);
            let mut read = Vec::new();
            input.read_to_end(&mut read).unwrap();
            assert_eq!(read, text);
        }
    }
}
