//! What a zstd frame says of itself (RFC 8878, section 3.1.1), read before anything is allocated for it.

use super::ParseError;

/// The largest window that RFC 8878 asks every decoder to support.
const WINDOW_LOG_MAX: u32 = 23;

/// No block of a frame yields more.
const ZSTD_BLOCK_MAX: u64 = 128 * 1024;

/// Checks that `frame` (without magic number) is exactly one whole frame of the shape that a block may have. Returns its
/// content size, which is at most `limit` and not more than its blocks can yield.
pub(super) fn content_size(frame: &[u8], limit: usize) -> Result<usize, ParseError> {
    let mut rest = frame;
    let size = header(&mut rest)?;
    let Some(fits) = usize::try_from(size).ok().filter(|&size| size <= limit) else {
        return Err(ParseError::TooLarge { size, limit });
    };
    if size > blocks_yield(rest)? {
        return Err(ParseError::Frame("its size is more than its blocks can hold"));
    }
    Ok(fits)
}

fn header(rest: &mut &[u8]) -> Result<u64, ParseError> {
    let [descriptor] = take(rest)?;
    let is_single_segment = descriptor & 0x20 != 0;
    if descriptor & 0x18 != 0 {
        return Err(ParseError::Frame("a reserved bit is set"));
    }
    if descriptor & 0x07 != 0 {
        return Err(ParseError::Frame("it has a checksum or a dictionary id"));
    }
    if !is_single_segment {
        let [window] = take(rest)?;
        let log = 10 + u32::from(window >> 3);
        if log > WINDOW_LOG_MAX || (log == WINDOW_LOG_MAX && window & 7 != 0) {
            return Err(ParseError::Frame("its window is over 8 MiB"));
        }
    }
    match (descriptor >> 6, is_single_segment) {
        (0, false) => Err(ParseError::Frame("it does not say its size")),
        (0, true) => take::<1>(rest).map(|[size]| u64::from(size)),
        (1, _) => take(rest).map(|size| u64::from(u16::from_le_bytes(size)) + 256),
        (2, _) => take(rest).map(|size| u64::from(u32::from_le_bytes(size))),
        _ => take(rest).map(u64::from_le_bytes),
    }
}

/// The most that the blocks up to the end can yield.
fn blocks_yield(mut rest: &[u8]) -> Result<u64, ParseError> {
    let mut total = 0;
    loop {
        let [a, b, c] = take(&mut rest)?;
        let header = u32::from_le_bytes([a, b, c, 0]);
        let size = u64::from(header >> 3);
        let (body, yields) = match header >> 1 & 3 {
            0 => (size, size),
            1 => (1, size),
            2 => (size, ZSTD_BLOCK_MAX),
            _ => return Err(ParseError::Frame("a block has the reserved type")),
        };
        total += yields;
        let after = usize::try_from(body).ok().and_then(|body| rest.get(body..));
        rest = after.ok_or(ParseError::Truncated)?;
        if header & 1 == 1 {
            break;
        }
    }
    if rest.is_empty() { Ok(total) } else { Err(ParseError::Frame("bytes follow its last block")) }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], ParseError> {
    let (&first, after) = rest.split_first_chunk().ok_or(ParseError::Truncated)?;
    *rest = after;
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_sizes_that_the_blocks_cannot_hold() {
        // Single segment, 4-byte size of 1 MiB, one last raw block of one byte.
        let frame = [0xA0, 0, 0, 0x10, 0, 0x09, 0, 0, b'x'];
        assert!(matches!(content_size(&frame, usize::MAX), Err(ParseError::Frame(_))));
        assert_eq!(content_size(&frame, 1000), Err(ParseError::TooLarge { size: 1 << 20, limit: 1000 }));
    }

    #[test]
    fn refuses_what_a_block_may_not_have() {
        let raw_block = [0x01, 0, 0];
        for (head, what) in [
            (&[0x24, 0][..], "checksum"),
            (&[0x21, 0, 0], "dictionary id"),
            (&[0x28, 0], "reserved bit"),
            (&[0x00, 0x00], "no size"),
            (&[0x80, 0x70, 0, 0, 0, 0], "window of 16 MiB"),
        ] {
            let frame = [head, &raw_block].concat();
            assert!(matches!(content_size(&frame, 100), Err(ParseError::Frame(_))), "{what}");
        }
        assert_eq!(content_size(&[0x20, 0, 1, 0, 0], 100), Ok(0));
        assert!(matches!(content_size(&[0x20, 0, 1, 0, 0, 7], 100), Err(ParseError::Frame(_))));
        assert_eq!(content_size(&[0x20, 0, 0, 0, 0], 100), Err(ParseError::Truncated));
    }
}
