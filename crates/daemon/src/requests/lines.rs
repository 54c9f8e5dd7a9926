//! Lines of stdin, each of which is a request.

use std::io;

use bytes::Bytes;
use nyx_client::requests::BODY_MAX;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

/// Lines, of which no more is kept than a request may have.
pub(super) struct Lines<R> {
    reader: R,
    line: Vec<u8>,
    /// Bytes of the line so far, those that are not kept included.
    length: usize,
}

/// A line without what ends it; `Err`: it has so many bytes, more than a request may have.
pub(super) type Line = Result<Bytes, usize>;

impl<R: AsyncBufRead + Unpin> Lines<R> {
    pub(super) const fn new(reader: R) -> Self {
        Self { reader, line: Vec::new(), length: 0 }
    }

    /// The next line; `None` at the end.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let piece = self.reader.fill_buf().await?;
            if piece.is_empty() {
                return Ok((self.length > 0).then(|| self.take()));
            }
            let end = piece.iter().position(|byte| *byte == b'\n');
            let text = &piece[..end.unwrap_or(piece.len())];
            let room = LINE_MAX.saturating_sub(self.line.len());
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            self.length += text.len();
            let used = text.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                return Ok(Some(self.take()));
            }
        }
    }

    fn take(&mut self) -> Line {
        let length = std::mem::take(&mut self.length);
        let mut line = std::mem::take(&mut self.line);
        if length > LINE_MAX {
            return Err(length);
        }
        if line.ends_with(b"\r") {
            line.pop();
        }
        if line.len() > BODY_MAX { Err(line.len()) } else { Ok(line.into()) }
    }
}

/// A body and a carriage return.
const LINE_MAX: usize = BODY_MAX + 1;

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(text: &[u8]) -> Vec<Line> {
        // A piece is a few bytes, so lines go on from one to the next.
        let mut lines = Lines::new(tokio::io::BufReader::with_capacity(7, text));
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        all
    }

    #[tokio::test]
    async fn each_line_is_whole_and_loses_its_end() {
        let all = lines(b"one\n\ntwo and a half\r\n\xff\r\r\nlast").await;
        let whole: [&[u8]; 5] = [b"one", b"", b"two and a half", b"\xff\r", b"last"];
        assert_eq!(all, whole.map(|line| Ok(Bytes::from_static(line))));
        assert!(lines(b"").await.is_empty());
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_counted_and_what_follows_is_read() {
        let longest = [&vec![b'x'; BODY_MAX][..], b"\r\n"].concat();
        let text =
            [&longest[..], &vec![b'y'; BODY_MAX + 1], b"\n", &vec![b'z'; 3 * BODY_MAX], b"\nend\n"].concat();
        let all = lines(&text).await;
        assert_eq!(all[0].as_ref().map(|line| line.len()), Ok(BODY_MAX));
        assert_eq!(all[1..], [Err(BODY_MAX + 1), Err(3 * BODY_MAX), Ok(Bytes::from_static(b"end"))]);
    }
}
