//! Sound through a real PulseAudio: devices, single applications, volumes, and everything that can go wrong meanwhile.

mod common {
    pub(crate) mod cdp;
    pub(crate) mod command;
    pub(crate) mod daemon;
    pub(crate) mod pulse;
    pub(crate) mod wait;
}

#[path = "sound/devices.rs"]
mod devices;

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use common::cdp::Page;
use common::command::Running;
use common::daemon::{Daemon, PATIENCE, at};
use common::pulse::{Pulse, SINK, level};
use common::wait::{alone, eventually, within};
use nyx_audio_capture::host::{Control as _, Event, Follow as _, SessionState};
use nyx_audio_capture::pulse::{Address, Stream, Target, Watch};
use nyx_audio_capture::{Capture, Encoding, Format, Source as _, capture, opus, pcm, wav};
use nyx_client::{AudioFormat, Item, Name, Pattern, Samples, Value, publish, subscribe};
use nyx_core::Bitrate;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_output_plays_is_recorded_without_a_gap() {
    let pulse = Pulse::start().await;
    let _player = pulse.play(440, 60).await;
    let file = pulse.file("device.wav");
    let recording = pulse.capture(&["--device", SINK, "--wav", text(&file), "--for", "2s", "--json"]);
    let summary = recording.succeeded().await.remove(0);
    assert_eq!(
        (&summary["dropped_chunks"], &summary["discontinuities"]),
        (&0.into(), &0.into()),
        "{summary}"
    );
    let samples = samples(&file);
    assert_eq!((&summary["recorded_frames"], samples.len()), (&96_000.into(), 2 * 96_000));
    assert!((level(&samples, 2, 440.0) + 6.0).abs() < 0.5, "{}", level(&samples, 2, 440.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flac_file_that_was_killed_is_played_by_others() {
    let pulse = Pulse::start().await;
    let _player = pulse.play(440, 60).await;
    let (file, back) = (pulse.file("device.flac"), pulse.file("back.wav"));
    let recording = pulse.capture(&["--device", SINK, "--flac", text(&file)]);
    grows(&file, 100_000).await;
    // `kill -9`.
    drop(recording);
    let played = pulse.command("sox").args(["-V1", text(&file), text(&back)]).status();
    assert!(played.expect("sox starts").success());
    let samples = samples(&back);
    assert!(samples.len() > 48_000, "{}", samples.len());
    assert!((level(&samples, 2, 440.0) + 6.0).abs() < 0.5, "{}", level(&samples, 2, 440.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_application_of_two_is_recorded_alone() {
    let pulse = Pulse::start().await;
    let wanted = pulse.play(440, 60).await;
    let _other = pulse.play(1_000, 60).await;
    let file = pulse.file("one.wav");
    let process = wanted.id().to_string();
    let recording = pulse.capture(&[
        "--pid",
        &process,
        "--wav",
        text(&file),
        "--for",
        "2s",
        "--samples",
        "f32",
        "--json",
    ]);
    recording.succeeded().await;
    let samples = samples(&file);
    // Without the start, where the stream begins in the middle of a period.
    let steady = &samples[2 * 24_000..];
    assert!(level(steady, 2, 440.0) > -7.0);
    assert!(level(steady, 2, 1_000.0) < -60.0, "{}", level(steady, 2, 1_000.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volume_and_mute_are_what_pactl_says() {
    let pulse = Pulse::start().await;
    let player = pulse.play(440, 60).await;
    let mut watch = Watch::start(&pulse.address()).expect("events");
    let mut control = pulse.control();
    let session = control.sessions().unwrap().into_iter().find(|it| it.process == Some(player.id())).unwrap();
    assert_eq!((session.volume, session.muted, session.state), (1.0, false, SessionState::Running));
    assert_eq!(session.program.as_deref(), Some("pacat"));

    control.set_volume(session.id, 0.5).unwrap();
    control.set_muted(session.id, true).unwrap();
    let said = pulse.pactl(&["list", "sink-inputs"]);
    assert!(said.contains("Mute: yes") && said.contains("/  50% /"), "{said}");
    control.set_muted(session.id, false).unwrap();
    let session = control.sessions().unwrap().remove(0);
    assert_eq!((session.volume, session.muted), (0.5, false));
    assert_eq!(watch.next(PATIENCE).unwrap(), Some(Event::Changed(session.id)));

    drop(player);
    while watch.next(PATIENCE).unwrap() != Some(Event::Ended(session.id)) {}
    let error = control.set_volume(session.id, 1.0).unwrap_err();
    assert!(error.to_string().contains("list the sessions again"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_has_devices_and_streams() {
    let pulse = Pulse::start().await;
    let player = pulse.play(440, 60).await;
    let listing = pulse.capture(&["--list", "--json"]).succeeded().await.remove(0);
    assert_eq!(listing["devices"][0]["name"], format!("{SINK}.monitor"));
    assert_eq!(listing["devices"][0]["sample_rate"], 48_000);
    assert_eq!(listing["sessions"][0]["process"], player.id());
    assert_eq!(listing["sessions"][0]["direction"], "plays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_applications_do_is_told_as_it_happens() {
    let pulse = Pulse::start().await;
    let following = pulse.capture(&["--list", "--follow", "--json"]);
    following.prints("the list", |line| line["sessions"].is_array()).await;
    let player = pulse.play(440, 60).await;
    let is_its = |line: &serde_json::Value| line["session"]["process"] == player.id();
    following.prints("it plays", |line| line["event"] == "started" && is_its(line)).await;
    let mut control = pulse.control();
    let session = control.sessions().unwrap().remove(0);
    control.set_muted(session.id, true).unwrap();
    let is_muted = |line: &serde_json::Value| line["event"] == "changed" && line["session"]["muted"] == true;
    following.prints("it is muted", |line| is_muted(line) && is_its(line)).await;
    drop(player);
    let is_over = |line: &serde_json::Value| line["event"] == "ended" && line["stream"] == session.id.index;
    following.prints("it has ended", is_over).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_is_an_interruption_of_the_same_recording() {
    let mut pulse = Pulse::start().await;
    let stream = Stream::new(pulse.address(), Target::Device(SINK.to_owned()));
    let (capture, mut reader) = Capture::start(stream, capture::Config::default()).expect("a capture");
    let mut before = reader.recv().expect("sound");
    pulse
        .restart_after(async || {
            while let Some(chunk) = reader.recv_timeout(Duration::from_millis(500)) {
                before = chunk;
            }
        })
        .await;
    let after = reader.recv_timeout(PATIENCE).expect("it goes on");
    assert!(after.discontinuity && after.sequence == before.sequence + 1);
    // For half a second at least there was nothing.
    assert!(after.first_frame > before.end_frame() + 24_000);
    assert!(after.unix_micros > before.unix_micros + 500_000);
    assert_eq!(reader.metrics().device_errors, 1);
    capture.stop().expect("it is running");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_that_ends_leaves_a_whole_recording_and_a_reason() {
    let pulse = Pulse::start().await;
    let player = pulse.play(440, 60).await;
    let (file, errors) = (pulse.file("application.wav"), pulse.file("errors"));
    let mut command = pulse.command(common::daemon::NYX);
    command.args(["capture", "--app", "pacat", "--wav", text(&file), "--json"]);
    let recording = Running::start(command.stderr(File::create(&errors).unwrap()));
    grows(&file, 100_000).await;
    drop(player);
    let (status, lines) = recording.ended().await;
    let said = std::fs::read_to_string(&errors).unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("has stopped playing"), "{said}");
    let summary: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(summary["recorded_frames"], samples(&file).len() / 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorder_that_is_killed_leaves_a_file_that_goes_on() {
    let pulse = Pulse::start().await;
    let file = pulse.file("killed.wav");
    let recording = pulse.capture(&["--device", SINK, "--wav", text(&file)]);
    grows(&file, 200_000).await;
    // `kill -9`.
    drop(recording);
    let kept = samples(&file).len();
    assert!(kept * 2 >= 200_000 / 2, "{kept}");
    let more = pulse.capture(&["--device", SINK, "--wav", text(&file), "--append", "--for", "1s", "--json"]);
    let summary = more.succeeded().await.remove(0);
    let whole = samples(&file).len();
    assert!(whole >= kept + 2 * 40_000, "{whole} {summary}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_is_heard_by_its_subscribers() {
    let pulse = Pulse::start().await;
    let _player = pulse.play(440, 60).await;
    let daemon = Daemon::start();
    let server = format!("nyx://{}", daemon.native);
    let capture = pulse.capture(&["--device", SINK, "--topic", "mic/main", "--server", &server, "--json"]);
    let file = pulse.file("heard.wav");
    let subscriber = Running::nyx(
        "sub",
        daemon.native,
        &["mic/main", "--wav", text(&file), "--count", "200"],
        Stdio::null(),
    );
    let (status, _) = subscriber.ended().await;
    assert!(status.success());
    let is_packed = |stats: &Value| {
        let bytes = |field| at(stats, &["topics", "mic/main", "blocks", field]).and_then(Value::as_i64);
        bytes("after_bytes").is_some_and(|after| Some(2 * after) < bytes("before_bytes"))
    };
    daemon.stats("that it travels packed", is_packed).await;
    capture.terminate();
    let summary = capture.succeeded().await.remove(0);
    assert!(summary["sent_chunks"].as_u64() >= Some(200), "{summary}");
    let samples = samples(&file);
    assert!(
        level(&samples, 2, 440.0) > -7.0,
        "{} samples at {} dB",
        samples.len(),
        level(&samples, 2, 440.0)
    );
}

/// From one application through device, capture, hub and page to what the browser plays, which is captured in turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_captured_topic_plays_in_the_console() {
    let _alone = alone().await;
    let pulse = Pulse::start().await;
    // The browser must not play into what is captured.
    pulse.add_default_sink("speakers");
    let _player = pulse.play_into(SINK, 440, 120).await;
    let daemon = Daemon::start();
    let server = format!("nyx://{}", daemon.native);
    let capture = pulse.capture(&["--device", SINK, "--topic", "mic/main", "--server", &server]);

    let mut page = listen(&pulse, &daemon).await;
    assert_console_plays(&pulse, (440.0, -6.0), 1_000.0).await;

    // The topic goes on in another rate and as one channel, and the page plays on.
    capture.terminate();
    assert!(capture.ended().await.0.success());
    let is_heard = |stats: &Value| {
        let readers = at(stats, &["subscribers"]).and_then(Value::as_map).into_iter();
        let lag = |reader| at(reader, &["lag_ms"]).and_then(Value::as_f64);
        readers.flat_map(|readers| readers.values()).filter_map(lag).sum::<f64>() == 0.0
    };
    daemon.stats("that all is heard", is_heard).await;
    let tone = ["--tone", "1000", "--rate", "44100", "--channels", "1", "--topic", "mic/main"];
    let _capture = pulse.capture(&[&tone[..], &["--server", &server]].concat());
    page.until("document.querySelectorAll('#audio [role=meter]').length === 1", "it is mono").await;
    assert_console_plays(&pulse, (1_000.0, -12.0), 440.0).await;
    assert!(page.take_errors().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opus_is_relayed_decoded_and_played_in_the_console() {
    let _alone = alone().await;
    let pulse = Pulse::start().await;
    pulse.add_default_sink("speakers");
    let _player = pulse.play_into(SINK, 440, 120).await;
    let daemon = Daemon::start();
    let client = daemon.client("microphone").await;
    let name = Name::new("mic/main").expect("a topic");
    let audio =
        client.audio(name, FORMAT, Samples::Opus, publish::Options::default()).await.expect("a topic");
    let publisher = tokio::spawn(publish_opus(pulse.address(), audio));
    assert_eq!(level(&received_opus(&daemon).await, 2, 440.0).round(), -6.0);
    assert_console_plays_the_tone(&pulse, &daemon).await;
    publisher.abort();
}

const FORMAT: AudioFormat = AudioFormat { sample_rate: 48_000, channels: 2 };

/// Captures what is played, and publishes it as Opus.
async fn publish_opus(server: Address, audio: publish::Audio) {
    let stream = Stream::new(server, Target::Device(SINK.to_owned()));
    let (capture, mut reader) = Capture::start(stream, capture::Config::default()).expect("a capture");
    let rate = Bitrate::from_bits_per_second(96_000);
    let mut encoder = opus::Encoder::new(capture.format(), 480, rate).expect("an encoder");
    while let Some(chunk) = reader.next().await {
        let packet = encoder.encode(chunk.samples()).expect("a packet");
        audio.send(packet, Some(chunk.unix_micros)).await.expect("it is sent");
    }
}

/// Half a second, as a subscriber decodes it.
async fn received_opus(daemon: &Daemon) -> Vec<f32> {
    let client = daemon.client("ear").await;
    let pattern = Pattern::new("mic/main").expect("a pattern");
    let mut heard = client.subscribe(pattern, subscribe::Options::default()).await.expect("a subscription");
    let format = Format::new(FORMAT.sample_rate, FORMAT.channels).expect("a format");
    let mut decoder = opus::Decoder::new(format).expect("a decoder");
    let mut samples = Vec::new();
    let wait = async {
        while samples.len() < 2 * 48_000 {
            if let Item::Audio(chunk) = heard.recv().await.expect("it goes on") {
                assert_eq!((chunk.samples, chunk.topic.audio), (Samples::Opus, Some(FORMAT)));
                assert!(chunk.payload.len() < 480);
                decoder.decode(&chunk.payload, &mut samples).expect("a packet");
            }
        }
    };
    within(PATIENCE, "a second of sound", wait).await;
    // Without the start, where the decoder has heard nothing before.
    samples.split_off(48_000)
}

/// Lets a browser listen to `mic/main`, and finds 440 Hz of half of full scale in what it plays into PulseAudio.
async fn assert_console_plays_the_tone(pulse: &Pulse, daemon: &Daemon) {
    let mut page = listen(pulse, daemon).await;
    assert_console_plays(pulse, (440.0, -6.0), 1_000.0).await;
    assert!(page.take_errors().is_empty());
}

/// A browser that listens to `mic/main`.
async fn listen(pulse: &Pulse, daemon: &Daemon) -> Page {
    let url = format!("http://{}/#topic/mic/main", daemon.http);
    let mut page = Page::open_by(pulse.command("chromium"), &url).await;
    page.until("document.querySelector('#audio [role=meter]')?.ariaValueNow > -10", "the meter moves").await;
    // Browsers play only what was asked for by a hand.
    page.until("document.getElementById('listen').focus() ?? true", "the button").await;
    page.press("Enter").await;
    page.until("document.getElementById('listen').ariaPressed === 'true'", "it listens").await;
    page
}

/// Finds a tone of so many Hz and dB in what the browser plays into PulseAudio, and none of `other` Hz.
async fn assert_console_plays(pulse: &Pulse, (hertz, decibels): (f64, f64), other: f64) {
    pulse.plays("chromium").await;
    let file = pulse.file("console.wav");
    let recording = pulse.capture(&["--app", "chromium", "--wav", text(&file), "--for", "3s"]);
    assert!(recording.ended().await.0.success());
    let samples = samples(&file);
    // A page that a busy machine keeps waiting plays silence now and then: the best tenth of a second is what it plays.
    let windows = samples.windows(2 * 4_800).step_by(2 * 2_400);
    let levels = windows.map(|window| (level(window, 2, hertz), level(window, 2, other)));
    let best = levels.max_by(|one, other| one.0.total_cmp(&other.0)).expect("a tenth of a second at least");
    assert!(
        (best.0 - decibels).abs() < 1.0 && best.1 < -40.0,
        "{hertz} Hz at {} dB, {other} Hz at {} dB",
        best.0,
        best.1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_done_says_what_to_do() {
    let pulse = Pulse::start().await;
    let cases: [(&[&str], &str); 6] = [
        (&["--app", "nobody", "--level"], "Let it play something first"),
        (&["--device", "nothing", "--level"], "nyx_test.monitor"),
        (&["--device", SINK, "--wav", "/dev/full", "--for", "2s"], "free space"),
        (&["--device", SINK, "--app", "x"], "cannot be used with"),
        (&["--app", "", "--level"], "a value is required"),
        (&["--tone", "24000", "--level"], "less than 24000 Hz"),
    ];
    for (arguments, remedy) in cases {
        let output =
            pulse.command(common::daemon::NYX).arg("capture").args(arguments).output().expect("nyx starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(remedy), "{arguments:?}: {said}");
    }
    let mut command = pulse.command(common::daemon::NYX);
    let output = command
        .args(["capture", "--list"])
        .env("PULSE_SERVER", "unix:/nowhere")
        .output()
        .expect("nyx starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("no sound server answers at unix:/nowhere") && said.contains("pulseaudio --start"),
        "{said}"
    );
}

/// Waits until a file is so long.
async fn grows(file: &Path, bytes: u64) {
    eventually(PATIENCE, "the recording grows", async || {
        (std::fs::metadata(file).is_ok_and(|data| data.len() >= bytes)).then_some(())
    })
    .await;
}

/// All samples of a file.
fn samples(file: &Path) -> Vec<f32> {
    let mut reader = wav::Reader::open(File::open(file).expect("the file is there")).expect("a WAV file");
    let mut samples = Vec::new();
    while let Some(block) = reader.next_block(48_000).expect("it is whole") {
        pcm::decode(reader.encoding(), &block.pcm, &mut samples);
    }
    assert!(matches!(reader.encoding(), Encoding::S16Le | Encoding::F32Le));
    samples
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}
