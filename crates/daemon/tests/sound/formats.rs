//! A topic whose sound goes on in another format, with real processes at both ends: each kind of reader goes on, or ends in order.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use nyx_audio_capture::{Source as _, wav};
use nyx_client::{AudioFormat, Item, Pattern, Subscription, Value, subscribe};
use serde_json::Value as Json;
use tempfile::TempDir;

use super::common::command::Running;
use super::common::daemon::{Daemon, NYX, PATIENCE, at};
use super::common::wait::within;
use super::{list, record, text};

const MONO: AudioFormat = AudioFormat { sample_rate: 48_000, channels: 1 };
const STEREO: AudioFormat = AudioFormat { sample_rate: 44_100, channels: 2 };

/// Nothing is too late here, however busy the machine. Who reads everything reads `there`, and so it is known who has come.
const PATIENT: &str = r#"
[delivery]
audio_max_age = "60s"
[[topic]]
name = "there"
kind = "event"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_that_goes_on_in_another_format_is_right_for_each_kind_of_reader() {
    let other = Daemon::with_config(PATIENT);
    let forward = format!("{PATIENT}[[forward]]\ntopics = \"**\"\nto = \"nyx://{}\"\n", other.native);
    let hub = Daemon::with_config(&forward);
    let directory = TempDir::new().expect("a directory");
    let place = |name: &str| directory.path().join(name);
    let (copy, piped, session) = (place("copy.wav"), place("piped.wav"), place("radio.nyxrec"));
    let mut direct = subscribed(&hub, "**").await;
    let mut forwarded = subscribed(&other, "radio").await;
    let writer = Running::nyx("sub", hub.native, &["**", "--wav", text(&copy), "--quiet"], Stdio::null());
    let pipe = format!("exec {NYX} sub '**' --wav - --server nyx://{} > {}", hub.native, text(&piped));
    let pipe = Running::start(Command::new("sh").args(["-c", &pipe]));
    let recorder = record(&hub, &["**"], &session);
    // The client, the forwarder and the three processes.
    let there = |stats: &Value| at(stats, &["topics", "there", "subscribers"]).and_then(Value::as_i64);
    hub.stats("all are there", |stats| there(stats) == Some(5)).await;

    let first = capture(&hub, MONO);
    hub.stats("the topic is there", |stats| at(stats, &["topics", "radio"]).is_some()).await;
    let listener = listen(hub.http);
    let first = Sent::by(first, MONO).await;
    for reader in [&mut direct, &mut forwarded] {
        receive(reader, 0, &vec![MONO; first.chunks]).await;
    }
    hub.stats("all have heard it", |stats| is_heard(stats, first.chunks)).await;
    let second = Sent::by(capture(&hub, STEREO), STEREO).await;

    for reader in [&mut direct, &mut forwarded] {
        receive(reader, first.chunks, &vec![STEREO; second.chunks]).await;
    }
    // What holds one format has ended by itself.
    assert!(pipe.ended().await.0.success());
    first.assert_is(&piped);
    let heard = within(PATIENCE, "the stream ends", listener).await.expect("a listener");
    let body = heard.windows(4).position(|four| four == b"RIFF").expect("a WAV file");
    assert_eq!(heard[body + 24..body + 28], 48_000_u32.to_le_bytes());
    assert!(heard.len() > body + 44 && heard.len() <= body + 44 + first.chunks * CHUNK * 2 + SILENCE_MAX);
    // And what can go on has.
    writer.terminate();
    writer.ended().await;
    first.assert_is(&copy);
    second.assert_is(&place("copy-2.wav"));
    recorder.terminate();
    recorder.ended().await;
    let recorded = &list(&session).expect("a list")["topics"]["radio"];
    assert_eq!(
        (&recorded["items"], &recorded["missing"]),
        (&(first.chunks + second.chunks).into(), &0.into())
    );

    // A recording of both plays as both.
    let all = [vec![MONO; first.chunks], vec![STEREO; second.chunks]].concat();
    let mut again = subscribed(&other, "again/radio").await;
    let arguments = [text(&session), "--prefix", "again", "--speed", "4", "--json"];
    let player = Running::nyx("play", other.native, &arguments, Stdio::null());
    receive(&mut again, 0, &all).await;
    player.succeeded().await;
}

/// Frames of a chunk, of whatever rate.
const CHUNK: usize = 480;

/// Bytes of silence that a listener may have been given before its first chunk, and while the machine was busy.
const SILENCE_MAX: usize = 60 * 96_000;

async fn subscribed(hub: &Daemon, topic: &str) -> Subscription {
    let pattern = Pattern::new(topic).expect("a pattern");
    let client = hub.client("reader").await;
    client.subscribe(pattern, subscribe::Options::default()).await.expect("subscribed")
}

/// Whether so many chunks have come, and nobody has yet to get some.
fn is_heard(stats: &Value, chunks: usize) -> bool {
    let messages = at(stats, &["topics", "radio", "messages"]).and_then(Value::as_i64);
    let readers = at(stats, &["subscribers"]).and_then(Value::as_map).into_iter();
    let readers = readers.flat_map(|readers| readers.values());
    let lags = readers.filter_map(|reader| at(reader, &["lag_ms"]).and_then(Value::as_f64));
    messages == Some(chunks as i64) && lags.sum::<f64>() == 0.0
}

/// A second of a test tone as this topic.
fn capture(hub: &Daemon, AudioFormat { sample_rate, channels }: AudioFormat) -> Running {
    let (rate, channels) = (sample_rate.to_string(), channels.to_string());
    let arguments = ["--tone", "440", "--rate", &rate, "--channels", &channels, "--topic", "radio"];
    let arguments = [&arguments[..], &["--for", "1s", "--json"]].concat();
    Running::nyx("capture", hub.native, &arguments, Stdio::null())
}

/// What a capture has sent.
struct Sent {
    format: AudioFormat,
    chunks: usize,
    /// Whether none was passed over because the machine was busy.
    is_whole: bool,
}

impl Sent {
    async fn by(capture: Running, format: AudioFormat) -> Self {
        let summary: Json = capture.succeeded().await.pop().expect("a summary");
        let count = |of: &str| summary[of].as_u64().expect("a number");
        let is_whole = count("dropped_chunks") + count("skipped_chunks") == 0;
        Self { format, chunks: count("sent_chunks") as usize, is_whole }
    }

    /// The file has that, and silence for what was passed over.
    fn assert_is(&self, file: &Path) {
        let (format, frames) = wav_file(file);
        let sent = self.chunks * CHUNK;
        assert_eq!(format, self.format);
        assert!(frames >= sent && (frames == sent || !self.is_whole), "{frames} frames of {sent}");
    }
}

/// What comes next is chunks of these formats, from this number on, and none is missing.
async fn receive(subscription: &mut Subscription, first: usize, formats: &[AudioFormat]) {
    let wait = async {
        for (number, format) in formats.iter().enumerate() {
            match subscription.recv().await.expect("the subscription goes on") {
                Item::Audio(audio) => assert_eq!(
                    (audio.sequence, audio.topic.audio),
                    ((first + number) as u64, Some(*format)),
                    "{}",
                    audio.topic.name
                ),
                item => panic!("{item:?}"),
            }
        }
    };
    within(PATIENCE, "all chunks", wait).await;
}

/// All that comes of the topic over HTTP.
fn listen(http: SocketAddr) -> tokio::task::JoinHandle<Vec<u8>> {
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(http).expect("the hub answers");
        // An older request, whose answer ends with the connection.
        write!(stream, "GET /v1/stream/radio HTTP/1.0\r\nHost: {http}\r\n\r\n").expect("the hub reads");
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).expect("the stream ends in order");
        heard
    })
}

/// The format of a WAV file, and how many frames it has.
fn wav_file(path: &Path) -> (AudioFormat, usize) {
    let mut reader = wav::Reader::open(File::open(path).expect("the file is there")).expect("a WAV file");
    let format = reader.format();
    let (sample_rate, channels) = (format.sample_rate(), u32::from(format.channels()));
    let mut frames = 0;
    while let Some(block) = reader.next_block(CHUNK).expect("the file is whole") {
        frames += block.frames;
    }
    (AudioFormat { sample_rate, channels }, frames)
}
