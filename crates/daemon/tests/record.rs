//! `nyx record` and `nyx play` as real processes: what comes out is what went in, however the recorder ended.

mod common {
    pub(crate) mod command;
    pub(crate) mod daemon;
    pub(crate) mod wait;
}

#[path = "sound/formats.rs"]
mod formats;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use bytes::Bytes;
use common::command::Running;
use common::daemon::{Daemon, NYX, PATIENCE};
use common::wait::{eventually, within};
use nyx_client::publish::{Frame, Options};
use nyx_client::{
    AudioFormat, Client, FrameCodec, Item, Kind, Name, Pattern, Samples, Subscription, Value, subscribe,
};
use nyx_protocol::record::{Reader, Record};
use nyx_protocol::state::Limits;
use serde_json::Value as Json;
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_recorder_left_plays_as_it_was_published() {
    let (hub, other) = (Daemon::start(), Daemon::start());
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("all.nyxrec");
    // What two patterns select is recorded once.
    let recorder = record(&hub, &["**", "cam/*"], &file);
    eventually(PATIENCE, "the recorder begins", async || list(&file).map(drop)).await;
    let published = publish(&hub.client("publisher").await).await;
    for topic in IN_ORDER {
        holds(&file, topic, ROUNDS).await;
    }
    eventually(PATIENCE, "the last document", async || recorded(&file).is_at_the_end("world").then_some(()))
        .await;
    // With SIGKILL.
    drop(recorder);
    assert_eq!(list(&file).expect("a list")["ending"], "open");

    let kept = recorded(&file);
    for (key, seen) in &kept.items {
        assert_eq!(published.items.get(key), Some(seen), "{key:?}");
    }
    for topic in IN_ORDER {
        assert_eq!(kept.total(topic), ROUNDS, "{topic}");
    }
    assert_eq!(kept.topic("log/a").len() as u64, ROUNDS);

    let client = other.client("subscriber").await;
    let pattern = Pattern::new("again/**").expect("a pattern");
    let mut subscription =
        client.subscribe(pattern, subscribe::Options::default()).await.expect("subscribed");
    let arguments = ["--prefix", "again", "--original-times", "--speed", "2", "--json"];
    let arguments = [&[text(&file)], &arguments[..]].concat();
    let player = Running::nyx("play", other.native, &arguments, Stdio::null());
    let played = receive(&mut subscription, |ledger| {
        let has_all =
            |topic: &&str| ledger.total(&format!("again/{topic}")) >= kept.topic(topic).len() as u64;
        ledger.is_at_the_end("again/world") && IN_ORDER.iter().all(has_all)
    })
    .await;
    let summary = player.succeeded().await.pop().expect("a summary");
    assert_eq!(summary["items"].as_u64(), Some(kept.items.len() as u64));
    for ((topic, sequence), seen) in &played.items {
        let topic = topic.strip_prefix("again/").expect("the prefix");
        // Versions count from 1.
        let index = *sequence as usize - usize::from(topic == "world");
        assert_eq!(kept.topic(topic).get(index), Some(&seen), "{topic} {sequence}");
    }
    assert_eq!(played.topic("again/log/a"), kept.topic("log/a"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_overwritten_only_when_told_so_and_a_torn_one_is_gone_on_with() {
    let hub = Daemon::start();
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("a.nyxrec");
    let client = hub.client("publisher").await;
    let events = client.events(name("a"), Options::default()).await.expect("accepted");
    let length = || std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
    let runs = [(&["a"][..], 1), (&["a", "--append"], 2), (&["a", "--append"], 3), (&["a", "--force"], 1)];
    for (arguments, items) in runs {
        let before = length();
        let recorder = record(&hub, arguments, &file);
        eventually(PATIENCE, "the recorder begins", async || (length() != before).then_some(())).await;
        events.send_text("hello").await.expect("sent");
        holds(&file, "a", items).await;
        recorder.terminate();
        let summary = recorder.succeeded().await.pop().expect("a summary");
        assert_eq!(summary["items"], 1);
        let list = list(&file).expect("a list");
        assert_eq!((&list["items"], &list["ending"]), (&items.into(), &"clean".into()));
        assert_fails(&nyx(&hub, &["record", "a", "-o", text(&file)]), 1, "exists");
        // As a kill in the middle of a write leaves it.
        let mut torn = std::fs::read(&file).expect("a file");
        torn.extend_from_within(16..30);
        std::fs::write(&file, torn).expect("written");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_end_a_recording_as_it_should_end() {
    let hub = Daemon::start();
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("a.nyxrec");
    let summary = record(&hub, &["a", "--duration", "10ms"], &file).succeeded().await;
    assert_eq!(summary[0]["items"], 0);
    assert_eq!(list(&file).expect("a list")["ending"], "clean");

    let client = hub.client("publisher").await;
    let events = client.events(name("a"), Options::default()).await.expect("accepted");
    let ended = record(&hub, &["a", "--force", "--size", "10kB"], &file).succeeded();
    tokio::pin!(ended);
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    loop {
        tokio::select! {
            _ = &mut ended => break,
            _ = ticks.tick() => events.send([7; 100]).await.expect("sent"),
        }
    }
    let bytes = std::fs::metadata(&file).expect("a file").len();
    assert!((9_800..=10_000).contains(&bytes), "{bytes}");
    assert_eq!(list(&file).expect("a list")["ending"], "clean");
}

#[test]
fn a_size_that_holds_nothing_is_refused_and_overwrites_nothing() {
    let hub = Daemon::start();
    let directory = TempDir::new().expect("a directory");
    let path = |name: &str| text(&directory.path().join(name)).to_owned();
    let good = path("good");
    assert!(nyx(&hub, &["record", "a", "-o", &good, "--duration", "10ms"]).status.success());
    let bytes = std::fs::read(&good).expect("a file");
    for (file, size, more) in [
        (path("new"), "10", None),
        (good.clone(), "10", Some("--force")),
        (good.clone(), "100", Some("--append")),
    ] {
        let arguments = ["record", "a", "-o", &file, "--size", size, "--duration", "10ms"];
        let arguments: Vec<&str> = arguments.into_iter().chain(more).collect();
        assert_fails(&nyx(&hub, &arguments), 2, "leaves no room");
    }
    assert_eq!(std::fs::read(&good).expect("a file"), bytes);
    assert!(!directory.path().join("new").exists());
    let enough = ["record", "a", "-o", &good, "--append", "--size", "1kB", "--duration", "10ms"];
    assert!(nyx(&hub, &enough).status.success());
}

#[test]
fn what_is_no_good_recording_is_told() {
    let hub = Daemon::start();
    let directory = TempDir::new().expect("a directory");
    let path = |name: &str| text(&directory.path().join(name)).to_owned();
    let good = path("good");
    assert!(nyx(&hub, &["record", "a", "-o", &good, "--duration", "10ms"]).status.success());
    let bytes = std::fs::read(&good).expect("a file");
    let end = bytes.len() - 1;
    let mut damaged = bytes.clone();
    damaged[end] ^= 1;
    let files =
        [("text", &b"hello"[..]), ("short", &bytes[..12]), ("damaged", &damaged), ("torn", &bytes[..end])];
    for (name, content) in files {
        std::fs::write(path(name), content).expect("written");
    }
    for (file, play_says, append_says) in [
        ("text", "no recording", "no recording"),
        ("short", "nothing in it", "--force"),
        ("damaged", "damaged at byte", "another file"),
        ("", "directory", "directory"),
    ] {
        let file = path(file);
        assert_fails(&nyx(&hub, &["play", &file]), 1, play_says);
        assert_fails(&nyx(&hub, &["play", &file, "--list"]), 1, play_says);
        assert_fails(&nyx(&hub, &["record", "a", "-o", &file, "--append"]), 1, append_says);
    }
    assert_fails(&nyx(&hub, &["play", &path("missing")]), 1, "can't play");
    assert_fails(&nyx(&hub, &["play", &path("torn")]), 0, "cut off");
    assert_fails(&nyx(&hub, &["play", &good, "--speed", "fast"]), 2, "no speed");
    assert_fails(&nyx(&hub, &["play", &good, "--prefix", "$x"]), 2, "another prefix");
    assert_fails(&nyx(&hub, &["play", &good, "--list", "--loop"]), 2, "cannot be used with");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_a_failure_that_says_so() {
    let hub = Daemon::start();
    let output = nyx(&hub, &["record", "a", "-o", "/dev/full", "--duration", "10ms"]);
    assert_fails(&output, 1, "No space left on device");
}

const ROUNDS: u64 = 40;

/// The topics whose items have numbers from 0 without holes, and come or are reported missing.
const IN_ORDER: [&str; 3] = ["cam/1", "voice", "log/a"];

/// Long enough that nothing grows too old here.
const AGE: Duration = Duration::from_secs(50);

const FORMAT: AudioFormat = AudioFormat { sample_rate: 8_000, channels: 2 };

/// An item, as far as it has to come back.
#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    codec: u8,
    key: bool,
    unix_micros: Option<u64>,
    payload: Bytes,
    /// Of state, whose payloads may differ.
    document: Option<Value>,
}

/// Items by topic and number, and how many are missing.
#[derive(Debug, Default)]
struct Ledger {
    items: BTreeMap<(String, u64), Seen>,
    missing: BTreeMap<String, u64>,
}

impl Ledger {
    fn put(&mut self, topic: &str, sequence: u64, seen: Seen) {
        self.items.insert((topic.to_owned(), sequence), seen);
    }

    fn topic(&self, topic: &str) -> Vec<&Seen> {
        self.items.iter().filter(|((of, _), _)| of == topic).map(|(_, seen)| seen).collect()
    }

    /// How many came or are known to be missing.
    fn total(&self, topic: &str) -> u64 {
        self.topic(topic).len() as u64 + self.missing.get(topic).copied().unwrap_or(0)
    }

    /// Whether the last document has come.
    fn is_at_the_end(&self, topic: &str) -> bool {
        let last = self.topic(topic).pop().and_then(|seen| seen.document.as_ref());
        last.is_some_and(|document| *document == scene(ROUNDS - 1))
    }
}

fn scene(n: u64) -> Value {
    let n = n as i64;
    Value::map([("tick", Value::from(n)), ("list", Value::list([1, n, -n])), ("name", "Ashfen".into())])
}

fn name(topic: &str) -> Name {
    Name::new(topic).expect("a name")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Publishes all four kinds.
async fn publish(client: &Client) -> Ledger {
    let mut options = Options::default();
    options.max_age = Some(AGE);
    let frames = client.frames(name("cam/1"), options.clone()).await.expect("accepted");
    let audio = client.audio(name("voice"), FORMAT, Samples::F32Le, options).await.expect("accepted");
    let events = client.events(name("log/a"), Options::default()).await.expect("accepted");
    let state = client.state(name("world"), Options::default()).await.expect("accepted");
    let mut published = Ledger::default();
    for n in 0..ROUNDS {
        let payload = Bytes::from(vec![n as u8; 100 + 10 * n as usize]);
        let unix_micros = Some(1_600_000_000_000_000 + n);
        let (codec, keyframe) = (FrameCodec::Png, n % 4 == 0);
        frames.send(Frame { payload: payload.clone(), codec, keyframe, unix_micros }).await.expect("sent");
        let seen = Seen { codec: 2, unix_micros, payload: payload.clone(), ..Seen::default() };
        published.put("cam/1", n, Seen { key: keyframe, ..seen.clone() });
        audio.send(payload.clone(), unix_micros).await.expect("sent");
        published.put("voice", n, seen);
        if n % 2 == 0 {
            events.send_stamped(payload.clone(), n).await.expect("sent");
            published.put("log/a", n, Seen { unix_micros: Some(n), payload, ..Seen::default() });
        } else {
            let payload = format!("{{\"n\":{n}}}");
            events.send_json(payload.clone()).await.expect("sent");
            published.put("log/a", n, Seen { codec: 2, payload: payload.into(), ..Seen::default() });
        }
        state.set(scene(n)).await.expect("sent");
        published.put("world", n + 1, Seen { document: Some(scene(n)), ..Seen::default() });
    }
    client.flush().await.expect("taken in");
    published
}

/// What a recording holds.
fn recorded(path: &Path) -> Ledger {
    let mut reader = Reader::open(std::fs::File::open(path).expect("a file")).expect("a recording");
    let (mut ledger, mut documents) = (Ledger::default(), BTreeMap::new());
    while let Ok(Some(record)) = reader.next_record() {
        match record {
            Record::Data { topic, data } if topic.kind == Kind::State => {
                let document = documents.entry(topic.name.clone()).or_insert(Value::Null);
                let patch = data.patch(&Limits::default()).expect("a patch");
                *document = patch.apply_to(std::mem::take(document)).expect("it fits");
                let document = Some(document.clone());
                ledger.put(topic.name.as_str(), data.sequence, Seen { document, ..Seen::default() });
            }
            Record::Data { topic, data } => {
                let payload = Bytes::copy_from_slice(data.payload);
                let (codec, key, unix_micros) = (data.codec, data.key, data.unix_micros);
                let seen = Seen { codec, key, unix_micros, payload, document: None };
                ledger.put(topic.name.as_str(), data.sequence, seen);
            }
            Record::Gap { topic, gap } => {
                *ledger.missing.entry(topic.name.to_string()).or_default() += gap.total();
            }
            _ => {}
        }
    }
    ledger
}

/// Receives until `is_all`.
async fn receive(subscription: &mut Subscription, is_all: impl Fn(&Ledger) -> bool) -> Ledger {
    let mut ledger = Ledger::default();
    let all = async {
        while !is_all(&ledger) {
            let item = subscription.recv().await.expect("items come");
            take(&mut ledger, item, subscription);
        }
    };
    within(PATIENCE, "all that was played arrives", all).await;
    ledger
}

fn take(ledger: &mut Ledger, item: Item, subscription: &Subscription) {
    let seen = |codec, unix_micros, payload| Seen { codec, unix_micros, payload, ..Seen::default() };
    match item {
        Item::Event(event) => {
            let seen = seen(event.codec.into(), event.unix_micros, event.payload);
            ledger.put(event.topic.name.as_str(), event.sequence, seen);
        }
        Item::Frame(frame) => {
            assert_eq!(frame.topic.max_age, Some(AGE));
            let seen = seen(frame.codec.into(), frame.unix_micros, frame.payload);
            ledger.put(frame.topic.name.as_str(), frame.sequence, Seen { key: frame.keyframe, ..seen });
        }
        Item::Audio(audio) => {
            assert_eq!(audio.topic.audio, Some(FORMAT));
            let seen = seen(audio.samples.into(), audio.unix_micros, audio.payload);
            ledger.put(audio.topic.name.as_str(), audio.sequence, seen);
        }
        Item::State(state) => {
            let document = subscription.document(&state.topic.name).map(|document| document.value());
            ledger.put(state.topic.name.as_str(), state.version, Seen { document, ..Seen::default() });
        }
        Item::Gap(gap) => *ledger.missing.entry(gap.topic.name.to_string()).or_default() += gap.total(),
        _ => {}
    }
}

fn record(hub: &Daemon, arguments: &[&str], file: &Path) -> Running {
    Running::nyx("record", hub.native, &[arguments, &["-o", text(file), "--json"]].concat(), Stdio::null())
}

/// `nyx` to its end.
fn nyx(hub: &Daemon, arguments: &[&str]) -> Output {
    let mut nyx = Command::new(NYX);
    nyx.args(arguments).env("NYX_SERVER", hub.native.to_string()).env_remove("NYX_LOG").stdin(Stdio::null());
    nyx.output().expect("nyx starts")
}

/// What `nyx play --list` says, if it is a recording already.
fn list(path: &Path) -> Option<Json> {
    let list =
        Command::new(NYX).arg("play").arg(path).args(["--list", "--json"]).stderr(Stdio::null()).output();
    serde_json::from_slice(&list.expect("nyx starts").stdout).ok()
}

/// Waits until the file has so many items of a topic, or knows that they are missing.
async fn holds(path: &Path, topic: &str, count: u64) {
    let enough = async || {
        let list = list(path)?;
        let topic = &list["topics"][topic];
        (topic["items"].as_u64()? + topic["missing"].as_u64()? >= count).then_some(())
    };
    eventually(PATIENCE, "the recording holds everything", enough).await;
}

#[track_caller]
fn assert_fails(output: &Output, with: i32, saying: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(with), "{said}");
    assert!(said.contains(saying), "`{saying}` in: {said}");
}
