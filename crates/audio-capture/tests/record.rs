//! Recordings: what is missing becomes silence, what was killed is repaired, what does not fit is kept up to there.

mod script;

use std::fs::{self, File};
use std::path::Path;

use nyx_audio_capture::capture::Config;
use nyx_audio_capture::record::{self, CreateError, Recorder};
use nyx_audio_capture::{Capture, Encoding, Format, Source as _, pcm, wav};
use proptest::prelude::*;
use script::{Step, drain, script};

fn mono() -> Format {
    Format::new(48_000, 1).unwrap()
}

fn as_encoding(encoding: Encoding) -> record::Config {
    let mut config = record::Config::default();
    config.encoding = encoding;
    config
}

/// All samples of a file, and how its reading ended.
fn samples(path: &Path) -> Vec<f32> {
    let mut reader = wav::Reader::open(File::open(path).unwrap()).unwrap();
    let mut samples = Vec::new();
    while let Some(block) = reader.next_block(4_800).unwrap() {
        pcm::decode(reader.encoding(), &block.pcm, &mut samples);
    }
    samples
}

#[test]
fn what_was_left_out_is_silence_of_the_same_length() {
    let folder = tempfile::tempdir().unwrap();
    for (index, encoding) in [Encoding::S16Le, Encoding::S24Le, Encoding::F32Le].into_iter().enumerate() {
        let path = folder.path().join(index.to_string());
        let (steps, input) = script(mono(), 0);
        let mut config = Config::default();
        config.skip_silence = true;
        let (_capture, mut reader) = Capture::start(input, config).unwrap();
        for step in [Step::Frames(700), Step::Silence(96_000), Step::Frames(500), Step::End] {
            steps.send(step).unwrap();
        }
        let mut recorder = Recorder::create(&path, mono(), as_encoding(encoding)).unwrap();
        for chunk in drain(&mut reader) {
            recorder.write(&chunk).unwrap();
        }
        assert_eq!(recorder.finish().unwrap(), 97_200);
        let samples = samples(&path);
        assert_eq!(samples.len(), 97_200);
        assert_eq!((samples[0], samples[699]), (-0.5, 699.0 / 32_768.0 - 0.5));
        assert!(samples[700..96_700].iter().all(|sample| *sample == 0.0));
        assert_eq!(samples[97_199], 1_199.0 / 32_768.0 - 0.5);
    }
}

#[test]
fn a_recording_goes_on_where_it_was_killed() {
    let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    let whole = recorded(&path, 48_000);
    // The header knows half of it, and the last frame is cut.
    let file = File::options().write(true).open(&path).unwrap();
    wav_header_says(&path, 24_000);
    file.set_len(whole - 1).unwrap();
    let mut recorder = Recorder::append(&path, mono(), record::Config::default()).unwrap();
    assert_eq!(recorder.frames(), 47_999);
    let (steps, input) = script(mono(), 0);
    let (_capture, mut reader) = Capture::start(input, Config::default()).unwrap();
    steps.send(Step::Frames(480)).unwrap();
    recorder.write(&reader.recv().unwrap()).unwrap();
    assert_eq!(recorder.finish().unwrap(), 48_479);
    let samples = samples(&path);
    assert_eq!(
        (samples.len(), samples[47_998], samples[47_999]),
        (48_479, (47_998 % 32_768) as f32 / 32_768.0 - 0.5, -0.5)
    );
}

#[test]
fn a_file_of_another_format_is_not_continued() {
    let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    recorded(&path, 480);
    let stereo = Format::new(48_000, 2).unwrap();
    let error = Recorder::append(&path, stereo, record::Config::default()).unwrap_err();
    assert!(matches!(error, CreateError::Format { .. }), "{error}");
    fs::write(&path, b"no sound at all").unwrap();
    let error = Recorder::append(&path, mono(), record::Config::default()).unwrap_err();
    assert!(matches!(error, CreateError::Repair { .. }), "{error}");
}

#[test]
fn files_of_others_are_continued_whatever_their_first_chunk_is_as_long_as() {
    let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    recorded(&path, 1_000);
    let ours = fs::read(&path).unwrap();
    // A table of one further size is 12 bytes long.
    for (tag, size) in
        [(b"JUNK", 26_u32), (b"JUNK", 28), (b"JUNK", 34), (b"JUNK", 36), (b"JUNK", 92), (b"ds64", 40)]
    {
        let mut theirs = [&ours[..12], tag, &size.to_le_bytes()].concat();
        theirs.resize(theirs.len() + size.next_multiple_of(2) as usize, 0);
        let begun = theirs.len();
        theirs.extend(&ours[48..]);
        // Half of it was never counted, so that it is repaired as well.
        let data_at = theirs.len() - 2_000;
        theirs[data_at - 4..data_at].copy_from_slice(&1_000_u32.to_le_bytes());
        fs::write(&path, &theirs).unwrap();
        let mut recorder = Recorder::append(&path, mono(), record::Config::default()).unwrap();
        let (steps, input) = script(mono(), 0);
        let (_capture, mut reader) = Capture::start(input, Config::default()).unwrap();
        steps.send(Step::Frames(480)).unwrap();
        recorder.write(&reader.recv().unwrap()).unwrap();
        assert_eq!(recorder.finish().unwrap(), 1_480, "{size}");
        let after = fs::read(&path).unwrap();
        assert_eq!(
            (&after[16..20], &after[begun..data_at - 4]),
            (&theirs[16..20], &theirs[begun..data_at - 4])
        );
        assert_eq!(&after[data_at..data_at + 2_000], &theirs[data_at..], "{size}");
        assert_eq!(samples(&path).len(), 1_480, "{size}");
        assert_eq!(hound::WavReader::open(&path).unwrap().duration(), 1_480, "{size}");
    }
}

#[test]
fn a_file_that_is_right_is_not_touched() {
    let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    recorded(&path, 1_001);
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend(b"LIST\x05\0\0\0abcde\0id3 \x02\0\0\0xx");
    fs::write(&path, &bytes).unwrap();
    let repaired = wav::repair(open(&path)).unwrap();
    assert_eq!((repaired.frames, repaired.recovered_frames, repaired.cut_bytes), (1_001, 0, 0));
    drop(repaired);
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_header_that_claims_more_than_there_can_be_is_put_right() {
    let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    let whole = recorded(&path, 100);
    let mut bytes = fs::read(&path).unwrap();
    // RF64 of so many bytes as 64 bits can say.
    bytes[..8].copy_from_slice(b"RF64\xff\xff\xff\xff");
    bytes[12..16].copy_from_slice(b"ds64");
    bytes[20..44].fill(0xff);
    bytes[HEADER as usize - 4..HEADER as usize].fill(0xff);
    fs::write(&path, bytes).unwrap();
    let repaired = wav::repair(open(&path)).unwrap();
    assert_eq!((repaired.frames, repaired.cut_bytes), (100, 0));
    assert_eq!(fs::metadata(&path).unwrap().len(), whole);
    assert_eq!(samples(&path).len(), 100);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_the_recording_with_a_reason() {
    let (steps, input) = script(mono(), 0);
    let (_capture, mut reader) = Capture::start(input, Config::default()).unwrap();
    steps.send(Step::Frames(480)).unwrap();
    let created = Recorder::create(Path::new("/dev/full"), mono(), record::Config::default());
    let error = created.err().map(|error| error.to_string()).or_else(|| {
        let mut recorder =
            Recorder::create(Path::new("/dev/full"), mono(), record::Config::default()).ok()?;
        recorder.write(&reader.recv()?).ok();
        recorder.flush().err().map(|error| error.to_string())
    });
    let error = error.expect("nothing fits");
    assert!(error.contains("/dev/full") && error.contains("No space left"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_pipe_takes_a_stream_chunk_by_chunk_and_no_file() {
    use std::io::Read as _;
    use std::os::fd::OwnedFd;

    let (mut heard, pipe) = std::io::pipe().unwrap();
    let (steps, input) = script(mono(), 0);
    let (_capture, mut reader) = Capture::start(input, Config::default()).unwrap();
    let mut recorder =
        Recorder::to_pipe(File::from(OwnedFd::from(pipe)), mono(), record::Config::default()).unwrap();
    let mut header = [0; 44];
    heard.read_exact(&mut header).unwrap();
    assert_eq!((&header[..8], &header[40..]), (&b"RIFF\xff\xff\xff\xff"[..], &[0xff; 4][..]));
    // What was captured is there before more is.
    let mut chunk = [0; 960];
    for _ in 0..3 {
        steps.send(Step::Frames(480)).unwrap();
        recorder.write(&reader.recv().unwrap()).unwrap();
        heard.read_exact(&mut chunk).unwrap();
    }
    assert_eq!(i16::from_le_bytes([chunk[0], chunk[1]]), 960 - (1 << 14));
    assert_eq!(recorder.finish().unwrap(), 3 * 480);
    assert_eq!(heard.read(&mut chunk).unwrap(), 0);

    let (_heard, pipe) = std::io::pipe().unwrap();
    let path = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&pipe));
    let error = Recorder::create(Path::new(&path), mono(), record::Config::default()).unwrap_err();
    assert!(matches!(error, CreateError::Pipe { .. }), "{error}");
}

/// What a full disk is, without one: the test runs once more, in a process whose files may not be longer than 20,480 or 40,960 bytes, as shells count.
#[cfg(unix)]
#[test]
fn what_an_error_says_is_kept_is_in_the_file() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return run_out_of_room(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut again = std::process::Command::new("sh");
    again.args(["-c", r#"trap '' XFSZ && ulimit -f 40 && exec "$0" --exact --nocapture "$1""#]);
    again.arg(std::env::current_exe().unwrap()).arg("what_an_error_says_is_kept_is_in_the_file");
    let output = again.env(FOLDER, folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[cfg(unix)]
fn run_out_of_room(folder: &Path) {
    for how in ["dropped", "finished", "written"] {
        let path = folder.join(how);
        let (steps, input) = script(mono(), 0);
        let (_capture, mut reader) = Capture::start(input, Config::default()).unwrap();
        steps.send(Step::Frames(30_000)).unwrap();
        steps.send(Step::End).unwrap();
        let mut recorder = Recorder::create(&path, mono(), record::Config::default()).unwrap();
        let failed = std::iter::from_fn(|| reader.recv()).find_map(|chunk| recorder.write(&chunk).err());
        // Half a second is written at a time, so the first is cut.
        let kept = failed.expect("it does not fit").frames;
        assert!(kept > 10_000 && kept == recorder.frames(), "{kept}");
        match how {
            "dropped" => drop(recorder),
            "finished" => assert_eq!(recorder.finish().unwrap(), kept),
            _ => {
                let next = reader.recv().expect("there is more");
                assert_eq!(recorder.write(&next).unwrap_err().frames, kept);
                assert_eq!(recorder.flush().unwrap_err().frames, kept);
            }
        }
        let reader = wav::Reader::open(File::open(&path).unwrap()).unwrap();
        assert_eq!(reader.frames_left(), Some(kept));
        assert_eq!(samples(&path).len() as u64, kept);
    }
}

/// Where the other process records.
#[cfg(unix)]
const FOLDER: &str = "NYX_TEST_FOLDER";

proptest! {
    /// However a recording was cut, repairing it keeps all whole frames, and repairing it again changes nothing.
    #[test]
    fn whatever_is_cut_off_the_rest_is_kept(frames in 1_u64..2_000, cut in 0_u64..500, known in 0_u64..2_000) {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let whole = recorded(&path, frames);
        wav_header_says(&path, known.min(frames));
        let cut = cut.min(whole - HEADER);
        open(&path).set_len(whole - cut).unwrap();
        let kept = (whole - cut - HEADER) / 2;
        let repaired = wav::repair(open(&path)).unwrap();
        prop_assert_eq!(repaired.frames, kept);
        drop(repaired);
        let again = wav::repair(open(&path)).unwrap();
        prop_assert_eq!((again.frames, again.recovered_frames, again.cut_bytes), (kept, 0, 0));
        prop_assert_eq!(samples(&path).len() as u64, kept);
    }

    #[test]
    fn no_bytes_make_repair_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), damage in any::<bool>()) {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let bytes = if damage {
            recorded(&path, 40);
            let mut file = fs::read(&path).unwrap();
            for (at, byte) in bytes.iter().enumerate().step_by(5) {
                let len = file.len();
                file[(at * 31 + usize::from(*byte)) % len] = *byte;
            }
            file
        } else {
            bytes
        };
        fs::write(&path, &bytes).unwrap();
        let _ = wav::repair(open(&path));
    }
}

/// A recording of a ramp, and how long the file is.
fn recorded(path: &Path, frames: u64) -> u64 {
    let mut writer = wav::Writer::to_file(File::create(path).unwrap(), mono(), Encoding::S16Le).unwrap();
    let mut bytes = Vec::new();
    let samples: Vec<_> = (0..frames).map(|frame| (frame % 32_768) as f32 / 32_768.0 - 0.5).collect();
    pcm::encode(Encoding::S16Le, &samples, &mut bytes);
    writer.write(&bytes).unwrap();
    writer.finish().unwrap();
    HEADER + bytes.len() as u64
}

/// As a writer leaves it that was killed after it had flushed so many frames.
fn wav_header_says(path: &Path, frames: u64) {
    let mut bytes = fs::read(path).unwrap();
    let data = (frames as u32) * 2;
    bytes[4..8].copy_from_slice(&(data + HEADER as u32 - 8).to_le_bytes());
    bytes[HEADER as usize - 4..HEADER as usize].copy_from_slice(&data.to_le_bytes());
    fs::write(path, bytes).unwrap();
}

fn open(path: &Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

/// Of a file of 16-bit samples, with its room for 64-bit sizes.
const HEADER: u64 = 80;
