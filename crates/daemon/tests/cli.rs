//! The command line as scripts use it: real processes, pipes and exit codes.

mod common {
    pub(crate) mod daemon;
    pub(crate) mod wait;
}

#[path = "shell/streams.rs"]
mod streams;

#[path = "sound/tone.rs"]
mod tone;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use common::daemon::{Daemon, NYX};
use serde_json::{Value, json};
use tempfile::TempDir;

/// `nyx` with the hub's address.
fn nyx(hub: SocketAddr, args: &[&str]) -> Command {
    let mut command = Command::new(NYX);
    command.args(args).env("NYX_SERVER", hub.to_string()).env_remove("NYX_LOG").stdin(Stdio::null());
    command
}

/// Runs it to its end with this on stdin.
fn run(mut command: Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("nyx starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    // One that is not interested in its input may be gone already.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("nyx ends");
    writer.join().expect("the input is written");
    output
}

fn publish(hub: SocketAddr, args: &[&str], input: &str) -> Output {
    run(nyx(hub, &[&["pub"], args].concat()), input.as_bytes())
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("an exit code")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn assert_done(output: &Output) {
    assert_eq!(code(output), 0, "{}", stderr(output));
}

#[track_caller]
fn assert_fails(output: &Output, with: i32, saying: &str) {
    assert_eq!(code(output), with, "{}", stderr(output));
    assert!(stderr(output).contains(saying), "`{saying}` in: {}", stderr(output));
}

/// A `nyx sub` that is being read.
struct Subscriber {
    child: Child,
    /// Until the reader hangs up.
    lines: Option<BufReader<ChildStdout>>,
}

impl Subscriber {
    /// Starts it, and waits until it is subscribed: then it has got what `topic`, a state topic, holds.
    fn start(hub: SocketAddr, args: &[&str]) -> Self {
        assert_done(&publish(hub, &["ready/now"], "{\"ready\":true}"));
        let mut child =
            nyx(hub, &[&["sub"], args].concat()).stdout(Stdio::piped()).spawn().expect("nyx starts");
        let lines = child.stdout.take().map(BufReader::new);
        let mut subscriber = Self { child, lines };
        assert_eq!(subscriber.next()["topic"], "ready/now");
        subscriber
    }

    fn reader(&mut self) -> &mut BufReader<ChildStdout> {
        self.lines.as_mut().expect("still listening")
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.reader().read_line(&mut line).expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// Reads to the end, and returns the exit code.
    fn end(mut self) -> i32 {
        self.reader().read_to_end(&mut Vec::new()).expect("it ends");
        self.child.wait().expect("it ends").code().expect("an exit code")
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn lines_arrive_as_events_equal_and_in_order() {
    let hub = Daemon::start();
    let mut subscriber = Subscriber::start(hub.native, &["**", "--count", "1001"]);
    let lines: Vec<String> =
        (0..999).map(|n| format!("line {n} \u{1F600} \"quoted\"")).chain([String::new()]).collect();
    let output = publish(hub.native, &["logs/app", "--json"], &lines.join("\n"));
    assert_done(&output);
    let summary: Value = serde_json::from_slice(&output.stdout).expect("a summary");
    assert_eq!((&summary["kind"], &summary["items"]), (&json!("event"), &json!(999)));
    // An empty last line is no line: the one before it ended with a newline.
    let extra = publish(hub.native, &["logs/app"], "\n");
    assert_done(&extra);
    for (sequence, line) in lines.iter().enumerate() {
        let item = subscriber.next();
        assert_eq!(item["topic"], "logs/app");
        assert_eq!(item["sequence"], sequence);
        assert_eq!(item["text"], line.as_str());
    }
    assert_eq!(subscriber.end(), 0);
}

#[test]
fn json_lines_become_the_document_and_patches_change_it() {
    let hub = Daemon::start();
    let latest = || {
        let output = run(nyx(hub.native, &["sub", "game/world", "--count", "1"]), b"");
        assert_done(&output);
        serde_json::from_slice::<Value>(&output.stdout).expect("a line")["value"].clone()
    };
    let document = json!({ "name": "Ashfen", "big": 9_007_199_254_740_993_i64, "x": -0.5, "list": [1, "two", null, { "y": [] }] });
    assert_done(&publish(hub.native, &["game/world"], &format!("{{\"old\":1}}\n{document}\n")));
    assert_eq!(latest(), document);
    let output = publish(
        hub.native,
        &["game/world", "--patch"],
        "{\"name\":null,\"x\":2}\n{\"deep\":{\"er\":true}}\n",
    );
    assert_done(&output);
    let patched = json!({ "big": 9_007_199_254_740_993_i64, "x": 2, "list": [1, "two", null, { "y": [] }], "deep": { "er": true } });
    assert_eq!(latest(), patched);
}

#[test]
fn an_empty_document_is_one() {
    let hub = Daemon::start();
    assert_done(&publish(hub.native, &["s"], "{}\n"));
    let output = run(nyx(hub.native, &["sub", "s", "--count", "1", "--for", "20s"]), b"");
    assert_done(&output);
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).expect("a line")["value"], json!({}));
}

#[test]
fn a_bad_line_is_named_and_left_out_and_the_rest_is_published() {
    let hub = Daemon::start();
    let output = publish(hub.native, &["s", "--json"], "{\"a\":1}\n\n{\"a\":oops}\n{\"a\":3}\n");
    assert_fails(&output, 1, "stdin, line 3: column 6: bad JSON");
    let summary: Value = serde_json::from_slice(&output.stdout).expect("a summary");
    assert_eq!((&summary["items"], &summary["rejected"]), (&json!(2), &json!(1)));
    let output = run(nyx(hub.native, &["sub", "s", "--count", "1"]), b"");
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).expect("a line")["value"], json!({ "a": 3 }));
}

#[test]
fn of_many_bad_lines_a_few_are_told_and_all_are_counted() {
    let hub = Daemon::start();
    let output = publish(hub.native, &["s", "--kind", "state", "--json"], &"oops\n".repeat(20_000));
    assert_fails(&output, 1, "20000 lines or images were no good");
    let notes = stderr(&output).matches("bad JSON").count();
    assert!((10..1_000).contains(&notes), "{notes}");
    let summary: Value = serde_json::from_slice(&output.stdout).expect("a summary");
    assert_eq!(summary["rejected"], 20_000);
}

#[test]
fn what_was_read_before_the_input_failed_is_published() {
    let hub = Daemon::start();
    let endless = format!("one\ntwo\n{}", "x".repeat(17 << 20));
    let output = publish(hub.native, &["logs/app", "--json"], &endless);
    assert_fails(&output, 1, "stdin, line 3: longer than");
    let summary: Value = serde_json::from_slice(&output.stdout).expect("a summary");
    assert_eq!(summary["items"], 2);
}

#[test]
fn at_a_bitrate_everything_arrives_in_order() {
    let hub = Daemon::start();
    let mut subscriber = Subscriber::start(hub.native, &["**", "--count", "101"]);
    let lines: Vec<String> = (0..100).map(|n| format!("{n:0100}")).collect();
    assert_done(&publish(hub.native, &["logs/app", "--bitrate", "200kB/s"], &lines.join("\n")));
    for line in &lines {
        assert_eq!(subscriber.next()["text"], line.as_str());
    }
    assert_eq!(subscriber.end(), 0);
    let documents: String = (0..50).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    assert_done(&publish(hub.native, &["s", "--bitrate", "20kB/s"], &documents));
    let output = run(nyx(hub.native, &["sub", "s", "--count", "1"]), b"");
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).expect("a line")["value"], json!({ "n": 49 }));
}

#[test]
fn each_line_is_acknowledged_and_counted() {
    let hub = Daemon::start();
    let lines: String = (0..1_000).map(|n| format!("line {n}\n")).collect();
    for extra in [&[][..], &["--linger", "5ms", "--batch", "7"], &["--rate", "100000/s"]] {
        let output = publish(hub.native, &[&["a", "--acknowledged", "--json"], extra].concat(), &lines);
        assert_done(&output);
        let summary: Value = serde_json::from_slice(&output.stdout).expect("a summary");
        let counts = ["items", "accepted", "refused", "in_doubt"].map(|key| summary[key].clone());
        assert_eq!(counts, [1_000, 1_000, 0, 0].map(|count| json!(count)));
    }
}

#[test]
fn a_line_that_the_hub_does_not_take_is_told_and_is_a_failure() {
    let hub = Daemon::with_config("[limits]\nmessage_bytes = \"1KiB\"\n");
    let input = format!("good\n{}\ngood too\n", "x".repeat(2_000));
    let output = publish(hub.native, &["a", "--acknowledged", "--json"], &input);
    assert_fails(&output, 1, "stdin, line 2: a message of 2000 bytes is over the hub's limit");
    assert!(stderr(&output).contains("1 of 3 lines were refused"), "{}", stderr(&output));
    let summary: Value = serde_json::from_slice(&output.stdout).expect("a summary");
    assert_eq!((&summary["accepted"], &summary["refused"]), (&json!(2), &json!(1)));
}

#[test]
fn a_command_answers_requests_and_its_failures_are_theirs() {
    let hub = Daemon::start();
    let missing = run(nyx(hub.native, &["request", "text/upper", "hello"]), b"");
    assert_fails(&missing, 1, "nobody serves this");
    let mut server = nyx(hub.native, &["reply", "text/upper", "--exec", "grep -v bad | tr a-z A-Z | grep ."])
        .stderr(Stdio::piped())
        .spawn()
        .expect("nyx starts");
    let mut line = String::new();
    let mut words = BufReader::new(server.stderr.take().expect("a pipe"));
    words.read_line(&mut line).expect("it says that it serves");
    assert!(line.contains("serving `text/upper`"), "{line}");
    let one = run(nyx(hub.native, &["request", "text/upper", "hello"]), b"");
    assert_done(&one);
    assert_eq!(one.stdout, b"HELLO\n");
    let many = run(nyx(hub.native, &["request", "text/upper"]), b"one\nbad\nthree\n");
    assert_fails(&many, 1, "line 2: the server says no: exit status: 1");
    assert_eq!((&many.stdout[..], stderr(&many).contains("1 of 3 requests")), (&b"ONE\nTHREE\n"[..], true));
    server.kill().expect("it is there");
    server.wait().expect("it ends");
}

#[test]
fn images_that_are_young_enough_are_all_sent() {
    let hub = Daemon::start();
    let directory = TempDir::new().expect("a directory");
    let files: Vec<String> = (0..20)
        .map(|n| {
            let path = directory.path().join(format!("{n:02}.png"));
            std::fs::write(
                &path,
                format!("\u{89}PNG\r\n\u{1a}\n{n}").chars().map(|c| c as u8).collect::<Vec<_>>(),
            )
            .expect("a file");
            path.to_str().expect("UTF-8").to_owned()
        })
        .collect();
    let options = ["cam/1", "--fps", "1000", "--max-age", "1h", "--bitrate", "5kB/s", "--json"];
    let output =
        publish(hub.native, &[&options[..], &files.iter().map(|f| &f[..]).collect::<Vec<_>>()].concat(), "");
    assert_done(&output);
    let summary: Value = serde_json::from_slice(&output.stdout).expect("a summary");
    assert_eq!((&summary["items"], &summary["skipped"]), (&json!(20), &json!(0)));
}

#[test]
fn another_kind_than_the_topic_has_is_refused() {
    let hub = Daemon::start();
    assert_done(&publish(hub.native, &["t"], "{}"));
    assert_fails(&publish(hub.native, &["t", "--kind", "event"], "hello\n"), 1, "carries state, not event");
}

#[test]
fn without_a_hub_the_exit_code_is_3() {
    // A port that was free a moment ago, and that nobody listens on.
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let nobody = listener.local_addr().expect("an address");
    drop(listener);
    for args in [&["pub", "a"][..], &["sub", "a"]] {
        assert_fails(&run(nyx(nobody, args), b"x\n"), 3, "nyx serve");
    }
}

#[test]
fn a_second_hub_on_the_same_port_says_so() {
    let hub = Daemon::start();
    let native = hub.native.to_string();
    for command in ["serve", "demo"] {
        let output = run(nyx(hub.native, &[command, "--native", &native, "--http", "127.0.0.1:0"]), b"");
        assert_fails(&output, 3, "already in use");
    }
    let output = run(nyx(hub.native, &["netem", "--listen", &native]), b"");
    assert_fails(&output, 3, "choose another port");
}

#[test]
fn what_makes_no_sense_is_a_usage_error() {
    let hub = Daemon::start();
    for (args, saying) in [
        (&["pub", "a//b"][..], "no empty segment"),
        (&["pub", "a", "--loop"], "stdin can't be read twice"),
        (&["pub", "a", "--patch", "--kind", "event"], "--patch is for state"),
        (&["pub", "a", "--acknowledged", "--kind", "state"], "--acknowledged is for events"),
        (&["pub", "a", "--fps", "0"], "no rate"),
        (&["pub", "a", "--bitrate", "0"], "a rate of zero"),
        (&["pub", "a", "--bitrate", "2MB/s", "--kind", "audio"], "--bitrate is for state, events and frames"),
        (&["sub", "a", "--frames", "-", "--wav", "-"], "stdout takes one thing"),
        (&["sub", "a", "--server", "http://x"], "no address of a hub"),
        (&["netem", "--rate", "fast"], "rate such as"),
    ] {
        assert_fails(&run(nyx(hub.native, args), b"x\n"), 2, saying);
    }
}

#[test]
fn what_is_empty_is_not_read_for_ever() {
    let hub = Daemon::start();
    let empty = tempfile::NamedTempFile::new().expect("a file");
    let path = empty.path().to_str().expect("UTF-8");
    assert_fails(&run(nyx(hub.native, &["pub", "a", "--loop", path]), b""), 1, "nothing to publish");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let hub = Daemon::start();
    let mut subscriber = Subscriber::start(hub.native, &["**"]);
    // The next line can't be written any more.
    subscriber.lines = None;
    assert_done(&publish(hub.native, &["a"], "one\n"));
    assert_eq!(subscriber.child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn fewer_items_than_asked_for_in_time_is_a_failure() {
    let hub = Daemon::start();
    let output = run(nyx(hub.native, &["sub", "a", "--count", "1", "--for", "10ms"]), b"");
    assert_fails(&output, 1, "0 of 1 items came in time");
    let output = run(nyx(hub.native, &["sub", "a", "--for", "10ms", "--json"]), b"");
    assert_done(&output);
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).expect("a summary")["received"], 0);
}

#[test]
fn images_are_stored_as_they_were_published() {
    let hub = Daemon::start();
    let directory = TempDir::new().expect("a directory");
    let frames = directory.path().join("frames");
    let frames_arg = frames.to_str().expect("UTF-8");
    let mut subscriber = Subscriber::start(hub.native, &["**", "--frames", frames_arg, "--count", "3"]);
    let png = b"\x89PNG\r\n\x1a\nnot really";
    let jpeg = b"\xff\xd8\xff\xda\x00\x02\x11\x22\xff\x00\xff\xd9";
    for (name, content) in [("a.png", &png[..]), ("b.jpg", jpeg)] {
        let path = directory.path().join(name);
        std::fs::write(&path, content).expect("a file");
        assert_done(&publish(hub.native, &["cam/1", path.to_str().expect("UTF-8")], ""));
        let item = subscriber.next();
        assert_eq!(item["length"], content.len());
        assert_eq!(std::fs::read(item["file"].as_str().expect("a file")).expect("the frame"), content);
    }
    assert!(frames.join("cam+1-00000001.jpg").exists());
    assert_eq!(subscriber.end(), 0);
}

#[test]
fn completions_and_configuration_are_printed_and_load() {
    for shell in ["bash", "zsh", "fish"] {
        let output = Command::new(NYX).args(["completions", shell]).output().expect("nyx starts");
        assert_done(&output);
        assert!(String::from_utf8_lossy(&output.stdout).contains("netem"));
    }
    let output = Command::new(NYX).arg("config").output().expect("nyx starts");
    assert_done(&output);
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), &output.stdout).expect("written");
    assert_done(&Command::new(NYX).arg("config").arg(file.path()).output().expect("nyx starts"));
    std::fs::write(file.path(), "[listen]\nport = 1\n").expect("written");
    let output = Command::new(NYX).arg("config").arg(file.path()).output().expect("nyx starts");
    assert_fails(&output, 2, "port");
    std::fs::write(file.path(), "[tls]\ncertificate = \"none.pem\"\nkey = \"none.key\"\n").expect("written");
    let output = Command::new(NYX).arg("config").arg(file.path()).output().expect("nyx starts");
    assert_fails(&output, 2, "none.pem");
}

#[test]
fn a_configuration_is_good_that_the_server_would_begin_with_and_no_other() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = |name: &str, more: &str| {
        let file = folder.path().join("nyx.toml");
        let listen = "[listen]\nnative = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\n";
        std::fs::write(&file, format!("{listen}{more}")).expect("a file");
        let mut command = Command::new(NYX);
        command.args(if name == "serve" { &["serve", "--config"][..] } else { &["config"] }).arg(&file);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("nyx starts");
        // A server that begins does not end.
        let ends = (0..1000).any(|_| {
            std::thread::park_timeout(Duration::from_millis(20));
            child.try_wait().expect("a child").is_some()
        });
        if !ends {
            child.kill().expect("a child");
        }
        let output = child.wait_with_output().expect("a child");
        // The server warns of others' access to files before.
        let told = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
        (output.status.code(), told)
    };
    std::fs::write(folder.path().join("no.pem"), "nothing").expect("a file");
    let forward = |to: &str, more: &str| format!("[[forward]]\ntopics = \"**\"\nto = \"{to}\"\n{more}\n");
    for bad in [
        forward("nyx://localhost:0", ""),
        forward("tcp://127.0.0.1:9", "").repeat(2),
        forward("tcp://127.0.0.1:9", "timeout = \"0s\""),
        forward("tcp://127.0.0.1:9", "spool = \"0B\""),
        forward("tcp://127.0.0.1:9", "batch = 0"),
        forward("tls://127.0.0.1:9", "ca = \"gone.pem\""),
        forward("tcp://127.0.0.1:9", "ca = \"no.pem\""),
        "[limits]\nsessions = 0".to_owned(),
        "[limits]\nhandshake = \"0s\"".to_owned(),
        "[limits]\nsilence = \"0ms\"".to_owned(),
        "[limits]\nmessage_bytes = \"0B\"".to_owned(),
        "[tls]\ncertificate = \"no.pem\"\nkey = \"no.pem\"\n".to_owned(),
        "[[topic]]\nname = \"a\"\nkind = \"state\"\n[[topic]]\nname = \"a\"\nkind = \"event\"\n".to_owned(),
        "[limits]\ntopics = 1\n[[topic]]\nname = \"a\"\nkind = \"state\"\n[[topic]]\nname = \"b\"\nkind = \"state\"\n"
            .to_owned(),
    ] {
        let (code, told) = run("config", &bad);
        assert_eq!(code, Some(2), "{bad}: {told}");
        assert_eq!(run("serve", &bad), (code, told));
    }
    let good = forward("tcp://127.0.0.1:9", "");
    assert_eq!(run("config", &good), (Some(0), String::new()));
}
