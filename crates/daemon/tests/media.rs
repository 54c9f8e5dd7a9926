//! Real media through real processes: what comes out is what went in, byte for byte, and what does not come is accounted for.

mod common {
    pub(crate) mod command;
    pub(crate) mod daemon;
    pub(crate) mod video;
    pub(crate) mod wait;
}

use std::io::Write as _;
use std::process::{Command, Stdio};

use common::command::Running;
use common::daemon::{Daemon, PATIENCE, at};
use common::video::{Video, images_in};
use common::wait::{alone, within};
use nyx_client::{Client, Item, Pattern, Value, subscribe};
use serde_json::json;

/// Topics that are there from the start, so that a subscriber can be, too.
const TOPICS: &str = r#"
[[topic]]
name = "camera"
kind = "frame"
[[topic]]
name = "world"
kind = "state"
[[topic]]
name = "log"
kind = "event"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_arrive_as_ffmpeg_made_them_and_every_gap_is_accounted_for() {
    const FRAMES: u32 = 240;
    let _alone = alone().await;
    let daemon = Daemon::with_config(TOPICS);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let subscriber = Running::nyx(
        "sub",
        daemon.native,
        &["camera", "--frames", &directory.path().display().to_string()],
        Stdio::null(),
    );
    subscribed(&daemon, 1).await;
    let (made, summary) = Video::publish(daemon.native, "camera", FRAMES).ended().await;
    let [sent, skipped] = ["items", "skipped"].map(|field| summary[field].as_u64().expect("a count"));
    daemon.settled("camera", "nyx sub camera").await;
    subscriber.terminate();
    let lines = subscriber.succeeded().await;

    assert_eq!(made.len(), FRAMES as usize);
    assert_eq!(sent + skipped, u64::from(FRAMES), "made = sent + passed over by the publisher");
    let received = images_in(directory.path());
    let missing: u64 = lines.iter().filter_map(|line| line["gap"]["missing"].as_u64()).sum();
    let told = lines.iter().filter(|line| line["kind"] == "frame").count();
    println!(
        "{FRAMES} made, {skipped} passed over, {sent} sent, {} delivered, {missing} missing",
        received.len()
    );
    assert_eq!(told, received.len(), "a line for each file");
    assert_eq!(sent, received.len() as u64 + missing, "sent = delivered + dropped");
    assert!(received.len() as u64 > sent / 2, "nothing is slow here");
    in_order(&received, &made);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_arrives_sample_for_sample() {
    let _alone = alone().await;
    for encoding in ["pcm_s16le", "pcm_s24le", "pcm_f32le"] {
        let daemon = Daemon::with_config(TOPICS);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let [source, copy] =
            ["source.wav", "copy.wav"].map(|name| directory.path().join(name).display().to_string());
        let noise = "sine=frequency=440:sample_rate=48000:duration=3,tremolo,aformat=channel_layouts=stereo";
        let made = Command::new("ffmpeg")
            .args(["-loglevel", "error", "-nostdin", "-f", "lavfi", "-i", noise, "-c:a", encoding, &source])
            .status();
        assert!(made.expect("ffmpeg starts").success());
        let subscriber =
            Running::nyx("sub", daemon.native, &["**", "--wav", &copy, "--quiet"], Stdio::null());
        subscribed(&daemon, 1).await;
        let publisher = Running::nyx("pub", daemon.native, &["radio", &source, "--json"], Stdio::null());
        let summary = publisher.succeeded().await.pop().expect("a summary");
        assert_eq!(summary["skipped"], 0, "{summary}");
        daemon.settled("radio", "nyx sub **").await;
        subscriber.terminate();
        subscriber.succeeded().await;
        let [source, copy] = [&source, &copy].map(|path| samples(path, encoding));
        assert!(!source.is_empty());
        println!("{encoding}: {} bytes of samples went in, {} came out", source.len(), copy.len());
        assert!(source == copy, "the samples differ");
    }
}

/// Sound whose subscribers are waited for however busy the machine is.
const PATIENT_RADIO: &str = r#"
[[topic]]
name = "radio"
kind = "audio"
sample_rate = 48000
channels = 2
max_age = "20s"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_over_http_is_one_wav_file_of_all_that_is_published() {
    let _alone = alone().await;
    let mut daemon = Daemon::with_config(PATIENT_RADIO);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let [integers, floats, copy] = ["integers.wav", "floats.wav", "copy.wav"]
        .map(|name| directory.path().join(name).display().to_string());
    let tone = "sine=frequency=440:sample_rate=48000:duration=1,tremolo,aformat=channel_layouts=stereo";
    ffmpeg(&["-f", "lavfi", "-i", tone, "-c:a", "pcm_s16le", &integers]).await;
    ffmpeg(&["-i", &integers, "-c:a", "pcm_f32le", &floats]).await;
    // There before anybody publishes: what it gets first is silence.
    let url = format!("http://{}/v1/stream/radio", daemon.http);
    let listener = Running::start(Command::new("ffmpeg").args(FFMPEG).args(["-i", &url, &copy]));
    subscribed(&daemon, 1).await;
    for source in [&integers, &floats] {
        let publisher = Running::nyx("pub", daemon.native, &["radio", source, "--json"], Stdio::null());
        let summary = publisher.succeeded().await.pop().expect("a summary");
        assert_eq!(summary["skipped"], 0, "{summary}");
    }
    // A hub that ends hands out what it has, and ends the stream, and so the listener ends too.
    daemon.terminate();
    assert!(listener.ended().await.0.success() && daemon.ended().await.success());
    let source = samples(&integers, "pcm_s16le");
    let copy = samples(&copy, "pcm_s16le");
    let first = place(&copy, &source).expect("the integers");
    let rest = &copy[first + source.len()..];
    let second = place(rest, &source).expect("the floats");
    println!("{} ms, then {} ms of silence", first / 192, second / 192);
    assert!(copy[..first].iter().chain(&rest[..second]).all(|byte| *byte == 0), "silence before and between");
}

/// Where `part` begins in `whole`; no sound begins with silence here.
fn place(whole: &[u8], part: &[u8]) -> Option<usize> {
    let loud = part.iter().position(|byte| *byte != 0)?;
    let at = whole.iter().position(|byte| *byte != 0)?.checked_sub(loud)?;
    whole[at..].starts_with(part).then_some(at)
}

/// What every call begins with.
const FFMPEG: [&str; 3] = ["-loglevel", "error", "-nostdin"];

/// Runs ffmpeg, which has to succeed.
async fn ffmpeg(arguments: &[&str]) {
    let made = Running::start(Command::new("ffmpeg").args(FFMPEG).args(arguments));
    assert!(made.ended().await.0.success(), "ffmpeg {arguments:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_is_equal_at_the_end_of_a_stream_of_lines() {
    const STEPS: i64 = 3_000;
    let _alone = alone().await;
    for patch in [false, true] {
        let daemon = Daemon::with_config(TOPICS);
        let subscriber = Running::nyx("sub", daemon.native, &["world"], Stdio::null());
        subscribed(&daemon, 1).await;
        let mut expected = json!({});
        let mut lines = String::new();
        for step in 0..STEPS {
            // Entities come, move and go; in a merge patch null takes one away.
            let mut line =
                json!({ "step": step, format!("e{}", step % 97): { "x": step, "y": [step, 0.5, "z"] } });
            if patch {
                line[format!("e{}", (step + 48) % 97)] = serde_json::Value::Null;
                merge(&mut expected, &line);
            } else {
                expected = line.clone();
            }
            lines += &format!("{line}\n");
        }
        let mut arguments = vec!["world", "--kind", "state", "--rate", "1000/s"];
        arguments.extend(patch.then_some("--patch"));
        let publisher = Running::nyx("pub", daemon.native, &arguments, file(&lines));
        let (status, _) = publisher.ended().await;
        assert!(status.success());
        let client = daemon.client("reader").await;
        let value = document_at(&client, STEPS - 1).await;
        assert_eq!(
            serde_json::to_value(&value).expect("JSON"),
            expected,
            "by the client library, patch: {patch}"
        );
        // The subscriber that saw it change holds the same.
        daemon.settled("world", "nyx sub world").await;
        subscriber.terminate();
        let lines = subscriber.succeeded().await;
        let documents: Vec<_> = lines.iter().filter(|line| line["kind"] == "state").collect();
        println!("patch: {patch}, {STEPS} lines, {} updates seen", documents.len());
        assert_eq!(documents.last().expect("an update")["value"], expected, "by `nyx sub`, patch: {patch}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_200_000_lines_none_is_lost() {
    const LINES: usize = 200_000;
    let _alone = alone().await;
    let daemon = Daemon::with_config(TOPICS);
    let count = LINES.to_string();
    let subscribers: Vec<_> = (0..2)
        .map(|_| Running::nyx("sub", daemon.native, &["log", "--count", &count], Stdio::null()))
        .collect();
    subscribed(&daemon, 2).await;
    let lines: String = (0..LINES).map(|number| format!("line {number} of many\n")).collect();
    let publisher = Running::nyx("pub", daemon.native, &["log", "--kind", "event", "--json"], file(&lines));
    let summary = publisher.succeeded().await.pop().expect("a summary");
    assert_eq!(summary["items"], LINES, "{summary}");
    for subscriber in subscribers {
        let events = subscriber.succeeded().await;
        assert_eq!(events.len(), LINES);
        for (number, event) in events.iter().enumerate() {
            assert_eq!(event["text"], format!("line {number} of many"), "{event}");
        }
    }
}

/// Each of `received` is one of `made`, and their order is kept.
fn in_order(received: &[Vec<u8>], made: &[Vec<u8>]) {
    let mut made = made.iter();
    for (number, image) in received.iter().enumerate() {
        assert!(
            made.any(|made| made == image),
            "frame {number} of those received is none that was made, or late"
        );
    }
}

/// What RFC 7386 says a merge patch does.
fn merge(value: &mut serde_json::Value, patch: &serde_json::Value) {
    let Some(patch) = patch.as_object() else { return *value = patch.clone() };
    if !value.is_object() {
        *value = json!({});
    }
    let object = value.as_object_mut().expect("an object");
    for (key, patch) in patch {
        if patch.is_null() {
            object.remove(key);
        } else {
            merge(object.entry(key).or_insert(serde_json::Value::Null), patch);
        }
    }
}

/// The raw samples of a WAV file, as ffmpeg reads them.
fn samples(path: &str, encoding: &str) -> Vec<u8> {
    let format = encoding.trim_start_matches("pcm_");
    let read = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-nostdin", "-i", path, "-f", format, "-"])
        .output();
    let read = read.expect("ffmpeg starts");
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    read.stdout
}

/// A file to read from.
fn file(content: &str) -> Stdio {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(content.as_bytes()).expect("it is written");
    std::io::Seek::rewind(&mut file).expect("it is a file");
    Stdio::from(file)
}

/// Waits until so many subscribers read a topic, besides the one that asks.
async fn subscribed(daemon: &Daemon, subscribers: i64) {
    let all = |stats: &Value| at(stats, &["server", "subscribers"]) == Some(&Value::from(subscribers + 1));
    daemon.stats("the subscribers are there", all).await;
}

/// The document `world` as soon as it is that far.
async fn document_at(client: &Client, step: i64) -> Value {
    let pattern = Pattern::new("world").expect("a pattern");
    let mut world = client.subscribe(pattern, subscribe::Options::default()).await.expect("a subscription");
    within(PATIENCE, "the last step", async {
        loop {
            let Item::State(state) = world.recv().await.expect("the subscription goes on") else { continue };
            let value = world.document(&state.topic.name).expect("a document").value();
            if value.get("step").and_then(Value::as_i64) == Some(step) {
                return value;
            }
        }
    })
    .await
}
