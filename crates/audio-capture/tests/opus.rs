//! Opus: a tone survives it, and what is no Opus does no harm.
#![cfg(feature = "opus")]

use nyx_audio_capture::Format;
use nyx_audio_capture::opus::{Decoder, Encoder, OpusError};
use nyx_core::Bitrate;
use proptest::prelude::*;

const RATE: Bitrate = Bitrate::from_bits_per_second(96_000);

fn format(channels: u32) -> Format {
    Format::new(48_000, channels).unwrap()
}

/// So many chunks of 10 ms of a tone of half of full scale.
fn tone(channels: u32, chunks: usize) -> Vec<Vec<f32>> {
    let step = 440.0 * std::f32::consts::TAU / 48_000.0;
    let chunk = |number: usize| {
        let frames = (number * 480)..(number + 1) * 480;
        frames.flat_map(|frame| (0..channels).map(move |_| 0.5 * (frame as f32 * step).sin())).collect()
    };
    (0..chunks).map(chunk).collect()
}

#[test]
fn a_tone_comes_back_with_the_delay_that_is_told() {
    for channels in [1, 2] {
        let mut encoder = Encoder::new(format(channels), 480, RATE).unwrap();
        let mut decoder = Decoder::new(format(channels)).unwrap();
        let (mut decoded, mut bytes) = (Vec::new(), 0);
        let chunks = tone(channels, 100);
        for chunk in &chunks {
            let packet = encoder.encode(chunk).unwrap();
            bytes += packet.len();
            assert_eq!(decoder.decode(&packet, &mut decoded).unwrap(), 480);
        }
        assert!(bytes < 20_000, "96 kbit/s for a second: {bytes}");
        let delay = format(channels).frames_in(encoder.delay()) as usize * channels as usize;
        let whole = chunks.concat();
        let pairs = decoded[delay..].iter().zip(&whole).skip(9_600);
        let worst = pairs.map(|(decoded, sample)| (decoded - sample).abs()).fold(0.0, f32::max);
        assert!(worst < 0.05, "{worst}");
    }
}

#[test]
fn a_chunk_that_is_too_short_is_a_whole_packet() {
    let mut encoder = Encoder::new(format(2), 480, RATE).unwrap();
    let mut decoder = Decoder::new(format(2)).unwrap();
    let mut samples = Vec::new();
    for frames in [480, 100, 0] {
        let packet = encoder.encode(&vec![0.1; frames * 2]).unwrap();
        assert_eq!(decoder.decode(&packet, &mut samples).unwrap(), 480);
    }
}

#[test]
fn what_opus_has_not_is_refused() {
    let wrong = Format::new(44_100, 2).unwrap();
    assert_eq!(Encoder::new(wrong, 441, RATE).unwrap_err(), OpusError::Format(wrong));
    assert_eq!(Decoder::new(format(3)).unwrap_err(), OpusError::Format(format(3)));
    let error = Encoder::new(format(1), 500, RATE).unwrap_err();
    assert!(matches!(error, OpusError::Frames { frames: 500, .. }), "{error}");
    let slow = Bitrate::from_bits_per_second(1_000);
    assert_eq!(Encoder::new(format(1), 480, slow).unwrap_err(), OpusError::Bitrate(slow));
    let mut samples = Vec::new();
    let error = Decoder::new(format(1)).unwrap().decode(&[], &mut samples).unwrap_err();
    assert!(matches!(error, OpusError::Packet(_)), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn no_packet_makes_a_decoder_panic(
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..6),
        channels in 1_u32..=2,
    ) {
        let mut decoder = Decoder::new(format(channels)).unwrap();
        let mut samples = Vec::new();
        for packet in &packets {
            let before = samples.len();
            let frames = decoder.decode(packet, &mut samples).unwrap_or(0);
            prop_assert!(frames <= 5_760 && samples.len() == before + frames * channels as usize);
        }
    }

    #[test]
    fn nor_does_one_that_was_damaged(at in 0_usize..100, byte in any::<u8>(), chunks in 2_usize..6) {
        let mut encoder = Encoder::new(format(2), 480, RATE).unwrap();
        let mut decoder = Decoder::new(format(2)).unwrap();
        let mut samples = Vec::new();
        for chunk in tone(2, chunks) {
            let mut packet = encoder.encode(&chunk).unwrap();
            let len = packet.len();
            packet[at % len] ^= byte;
            let _ = decoder.decode(&packet, &mut samples);
        }
        prop_assert!(samples.len() <= chunks * 2 * 5_760);
    }
}
