//! `nyx capture` of a tone, which needs no device.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::common::daemon::Daemon;
use super::{assert_done, assert_fails, nyx, run};

#[test]
fn a_capture_that_can_not_begin_leaves_the_recording_that_is_there() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = listener.local_addr().expect("an address");
    drop(listener);
    let hub = Daemon::start();
    let directory = TempDir::new().expect("a directory");
    let keep = directory.path().join("keep");
    let file = keep.to_str().expect("UTF-8");
    std::fs::write(&keep, b"recorded before").expect("a file");
    for (server, args, status, saying) in [
        (nobody, &["--wav", file, "--topic", "x"][..], 3, "nyx serve"),
        #[cfg(not(feature = "opus"))]
        (hub.native, &["--wav", file, "--topic", "x", "--opus"], 2, "no Opus"),
        (hub.native, &["--flac", file, "--samples", "f32"], 2, "no floats"),
    ] {
        let args = [&["capture", "--tone", "440", "--for", "10ms"], args].concat();
        assert_fails(&run(nyx(server, &args), b""), status, saying);
        assert_eq!(std::fs::read(&keep).expect("it is there"), b"recorded before", "{args:?}");
    }
}

#[test]
fn silence_is_left_out_of_the_topic_alone() {
    let hub = Daemon::start();
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("silence.wav");
    // A tone that is not heard for the first minutes.
    let silent =
        ["capture", "--tone", "0.000001", "--skip-silence", "--for", "200ms", "--topic", "mic", "--json"];
    let to_file = ["--wav", file.to_str().expect("UTF-8")];
    let output = run(nyx(hub.native, &[&silent[..], &to_file].concat()), b"");
    assert_done(&output);
    let summary: Value = serde_json::from_slice(&output.stdout).expect("a summary");
    assert_eq!(
        (&summary["frames"], &summary["recorded_frames"], &summary["sent_chunks"]),
        (&json!(9_600), &json!(9_600), &json!(0)),
        "{summary}"
    );
    assert_eq!(summary["silent_seconds"], 0.2);
    assert_eq!(std::fs::metadata(&file).expect("a file").len(), 80 + 9_600 * 4);
}

#[test]
fn a_capture_goes_to_stdout_as_a_stream() {
    let hub = Daemon::start();
    let directory = TempDir::new().expect("a directory");
    let capture = |args: &[&str]| {
        let mut command = nyx(hub.native, &[&["capture", "--tone", "440", "--for", "100ms"], args].concat());
        command.current_dir(directory.path());
        run(command, b"")
    };
    let output = capture(&["--wav", "-"]);
    assert_done(&output);
    assert!(output.stdout.starts_with(b"RIFF\xff\xff\xff\xffWAVE"), "of a length that nobody knows");
    assert_eq!(output.stdout.len(), 44 + 4_800 * 4);
    for (args, saying) in [
        (&["--wav", "-", "--json"][..], "stdout takes one thing"),
        (&["--wav", "-", "--append"], "--append needs a file"),
        (&["--flac", "-"], "FLAC needs a file"),
    ] {
        assert_fails(&capture(args), 2, saying);
    }
    #[cfg(unix)]
    assert_fails(&capture(&["--wav", "/dev/stdout"]), 1, "as `-`");
    assert_eq!(std::fs::read_dir(directory.path()).expect("a directory").count(), 0);
}

#[test]
fn what_no_device_could_make_sense_of_is_a_usage_error() {
    let hub = Daemon::start();
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("new");
    let file = file.to_str().expect("UTF-8");
    for (args, saying) in [
        (&["--rate", "0"][..], "1..=768000"),
        (&["--rate", "768001"], "1..=768000"),
        (&["--channels", "0"], "1..=64"),
        (&["--channels", "65"], "1..=64"),
        (&["--rate", "47999"], "choose a usual rate"),
        (&["--skip-silence"], "--topic"),
        (&["--flac", file, "--append"], "only a WAV file"),
        (&["--flac", file, "--rate", "192000"], "96,000 Hz"),
        #[cfg(feature = "opus")]
        (&["--topic", "x", "--opus", "1kbit/s"], "6 to 510 kbit/s"),
        #[cfg(feature = "opus")]
        (&["--topic", "x", "--opus", "--chunk", "100"], "2.5, 5, 10"),
    ] {
        let args = [&["capture", "--tone", "440", "--for", "10ms"], args].concat();
        assert_fails(&run(nyx(hub.native, &args), b""), 2, saying);
    }
    assert_eq!(std::fs::read_dir(directory.path()).expect("a directory").count(), 0);
}
