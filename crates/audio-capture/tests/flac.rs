//! FLAC recordings, read back by a decoder that is not ours.
#![cfg(feature = "flac")]

mod script;

use std::fs;
use std::io::Cursor;
use std::path::Path;

use nyx_audio_capture::capture::Config;
use nyx_audio_capture::record::{self, Container, CreateError, Recorder};
use nyx_audio_capture::{Capture, Encoding, Format, Melody, Source as _, flac};
use proptest::prelude::*;
use script::{Step, drain, script};

fn mono() -> Format {
    Format::new(48_000, 1).unwrap()
}

fn config(encoding: Encoding) -> record::Config {
    let mut config = record::Config::default();
    (config.container, config.encoding) = (Container::Flac, encoding);
    config
}

/// All samples of a file, interleaved, and whether it ended as its header says.
fn samples(file: &[u8]) -> (Vec<i32>, bool) {
    let mut reader = claxon::FlacReader::new(Cursor::new(file)).expect("a FLAC file");
    let known = reader.streaminfo().samples;
    let channels = u64::from(reader.streaminfo().channels);
    let mut samples = Vec::new();
    for sample in reader.samples() {
        match sample {
            Ok(sample) => samples.push(sample),
            Err(_) => return (samples, false),
        }
    }
    let is_whole = known.is_none_or(|known| known * channels == samples.len() as u64);
    (samples, is_whole)
}

fn s16(samples: &[i32]) -> Vec<u8> {
    samples.iter().flat_map(|sample| (*sample as i16).to_le_bytes()).collect()
}

#[test]
fn a_melody_comes_back_bit_by_bit_in_half_the_bytes() {
    let mut melody = Melody::new();
    let mut writer = flac::Writer::new(Cursor::new(Vec::new()), melody.format(), melody.encoding()).unwrap();
    let mut pcm = Vec::new();
    while pcm.len() < 100_000 * 4 {
        let block = melody.next_block(480).unwrap().expect("a melody without end");
        writer.write(&block.pcm).unwrap();
        pcm.extend_from_slice(&block.pcm);
    }
    writer.finish().unwrap();
    assert_eq!(writer.frames(), pcm.len() as u64 / 4);
    assert!(writer.write(&pcm[..4]).is_err(), "it is finished");
    let file = writer.into_output().into_inner();
    assert!(file.len() * 2 < pcm.len(), "{} of {}", file.len(), pcm.len());
    let (samples, is_whole) = samples(&file);
    assert!(is_whole && s16(&samples) == pcm);
}

#[test]
fn a_recording_has_silence_where_something_is_missing() {
    let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    let (steps, input) = script(mono(), 0);
    let mut capture = Config::default();
    capture.skip_silence = true;
    let (_capture, mut reader) = Capture::start(input, capture).unwrap();
    for step in [Step::Frames(700), Step::Silence(96_000), Step::Frames(500), Step::End] {
        steps.send(step).unwrap();
    }
    let mut recorder = Recorder::create(&path, mono(), config(Encoding::S24Le)).unwrap();
    for chunk in drain(&mut reader) {
        recorder.write(&chunk).unwrap();
    }
    assert_eq!(recorder.finish().unwrap(), 97_200);
    let (samples, is_whole) = samples(&fs::read(&path).unwrap());
    assert!(is_whole);
    // A ramp from -0.5 on, in steps of the 16th bit.
    let ramp = |frame: i32| (frame << 8) - (1 << 22);
    assert_eq!((samples.len(), samples[0], samples[699]), (97_200, ramp(0), ramp(699)));
    assert!(samples[700..96_700].iter().all(|sample| *sample == 0));
    assert_eq!(samples[97_199], ramp(1_199));
}

#[test]
fn what_was_killed_is_readable_up_to_its_last_block() {
    let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    let (steps, input) = script(mono(), 0);
    let (_capture, mut reader) = Capture::start(input, Config::default()).unwrap();
    steps.send(Step::Frames(48_000)).unwrap();
    steps.send(Step::End).unwrap();
    let mut recorder = Recorder::create(&path, mono(), config(Encoding::S16Le)).unwrap();
    for chunk in drain(&mut reader) {
        recorder.write(&chunk).unwrap();
    }
    recorder.flush().unwrap();
    // What it would still do at its end is not done.
    std::mem::forget(recorder);
    let (found, is_whole) = samples(&fs::read(&path).unwrap());
    assert_eq!((found.len(), is_whole), (48_000 / 4_096 * 4_096, true));
    assert_eq!(found[40_000], (40_000 % 32_768) - (1 << 14));
    let error = Recorder::append(&path, mono(), config(Encoding::S16Le)).unwrap_err();
    assert!(matches!(error, CreateError::Continue { .. }), "{error}");
}

#[test]
fn what_flac_has_not_is_refused_and_the_file_that_is_there_stays() {
    let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    fs::write(&path, b"what was recorded before").unwrap();
    let refused = |format, encoding| {
        let error = Recorder::create(&path, format, config(encoding)).unwrap_err();
        assert!(matches!(error, CreateError::Flac { .. }) && error.to_string().contains("WAV"), "{error}");
    };
    refused(mono(), Encoding::F32Le);
    refused(Format::new(48_000, 9).unwrap(), Encoding::S16Le);
    refused(Format::new(192_000, 2).unwrap(), Encoding::S16Le);
    assert_eq!(fs::read(&path).unwrap(), b"what was recorded before");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_the_recording_with_a_reason() {
    let created = Recorder::create(Path::new("/dev/full"), mono(), config(Encoding::S16Le));
    let error = created.expect_err("nothing fits").to_string();
    assert!(error.contains("/dev/full") && error.contains("No space left"), "{error}");
}

/// An output that takes so many bytes and no more, but lets what is there be written over.
#[derive(Debug)]
struct Small {
    bytes: Cursor<Vec<u8>>,
    room: u64,
}

impl std::io::Write for Small {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let left = self.room.saturating_sub(self.bytes.position()).min(bytes.len() as u64) as usize;
        if left == 0 {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.bytes.write(&bytes[..left])
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl std::io::Seek for Small {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.bytes.seek(to)
    }
}

#[test]
fn an_output_that_is_full_keeps_its_whole_blocks_and_says_how_many() {
    let mut melody = Melody::new();
    let output = Small { bytes: Cursor::default(), room: 40_000 };
    let mut writer = flac::Writer::new(output, melody.format(), melody.encoding()).unwrap();
    let mut pcm = Vec::new();
    let failed = loop {
        let block = melody.next_block(4_096).unwrap().expect("a melody without end");
        pcm.extend_from_slice(&block.pcm);
        match writer.write(&block.pcm) {
            Ok(()) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(failed.kind(), std::io::ErrorKind::StorageFull);
    writer.amend().unwrap();
    let (frames, bytes) = (writer.whole_frames(), writer.whole_bytes());
    let file = writer.into_output().bytes.into_inner();
    let (samples, is_whole) = samples(&file[..bytes as usize]);
    assert!(is_whole && frames > 0 && samples.len() as u64 == frames * 2);
    assert_eq!(s16(&samples), pcm[..samples.len() * 2]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_samples_come_back(
        seed in any::<u32>(),
        frames in 0_usize..5_000,
        pieces in 1_usize..2_000,
        channels in 1_u32..=8,
        deep in any::<bool>(),
    ) {
        let format = Format::new(44_100, channels).unwrap();
        let encoding = if deep { Encoding::S24Le } else { Encoding::S16Le };
        let width = encoding.sample_bytes();
        let mut state = seed;
        let shift = seed % 9;
        let pcm: Vec<u8> = (0..frames * channels as usize).flat_map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let sample = if deep { state as i32 >> 8 } else { state as i32 >> 16 } >> shift;
            sample.to_le_bytes().into_iter().take(width)
        }).collect();
        let mut writer = flac::Writer::new(Cursor::new(Vec::new()), format, encoding).unwrap();
        for piece in pcm.chunks(pieces * format.frame_bytes(encoding)) {
            writer.write(piece).unwrap();
        }
        writer.finish().unwrap();
        let (samples, is_whole) = samples(&writer.into_output().into_inner());
        let back: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes().into_iter().take(width)).collect();
        prop_assert!(is_whole && back == pcm);
    }
}
