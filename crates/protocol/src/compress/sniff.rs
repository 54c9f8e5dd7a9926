//! Telling what is compressed already, for much less than it costs to try.

/// The format that `payload` begins with, where that is one whose content is compressed.
///
/// ```
/// use nyx_protocol::compress::sniff;
///
/// assert_eq!(sniff::format(b"\x89PNG\r\n\x1a\n and so on"), Some("PNG"));
/// assert_eq!(sniff::format(b"{\"a\":1}"), None);
/// ```
pub fn format(payload: &[u8]) -> Option<&'static str> {
    let first = payload.first_chunk::<12>()?;
    let known = match *first {
        [0xFF, 0xD8, 0xFF, ..] => "JPEG",
        [0x89, b'P', b'N', b'G', ..] => "PNG",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P'] => "WebP",
        [b'G', b'I', b'F', b'8', ..] => "GIF",
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => "MP4, AVIF or HEIC",
        [0x1A, 0x45, 0xDF, 0xA3, ..] => "Matroska or WebM",
        [b'O', b'g', b'g', b'S', ..] => "Ogg",
        [b'f', b'L', b'a', b'C', ..] => "FLAC",
        [0x28, 0xB5, 0x2F, 0xFD, ..] => "zstd",
        [0x1F, 0x8B, 8, ..] => "gzip",
        [0x04, 0x22, 0x4D, 0x18, ..] => "LZ4",
        [0xFD, b'7', b'z', b'X', b'Z', 0, ..] => "xz",
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..] => "bzip2",
        [b'P', b'K', 3, 4, ..] => "ZIP",
        [b'w', b'O', b'F', b'2', ..] => "WOFF2",
        _ => return None,
    };
    Some(known)
}

/// Whether the bytes of `payload` are about equally frequent, as those of compressed and encrypted data are.
///
/// Estimated from 512 bytes spread over the payload, by how many pairs of them are equal (the collision entropy): one in 256
/// of random bytes, one in 20 of text. False for less than 512 bytes. Data that repeats long random pieces is misjudged.
pub fn looks_random(payload: &[u8]) -> bool {
    if payload.len() < SAMPLE {
        return false;
    }
    let stride = (payload.len() - PIECE) / (SAMPLE / PIECE - 1);
    let mut counts = [0u16; 256];
    for piece in 0..SAMPLE / PIECE {
        let start = piece * stride;
        for &byte in &payload[start..start + PIECE] {
            counts[usize::from(byte)] += 1;
        }
    }
    let pairs: u32 = counts.iter().map(|&n| u32::from(n) * u32::from(n.saturating_sub(1))).sum();
    pairs < PAIRS_MAX
}

const SAMPLE: usize = 512;
const PIECE: usize = 32;

/// Of 512 random bytes 1,022 ordered pairs are equal, with a standard deviation of 45. This bound is 6 of them above,
/// and equals 7.64 bits a byte: Huffman coding could save 4.5 %.
const PAIRS_MAX: u32 = 1_308;

#[cfg(test)]
mod tests {
    use super::*;

    fn random(len: usize) -> Vec<u8> {
        let mut state = 1u64;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        std::iter::repeat_with(next).take(len).collect()
    }

    #[test]
    fn random_bytes_look_random_at_every_length() {
        let bytes = random(50_000);
        for len in [512, 513, 543, 544, 1000, 4096, 46_000] {
            assert!(looks_random(&bytes[..len]), "{len}");
        }
        assert!(!looks_random(&bytes[..511]));
    }

    #[test]
    fn text_numbers_and_base64_do_not() {
        let text = "the quick brown fox jumps over the lazy dog; ".repeat(50);
        assert!(!looks_random(text.as_bytes()));
        let floats: Vec<u8> = (0..500).flat_map(|n| (n as f32 * 0.37).sin().to_le_bytes()).collect();
        assert!(!looks_random(&floats));
        let base64: Vec<u8> = random(4096).iter().map(|byte| b'0' + byte % 64).collect();
        assert!(!looks_random(&base64));
    }
}
