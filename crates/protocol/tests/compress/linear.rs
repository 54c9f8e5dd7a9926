//! Sound as blocks: it comes back bit by bit, gets smaller, and nothing that a peer makes up does harm.

#![expect(clippy::unusual_byte_groupings, reason = "the bits of a field stand together")]

use nyx_protocol::compress::linear::{CHANNELS_MAX, Coder, FRAMES_MAX, Shape};
use nyx_protocol::compress::{
    Block, Compressor, DecompressError, Decompressor, Encoding, Method, ParseError, Reference,
};
use nyx_protocol::wire::codec;
use proptest::prelude::*;

fn s16(channels: u32) -> Shape {
    Shape::new(codec::AUDIO_S16LE, channels).unwrap()
}

fn f32(channels: u32) -> Shape {
    Shape::new(codec::AUDIO_F32LE, channels).unwrap()
}

fn pack(pcm: &[u8], shape: Shape) -> Vec<u8> {
    Compressor::new().compress(pcm, Method::Linear(shape)).to_vec()
}

fn unpack(block: &[u8], limit: usize) -> Vec<u8> {
    let block = Block::parse(block, limit).unwrap();
    let mut content = Vec::new();
    Decompressor::new().decompress(&block, Reference::None, &mut content).unwrap();
    content
}

/// Bytes of a block, which was found to come back.
fn packed(pcm: &[u8], shape: Shape) -> usize {
    let block = pack(pcm, shape);
    assert_eq!(unpack(&block, pcm.len()), pcm);
    block.len()
}

fn bytes_of_ints(samples: impl IntoIterator<Item = i16>) -> Vec<u8> {
    samples.into_iter().flat_map(i16::to_le_bytes).collect()
}

fn bytes_of_floats(samples: impl IntoIterator<Item = f32>) -> Vec<u8> {
    samples.into_iter().flat_map(f32::to_le_bytes).collect()
}

/// A chunk of 10 ms of two tones, left and right the second one louder.
fn chord(frames: usize) -> Vec<i16> {
    let tone = |frame: usize, hertz: f64| (frame as f64 * hertz * std::f64::consts::TAU / 48_000.0).sin();
    let sample =
        |frame, gain: f64| (9_000.0 * tone(frame, 440.0) + gain * tone(frame, 1_320.0)).round() as i16;
    (0..frames).flat_map(|frame| [sample(frame, 3_000.0), sample(frame, 5_000.0)]).collect()
}

#[test]
fn a_chunk_of_music_gets_smaller_and_silence_vanishes() {
    let music = bytes_of_ints(chord(480));
    let size = packed(&music, s16(2));
    assert!(size * 2 < music.len(), "{size} of {}", music.len());
    assert!(packed(&[0; 1_920], s16(2)) < 16);
    // What is the same in both channels is told once.
    let mono: Vec<_> = chord(480).into_iter().step_by(2).collect();
    let twice = bytes_of_ints(mono.iter().flat_map(|sample| [*sample; 2]));
    assert!(packed(&twice, s16(2)) < packed(&bytes_of_ints(mono), s16(1)) + 16);
}

#[test]
fn floats_that_were_integers_once_are_packed_as_such() {
    let ints = chord(480);
    let floats = bytes_of_floats(ints.iter().map(|sample| f32::from(*sample) / 32_768.0));
    assert!(packed(&floats, f32(2)) <= packed(&bytes_of_ints(ints), s16(2)) + 1);
    let deep = (0..480).map(|at| ((at * at * 7) % 16_777_216 - 8_388_608) as f32 / 8_388_608.0);
    let deep = bytes_of_floats(deep);
    assert!(packed(&deep, f32(1)) < deep.len());
}

#[test]
fn what_can_not_be_packed_is_stored() {
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as i16
    };
    let noise = bytes_of_ints((0..960).map(|_| noise()));
    assert_eq!(packed(&noise, s16(2)), noise.len() + 1);
    for odd in [-0.0, f32::NAN, f32::INFINITY, 1.0e-40, 0.1 / 3.0, 3.0e9] {
        let mut floats = bytes_of_floats([0.0; 100]);
        floats.extend(odd.to_le_bytes());
        assert_eq!(packed(&floats, f32(1)), floats.len() + 1, "{odd}");
    }
    // No whole number of frames, and too many of them.
    assert_eq!(packed(&[0; 101], s16(1)), 102);
    assert_eq!(packed(&vec![0; 2 * (FRAMES_MAX + 1)], s16(1)), 2 * FRAMES_MAX + 3);
    assert!(packed(&vec![0; 2 * FRAMES_MAX], s16(1)) < 400);
    assert_eq!(Shape::new(codec::AUDIO_S16LE, 0), None);
    assert_eq!(Shape::new(codec::AUDIO_S16LE, u32::from(CHANNELS_MAX) + 1), None);
    assert_eq!(Shape::new(3, 1), None);
    // And who packs without a block around it is told.
    let (mut coder, mut body) = (Coder::default(), vec![7]);
    assert!(!coder.encode(&[0; 101], s16(1), &mut body) && body == [7]);
    assert!(coder.encode(&[0; 100], s16(1), &mut body) && body.len() > 1);
}

#[test]
fn the_bytes_are_those_of_the_specification() {
    let pcm = bytes_of_ints([100, 100, 102, 102, 104, 104, 106, 106, 108, 108, 111, 111]);
    let block = pack(&pcm, s16(2));
    let expected = [
        0x04,
        2,
        6,
        0, // linear, two channels, six frames, 16 bits
        // Alone, order 2, of 8 bits each: 200 and 4; k = 0: 0, 0, 0, 2.
        0b0_010_0011,
        0b1_1100_100,
        0b0_0000_010,
        0b0_00000_11,
        0b1_001_1_000, // Then as the channel before: 0 throughout.
        0b11111_000,
    ];
    assert_eq!(block, expected);
    assert_eq!(unpack(&expected, 24), pcm);
}

#[test]
fn claims_are_checked_before_anything_is_allocated() {
    let parse = |bytes: &[u8], limit| Block::parse(bytes, limit).map(|block| block.content_len());
    assert_eq!(parse(&[4, 2, 1, 0, 0xF0], 4), Ok(4));
    assert_eq!(parse(&[4, 2, 1, 0, 0xF0], 3), Err(ParseError::TooLarge { size: 4, limit: 3 }));
    assert_eq!(parse(&[4, 0, 1, 0, 0], 100), Err(ParseError::Sound("its number of channels")));
    assert_eq!(parse(&[4, 33, 1, 0, 0], 100), Err(ParseError::Sound("its number of channels")));
    assert_eq!(parse(&[4, 1, 0, 0, 0], 100), Err(ParseError::Sound("its number of frames")));
    assert_eq!(parse(&[4, 1, 1, 25, 0], 100), Err(ParseError::Sound("its scale")));
    assert_eq!(parse(&[4, 1, 0x80, 0x80, 4, 0, 0], 1 << 20), Err(ParseError::Truncated));
    assert_eq!(parse(&[4, 1], 100), Err(ParseError::Number));
    assert_eq!(parse(&[0x44, 1, 1, 1, 0, 0], 100), Err(ParseError::Items));
}

#[test]
fn what_is_cut_off_or_goes_on_is_corrupt() {
    let pcm = bytes_of_ints(chord(100));
    let block = pack(&pcm, s16(2));
    let outcome = |bytes: &[u8]| {
        let block = Block::parse(bytes, pcm.len()).unwrap();
        let mut content = Vec::new();
        let outcome = Decompressor::new().decompress(&block, Reference::None, &mut content);
        assert!(outcome.is_ok() || content.is_empty());
        outcome
    };
    assert_eq!(outcome(&block), Ok(()));
    assert_eq!(outcome(&block[..block.len() - 2]), Err(DecompressError::Corrupt));
    assert_eq!(outcome(&[&block[..], &[0]].concat()), Err(DecompressError::Corrupt));
    // An order that is none, and the first channel as the one before it.
    assert_eq!(outcome(&[4, 1, 1, 0, 0b0_111_0000, 0]), Err(DecompressError::Corrupt));
    assert_eq!(outcome(&[4, 1, 1, 0, 0b1_000_1111, 0x80]), Err(DecompressError::Corrupt));
    // 40,000 is no sample of 16 bits: k = 15, one zero and a one, and the rest of 80,000.
    assert_eq!(
        outcome(&[4, 1, 1, 0, 0b0_000_0111, 0b1_001_0011, 0b1000_1000, 0, 0]),
        Err(DecompressError::Corrupt)
    );
}

proptest! {
    #[test]
    fn any_samples_come_back(
        samples in prop::collection::vec(any::<i16>(), 0..700),
        shift in 0_u32..16,
        walk in any::<bool>(),
        channels in 1_u32..=4,
        deep in any::<bool>(),
    ) {
        let mut at = 0_i16;
        let samples: Vec<i16> = samples.iter().map(|sample| {
            at = if walk { at.wrapping_add(sample >> shift) } else { sample >> shift };
            at
        }).collect();
        packed(&bytes_of_ints(samples.iter().copied()), s16(channels));
        let scale = if deep { 8_388_608.0 } else { 32_768.0 };
        packed(&bytes_of_floats(samples.iter().map(|sample| f32::from(*sample) / scale)), f32(channels));
    }

    #[test]
    fn any_bytes_as_floats_come_back(pcm in prop::collection::vec(any::<u8>(), 0..400), channels in 1_u32..=3) {
        packed(&pcm, f32(channels));
        packed(&pcm, s16(channels));
    }

    #[test]
    fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 1..200), tail in any::<bool>()) {
        bytes[0] = 4;
        if tail && bytes.len() > 3 {
            bytes[1] = bytes[1] % 3 + 1;
            bytes[2] &= 0x7F;
            bytes[3] %= 25;
        }
        if let Ok(block) = Block::parse(&bytes, 64 * 1024) {
            prop_assert_eq!(block.encoding(), Encoding::Linear);
            let mut content = Vec::new();
            let outcome = Decompressor::new().decompress(&block, Reference::None, &mut content);
            prop_assert_eq!(content.len(), if outcome.is_ok() { block.content_len() } else { 0 });
        }
    }
}
