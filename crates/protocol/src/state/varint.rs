//! Unsigned LEB128 and the zigzag mapping.

use bytes::{BufMut, BytesMut};

/// Appends `n`, seven bits a byte, the lowest first.
pub(super) fn put(out: &mut BytesMut, mut n: u64) {
    if n < 0x80 {
        return out.put_u8(n as u8);
    }
    let mut bytes = [0; BYTES_MAX];
    let mut len = 0;
    while n >= 0x80 {
        bytes[len] = n as u8 | 0x80;
        n >>= 7;
        len += 1;
    }
    bytes[len] = n as u8;
    out.put_slice(&bytes[..=len]);
}

/// The bytes that [`put`] takes for `n`.
pub(super) const fn len(n: u64) -> usize {
    (64 - (n | 1).leading_zeros() as usize).div_ceil(7)
}

/// Reads one varint off the front of `bytes`. `None` when it is cut off or exceeds 64 bits.
pub(super) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut n = 0;
    for (i, &byte) in bytes.iter().take(BYTES_MAX).enumerate() {
        if i == BYTES_MAX - 1 && byte > 1 {
            return None;
        }
        n |= u64::from(byte & 0x7F) << (7 * i);
        if byte < 0x80 {
            *bytes = &bytes[i + 1..];
            return Some(n);
        }
    }
    None
}

/// Maps integers near zero, of either sign, to small numbers.
pub(super) const fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

/// The inverse of [`zigzag`].
pub(super) const fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

/// 64 bits in groups of seven.
const BYTES_MAX: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_at_every_width() {
        for n in (0..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, (1 << bit) + 1]).chain([u64::MAX]) {
            let mut out = BytesMut::new();
            put(&mut out, n);
            assert_eq!(out.len(), len(n), "{n}");
            let mut rest = &out[..];
            assert_eq!((take(&mut rest), rest.len()), (Some(n), 0));
            assert_eq!(zigzag(unzigzag(n)), n);
        }
    }

    #[test]
    fn refuses_what_is_cut_off_or_over_64_bits() {
        for bytes in [&[][..], &[0x80], &[0xFF; 9], &[0xFF; 11]] {
            assert_eq!(take(&mut &bytes[..]), None);
        }
        let mut over = [0xFF; 10];
        over[9] = 2;
        assert_eq!(take(&mut &over[..]), None);
    }
}
