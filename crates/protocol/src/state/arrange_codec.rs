//! Orders as bytes, the same in patches and in deltas.

use bytes::BytesMut;

use super::arrange::Piece;
use super::reader::{DecodeError, Reader};
use super::varint;

/// Appends the pieces. Their count stands in front, and what is new follows, in order.
pub(super) fn put_pieces(out: &mut BytesMut, pieces: &[Piece]) {
    let mut expected = 0;
    for piece in pieces {
        match *piece {
            Piece::Kept { from, len } => {
                varint::put(out, (len as u64) << 1);
                varint::put(out, varint::zigzag(from as i64 - expected));
                expected = (from + len) as i64;
            }
            Piece::New { len } => varint::put(out, (len as u64) << 1 | 1),
        }
    }
}

/// Reads `count` pieces, and tells how many elements are new. Whether those that are kept exist is the list's business.
pub(super) fn read_pieces(reader: &mut Reader<'_>, count: usize) -> Result<(Vec<Piece>, usize), DecodeError> {
    let mut pieces = Vec::new();
    let mut expected = 0_i64;
    let mut fresh = 0;
    for _ in 0..count {
        reader.charge()?;
        let head = reader.varint()?;
        let is_new = head & 1 == 1;
        // A piece that is new and empty stands alone where the list becomes empty.
        let len = i64::try_from(head >> 1).ok().filter(|&len| (len > 0 || is_new) && len < LEN_END);
        let len = len.ok_or(DecodeError::Piece)?;
        if is_new {
            fresh += len as usize;
            reader.expect(fresh)?;
            pieces.push(Piece::New { len: len as usize });
            continue;
        }
        let from = expected.checked_add(varint::unzigzag(reader.varint()?));
        let from = from.filter(|from| (0..LEN_END).contains(from)).ok_or(DecodeError::Piece)?;
        expected = from + len;
        pieces.push(Piece::Kept { from: from as usize, len: len as usize });
    }
    Ok((pieces, fresh))
}

/// No list is so long; sums of two such numbers do not overflow, on machines of 32 bits neither.
const LEN_END: i64 = 1 << 30;
