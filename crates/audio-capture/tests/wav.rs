//! WAV there and back, against an implementation that is not ours, and through every kind of damage.

use std::io::{self, Cursor, Read};

use nyx_audio_capture::wav::{OpenError, Reader, Writer, repair};
use nyx_audio_capture::{Encoding, Format, Melody, Source, source};
use proptest::prelude::*;

fn format(sample_rate: u32, channels: u32) -> Format {
    Format::new(sample_rate, channels).unwrap()
}

/// Everything that a source yields, pulled `frames` at a time, and why it ended.
fn drain(source: &mut impl Source, frames: usize) -> (Vec<u8>, Result<(), source::Error>) {
    let mut pcm = Vec::new();
    let mut expected_frame = 0;
    let frame_bytes = source.format().frame_bytes(source.encoding());
    loop {
        match source.next_block(frames) {
            Ok(Some(chunk)) => {
                assert_eq!(chunk.first_frame, expected_frame);
                assert_eq!(chunk.pcm.len(), chunk.frames * frame_bytes);
                assert!((1..=frames).contains(&chunk.frames));
                expected_frame += chunk.frames as u64;
                pcm.extend_from_slice(&chunk.pcm);
            }
            Ok(None) => return (pcm, Ok(())),
            Err(error) => {
                assert!(source.next_block(frames).unwrap().is_none(), "an error ends the source");
                return (pcm, Err(error));
            }
        }
    }
}

fn file(format: Format, encoding: Encoding, pcm: &[u8]) -> Vec<u8> {
    let mut writer = Writer::to_file(Cursor::new(Vec::new()), format, encoding).unwrap();
    writer.write(pcm).unwrap();
    writer.finish().unwrap().into_inner()
}

fn pipe(format: Format, encoding: Encoding, pcm: &[u8]) -> Vec<u8> {
    let mut writer = Writer::to_pipe(Vec::new(), format, encoding).unwrap();
    writer.write(pcm).unwrap();
    writer.finish().unwrap()
}

#[test]
fn a_melody_comes_back_sample_for_sample() {
    let mut melody = Melody::new();
    let pcm = melody.next_block(48_000).unwrap().unwrap().pcm;
    for wav in
        [file(melody.format(), melody.encoding(), &pcm), pipe(melody.format(), melody.encoding(), &pcm)]
    {
        let mut reader = Reader::open(&wav[..]).unwrap();
        let (back, end) = drain(&mut reader, 960);
        end.unwrap();
        assert_eq!(back, pcm);
    }
}

#[test]
fn an_independent_reader_agrees_with_the_writer() {
    let samples: Vec<i16> = (0..2_000).map(|n: i32| (n * 7_919) as i16).collect();
    let pcm: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let mut judge =
        hound::WavReader::new(Cursor::new(file(format(44_100, 2), Encoding::S16Le, &pcm))).unwrap();
    assert_eq!((judge.spec().sample_rate, judge.spec().channels, judge.duration()), (44_100, 2, 1_000));
    assert_eq!(judge.samples::<i16>().map(Result::unwrap).collect::<Vec<_>>(), samples);

    let samples: Vec<f32> = samples.iter().map(|sample| f32::from(*sample) / 3.0).collect();
    let pcm: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let mut judge =
        hound::WavReader::new(Cursor::new(file(format(96_000, 1), Encoding::F32Le, &pcm))).unwrap();
    assert_eq!(judge.spec().sample_format, hound::SampleFormat::Float);
    assert_eq!(judge.samples::<f32>().map(Result::unwrap).collect::<Vec<_>>(), samples);
}

#[test]
fn the_reader_agrees_with_an_independent_writer() {
    for (bits, full_scale) in [(8, 128.0), (24, 8_388_608.0), (32, 2_147_483_648.0)] {
        let spec = hound::WavSpec {
            channels: 3,
            sample_rate: 22_050,
            bits_per_sample: bits,
            sample_format: hound::SampleFormat::Int,
        };
        let samples: Vec<i32> = (-150..150).map(|n| ((f64::from(n) / 150.0) * full_scale) as i32).collect();
        let mut wav = Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut wav, spec).unwrap();
        samples.iter().for_each(|sample| writer.write_sample(*sample).unwrap());
        writer.finalize().unwrap();

        let mut reader = Reader::open(&wav.get_ref()[..]).unwrap();
        assert_eq!((reader.format(), reader.encoding()), (format(22_050, 3), Encoding::F32Le));
        assert_eq!(reader.frames_left(), Some(100));
        let (pcm, end) = drain(&mut reader, 7);
        end.unwrap();
        let back: Vec<f32> = pcm.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let expected: Vec<f32> =
            samples.iter().map(|sample| (f64::from(*sample) / full_scale) as f32).collect();
        assert_eq!(back, expected, "{bits} bits");
    }
}

#[test]
fn a_writer_that_dies_leaves_what_it_had_flushed() {
    let disk = tempfile::tempfile().unwrap();
    let mut writer = Writer::to_file(disk.try_clone().unwrap(), format(8_000, 1), Encoding::S16Le).unwrap();
    writer.write(&[1; 200]).unwrap();
    writer.flush().unwrap();
    writer.write(&[2; 100]).unwrap();
    std::mem::forget(writer);

    let mut reader = Reader::open(from_start(disk)).unwrap();
    let (pcm, end) = drain(&mut reader, 1_000);
    end.unwrap();
    assert_eq!(pcm, [1; 200]);
}

#[test]
fn a_file_is_as_long_as_its_header_says_also_where_its_samples_are_an_odd_number_of_bytes() {
    let path = tempfile::NamedTempFile::new().unwrap();
    let mut writer = Writer::to_file(path.reopen().unwrap(), format(8_000, 1), Encoding::S24Le).unwrap();
    let says = || {
        let file = std::fs::read(&path).unwrap();
        (u32::from_le_bytes([file[4], file[5], file[6], file[7]]) as usize + 8, file.len())
    };
    writer.write(&[1; 3]).unwrap();
    writer.flush().unwrap();
    assert_eq!(says(), (84, 84));
    writer.write(&[2; 6]).unwrap();
    writer.finish().unwrap();
    assert_eq!(says(), (90, 90));
    // It is whole, and goes on where its samples end.
    let repaired = repair(std::fs::File::options().read(true).write(true).open(&path).unwrap()).unwrap();
    assert_eq!((repaired.frames, repaired.recovered_frames, repaired.cut_bytes), (3, 0, 0));
    let mut writer = repaired.append().unwrap();
    writer.write(&[3; 3]).unwrap();
    writer.finish().unwrap();
    assert_eq!(says(), (92, 92));
    let samples: Vec<i32> =
        hound::WavReader::open(&path).unwrap().into_samples().map(Result::unwrap).collect();
    assert_eq!(samples, [0x01_01_01, 0x02_02_02, 0x02_02_02, 0x03_03_03]);
}

#[test]
fn a_file_without_samples_is_a_file() {
    for encoding in [Encoding::S16Le, Encoding::F32Le] {
        let wav = file(format(48_000, 2), encoding, &[]);
        let (pcm, end) = drain(&mut Reader::open(&wav[..]).unwrap(), 960);
        assert!(pcm.is_empty() && end.is_ok());
    }
}

#[test]
fn chunks_between_format_and_samples_are_skipped_with_their_padding() {
    let wav = file(format(8_000, 1), Encoding::S16Le, &[5; 10]);
    let mut odd = wav[..72].to_vec();
    odd.extend(b"LIST\x03\0\0\0abc\0");
    odd.extend(&wav[72..]);
    odd.extend(b"id3 what comes after the samples");
    let (pcm, end) = drain(&mut Reader::open(&odd[..]).unwrap(), 100);
    end.unwrap();
    assert_eq!(pcm, [5; 10]);
}

#[test]
fn a_cut_file_yields_all_its_whole_frames_and_then_says_so() {
    let pcm: Vec<u8> = (0..=255).collect();
    let wav = file(format(8_000, 2), Encoding::S16Le, &pcm);
    for len in 0..wav.len() {
        match Reader::open(&wav[..len]) {
            Err(error) => assert!(len < 80 && matches!(error, OpenError::Truncated), "{len}: {error}"),
            Ok(mut reader) => {
                let (back, end) = drain(&mut reader, 10);
                let frames = (len - 80) / 4;
                assert_eq!(back, pcm[..frames * 4]);
                assert!(
                    matches!(end, Err(source::Error::Truncated { frames: n }) if n == frames as u64),
                    "{len}"
                );
            }
        }
    }
}

#[test]
fn a_cut_pipe_ends_unless_it_was_cut_inside_a_frame() {
    let wav = pipe(format(8_000, 2), Encoding::S16Le, &[7; 400]);
    let (pcm, end) = drain(&mut Reader::open(&wav[..wav.len() - 200]).unwrap(), 10);
    assert!(pcm.len() == 200 && end.is_ok());
    let (pcm, end) = drain(&mut Reader::open(&wav[..wav.len() - 1]).unwrap(), 10);
    assert!(pcm.len() == 396 && matches!(end, Err(source::Error::Truncated { frames: 99 })));
}

#[test]
fn a_failing_input_gives_first_what_it_gave() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the cable is gone"))
        }
    }
    let wav = file(format(8_000, 1), Encoding::S16Le, &[9; 100]);
    let mut reader = Reader::open(wav[..120].chain(Broken)).unwrap();
    let (pcm, end) = drain(&mut reader, 1_000);
    assert_eq!(pcm, [9; 40]);
    let error = end.unwrap_err();
    assert!(matches!(error, source::Error::Io { frames: 20, .. }));
    assert!(error.to_string().contains("the cable is gone"), "{error}");
}

proptest! {
    #[test]
    fn any_samples_come_back_bit_for_bit(
        rate in 1_u32..=768_000,
        channels in 1_u32..=64,
        float in any::<bool>(),
        noise in prop::collection::vec(any::<u8>(), 0..4_096),
        writes in 1_usize..5,
        frames in 1_usize..200,
    ) {
        let encoding = if float { Encoding::F32Le } else { Encoding::S16Le };
        let format = format(rate, channels);
        let frame_bytes = format.frame_bytes(encoding);
        let pcm = &noise[..noise.len() / frame_bytes * frame_bytes];
        let mut writer = Writer::to_file(Cursor::new(Vec::new()), format, encoding).unwrap();
        for part in pcm.chunks(frame_bytes * writes) {
            writer.write(part).unwrap();
            writer.flush().unwrap();
        }
        for wav in [writer.finish().unwrap().into_inner(), pipe(format, encoding, pcm)] {
            let mut reader = Reader::open(&wav[..]).unwrap();
            prop_assert_eq!((reader.format(), reader.encoding()), (format, encoding));
            let (back, end) = drain(&mut reader, frames);
            prop_assert!(end.is_ok());
            prop_assert_eq!(&back[..], pcm);
        }
    }

    #[test]
    fn no_bytes_panic_or_hang(mut wav in prop::collection::vec(any::<u8>(), 0..300), damage in any::<bool>()) {
        if damage {
            let mut whole = file(format(8_000, 2), Encoding::F32Le, &[3; 80]);
            for (at, byte) in wav.iter().enumerate().step_by(7) {
                let len = whole.len();
                whole[(at * 31 + usize::from(*byte)) % len] = *byte;
            }
            wav = whole;
        }
        if let Ok(mut reader) = Reader::open(&wav[..]) {
            let (pcm, _) = drain(&mut reader, 64);
            prop_assert!(pcm.len() <= 4 * wav.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever a header claims: what is repaired can be read, as many frames as it says, and is not repaired again.
    #[test]
    fn a_header_that_lies_is_repaired_once_or_refused(
        is_long in any::<bool>(),
        lies in prop::collection::vec((0usize..100, any::<u8>()), 0..4),
        unknown in any::<bool>(),
        samples in 0usize..100,
        behind in 0usize..12,
    ) {
        let mut wav = file(format(8_000, 2), Encoding::S16Le, &vec![3; samples * 4]);
        wav.extend(std::iter::repeat_n(b'x', behind));
        if is_long {
            wav[..4].copy_from_slice(b"RF64");
            wav[12..16].copy_from_slice(b"ds64");
        }
        let data_at = wav.windows(4).position(|tag| tag == b"data").unwrap() + 8;
        if unknown {
            wav[data_at - 4..data_at].fill(0xff);
        }
        for (at, byte) in lies {
            let len = wav.len();
            wav[at % len] = byte;
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, &wav).unwrap();
        let open = || std::fs::File::options().read(true).write(true).open(&file).unwrap();
        if let Ok(repaired) = repair(open()) {
            let frames = repaired.frames;
            let again = repair(open()).unwrap();
            prop_assert_eq!((again.frames, again.recovered_frames, again.cut_bytes), (frames, 0, 0));
            let mut reader = Reader::open(open()).unwrap();
            let frame_bytes = reader.format().frame_bytes(reader.encoding());
            let (pcm, end) = drain(&mut reader, 64);
            prop_assert!(end.is_ok());
            prop_assert_eq!(pcm.len() as u64 / frame_bytes as u64, frames);
        }
    }
}

fn from_start(mut file: std::fs::File) -> std::fs::File {
    io::Seek::rewind(&mut file).unwrap();
    file
}
