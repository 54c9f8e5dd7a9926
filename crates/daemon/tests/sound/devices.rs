//! Devices of all sorts of samples and channels, that come and go.

use std::fs::File;
use std::process::Stdio;

use nyx_audio_capture::pulse::{Stream, Target};
use nyx_audio_capture::{Capture, capture};

use super::common::command::Running;
use super::common::daemon::{NYX, PATIENCE};
use super::common::pulse::{Pulse, SINK, level};
use super::common::wait::eventually;
use super::{grows, samples, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_is_plugged_in_again_is_captured_again() {
    let pulse = Pulse::start().await;
    let module = pulse.pactl(&["load-module", "module-null-sink", "sink_name=usb", "rate=44100"]);
    let stream = Stream::new(pulse.address(), Target::Device("usb".to_owned()));
    let (capture, mut reader) = Capture::start(stream, capture::Config::default()).expect("a capture");
    assert_eq!(capture.format().sample_rate(), 44_100);
    assert!(reader.recv_timeout(PATIENCE).is_some());
    pulse.pactl(&["unload-module", module.trim()]);
    eventually(PATIENCE, "the loss is noticed", async || (reader.metrics().device_errors > 0).then_some(()))
        .await;
    pulse.pactl(&["load-module", "module-null-sink", "sink_name=usb", "rate=44100"]);
    while !reader.recv_timeout(PATIENCE).expect("it goes on").discontinuity {}
    capture.stop().expect("it is running");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_of_every_sort_of_samples_are_captured_as_they_sound() {
    let pulse = Pulse::start().await;
    for (format, rate) in [("ulaw", 44_100), ("s24-32be", 48_000), ("s24le", 48_000)] {
        let (rate, sink) = (format!("rate={rate}"), format!("sink_name={format}"));
        pulse.pactl(&["load-module", "module-null-sink", &sink, &rate, &format!("format={format}")]);
        let _player = pulse.play_into(format, 440, 60).await;
        let file = pulse.file("sort.wav");
        let recording =
            pulse.capture(&["--device", format, "--rate", "48000", "--wav", text(&file), "--for", "1s"]);
        assert!(recording.ended().await.0.success());
        let samples = samples(&file);
        let heard = level(&samples[2 * 9_600..], 2, 440.0);
        assert!((heard + 6.0).abs() < 0.5, "{format}: {heard}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn surround_is_written_in_the_order_of_wave_whatever_the_order_of_the_device() {
    let pulse = Pulse::start().await;
    let map = "channel_map=front-left,front-right,rear-left,rear-right,front-center,lfe";
    pulse.pactl(&["load-module", "module-null-sink", "sink_name=alsa", "rate=48000", "channels=6", map]);
    // A tone of its own on each channel, in the order of WAVE.
    let (source, file) = (pulse.file("surround.wav"), pulse.file("captured.wav"));
    let mut sox = pulse.command("sox");
    sox.args(["-q", "-n", "-r", "48000", "-c", "6", "-b", "16", text(&source), "synth", "60"]);
    for channel in 1..=6 {
        sox.args(["sine", &(channel * 500).to_string()]);
    }
    assert!(sox.args(["vol", "0.5"]).status().expect("sox starts").success());
    let order = "--channel-map=front-left,front-right,front-center,lfe,rear-left,rear-right";
    let _player = Running::start(pulse.command("paplay").args(["--device=alsa", order, text(&source)]));
    pulse.plays("paplay").await;
    let recording = pulse.capture(&["--device", "alsa", "--wav", text(&file), "--for", "1s"]);
    assert!(recording.ended().await.0.success());
    let samples = samples(&file);
    for channel in 0..6 {
        let [own, next] = [0, 1].map(|other| f64::from((channel + other) % 6 + 1) * 500.0);
        let samples = &samples[6 * 9_600 + channel as usize..];
        assert!(level(samples, 6, own) > -7.0 && level(samples, 6, next) < -40.0, "channel {channel}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_stays_away_is_an_error_and_what_was_recorded_is_kept() {
    let pulse = Pulse::start().await;
    let module = pulse.pactl(&["load-module", "module-null-sink", "sink_name=usb", "rate=48000"]);
    let _player = pulse.play_into("usb", 440, 60).await;
    let (file, errors) = (pulse.file("unplugged.wav"), pulse.file("errors"));
    let mut command = pulse.command(NYX);
    command.args(["capture", "--device", "usb", "--wav", text(&file), "--reconnect", "100ms"]);
    let recording = Running::start(command.stderr(File::create(&errors).unwrap()));
    grows(&file, 100_000).await;
    // What was asked for is captured or nothing: the server must not put another device in its place.
    let stream = pulse.pactl(&["list", "short", "source-outputs"]);
    let stream = stream.split_whitespace().next().expect("a stream");
    let mut move_it = pulse.command("pactl");
    let moved = move_it
        .args(["move-source-output", stream, &format!("{SINK}.monitor")])
        .stderr(Stdio::null())
        .status();
    assert!(!moved.expect("pactl starts").success());
    pulse.pactl(&["unload-module", module.trim()]);
    assert_eq!(recording.ended().await.0.code(), Some(1));
    let said = std::fs::read_to_string(&errors).unwrap();
    for part in ["`usb.monitor` is gone: plug it in", "did not come back", "There are: nyx_test.monitor"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(level(&samples(&file), 2, 440.0) > -7.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_that_is_moved_to_another_output_is_captured_there() {
    let pulse = Pulse::start().await;
    pulse.pactl(&["load-module", "module-null-sink", "sink_name=phones", "rate=48000"]);
    let _player = pulse.play(440, 60).await;
    let target = Target::Application("pacat".to_owned());
    let (capture, mut reader) =
        Capture::start(Stream::new(pulse.address(), target), capture::Config::default()).expect("a capture");
    assert!(reader.recv_timeout(PATIENCE).is_some());
    let stream = pulse.pactl(&["list", "short", "sink-inputs"]);
    pulse.pactl(&["move-sink-input", stream.split_whitespace().next().expect("a stream"), "phones"]);
    while !reader.recv_timeout(PATIENCE).expect("it goes on").discontinuity {}
    let mut samples = Vec::new();
    while samples.len() < 2 * 9_600 {
        samples.extend_from_slice(reader.recv_timeout(PATIENCE).expect("it goes on").samples());
    }
    assert!(level(&samples, 2, 440.0) > -7.0);
    capture.stop().expect("it is running");
}
