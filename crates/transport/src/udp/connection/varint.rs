//! Integers of one to eight bytes (RFC 9000, section 16).

/// The largest that can be written.
pub(super) const MAX: u64 = (1 << 62) - 1;

/// Appends a number; one that is too large is written as the largest.
pub(super) fn put(out: &mut Vec<u8>, value: u64) {
    match value {
        0..=0x3F => out.push(value as u8),
        0x40..=0x3FFF => out.extend_from_slice(&(value as u16 | 0x4000).to_be_bytes()),
        0x4000..=0x3FFF_FFFF => out.extend_from_slice(&(value as u32 | 0x8000_0000).to_be_bytes()),
        _ => out.extend_from_slice(&(value.min(MAX) | 0xC000_0000_0000_0000).to_be_bytes()),
    }
}

/// Takes a number off the front; `None` if there is none.
pub(super) fn take(input: &mut &[u8]) -> Option<u64> {
    let first = *input.first()?;
    let length = 1usize << (first >> 6);
    let (bytes, rest) = input.split_at_checked(length)?;
    *input = rest;
    let head = u64::from(first & 0x3F);
    Some(bytes[1..].iter().fold(head, |value, byte| value << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        for (bytes, value) in [
            (&[0xC2, 0x19, 0x7C, 0x5E, 0xFF, 0x14, 0xE8, 0x8C][..], 151_288_809_941_952_652),
            (&[0x9D, 0x7F, 0x3E, 0x7D], 494_878_333),
            (&[0x7B, 0xBD], 15_293),
            (&[0x25], 37),
            (&[0x40, 0x25], 37),
        ] {
            assert_eq!(take(&mut &*bytes), Some(value));
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(value in 0..=MAX, behind: [u8; 2]) {
            let mut out = Vec::new();
            put(&mut out, value);
            let whole = out.len();
            prop_assert_eq!(take(&mut &out[..whole - 1]), None);
            out.extend(behind);
            let mut input = &out[..];
            prop_assert_eq!(take(&mut input), Some(value));
            prop_assert_eq!(input, &behind[..]);
        }
    }
}
