//! Stdin, stdout and stderr as people use them, and what is not answered.

use std::fs::File;
use std::sync::mpsc;

use nyx_protocol::control;

use super::common::daemon::PATIENCE;
use super::*;

fn full() -> File {
    File::options().write(true).open("/dev/full").expect("a device that is always full")
}

fn interrupt(child: &Child) {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

fn hub_with_a_document() -> Daemon {
    let hub = Daemon::start();
    assert_done(&publish(hub.native, &["s"], "{\"a\":1}\n"));
    hub
}

#[test]
fn that_stderr_takes_nothing_changes_no_exit_code() {
    let hub = Daemon::start();
    let mut command = nyx(hub.native, &["pub", "a", "/no/such/file"]);
    assert_eq!(command.stderr(full()).status().expect("nyx ends").code(), Some(1));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = nyx(hub.native, &["pub", "a", "/no/such/file"]);
    assert_eq!(command.stderr(writer).status().expect("nyx ends").code(), Some(1));
}

#[test]
fn what_stdout_does_not_take_is_a_failure_that_says_so() {
    let hub = hub_with_a_document();
    for args in [
        &["config"][..],
        &["completions", "bash"],
        &["sub", "s", "--count", "1"],
        &["sub", "s", "--for", "1ms", "--json"],
        &["pub", "a", "--json"],
        &["record", "s", "-o", "-", "--for", "1ms"],
    ] {
        let output = nyx(hub.native, args).stdout(full()).stderr(Stdio::piped()).output().expect("nyx ends");
        assert_fails(&output, 1, "can't write");
        assert!(stderr(&output).contains("stdout"), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn what_a_command_has_started_ends_with_its_request() {
    let hub = Daemon::start();
    let directory = TempDir::new().expect("a directory");
    let pipe = directory.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let _server = Server::start(hub.native, "slow", &format!("sleep 600 > {} | cat", pipe.display()));
    let mut asking = nyx(hub.native, &["request", "slow", "now"]).spawn().expect("nyx starts");
    let (sender, seen) = mpsc::channel();
    std::thread::spawn(move || {
        let mut reader = File::open(pipe).expect("the command opens it");
        sender.send("begun").expect("somebody waits");
        reader.read_to_end(&mut Vec::new()).expect("it reads");
        sender.send("ended").expect("somebody waits");
    });
    assert_eq!(seen.recv_timeout(PATIENCE), Ok("begun"));
    asking.kill().expect("it is there");
    asking.wait().expect("it ends");
    // Whoever holds the pipe is gone.
    assert_eq!(seen.recv_timeout(PATIENCE), Ok("ended"));
}

#[test]
fn what_a_command_leaves_in_the_background_stays() {
    let hub = Daemon::start();
    let _server = Server::start(hub.native, "start", "sleep 600 > /dev/null 2>&1 & echo $!");
    let output = run(nyx(hub.native, &["request", "start", "now"]), b"");
    assert_done(&output);
    let process = String::from_utf8(output.stdout).expect("a number");
    let line = std::fs::read(format!("/proc/{}/cmdline", process.trim())).expect("it is there");
    assert_eq!(line, b"sleep\x00600\x00");
    assert!(Command::new("kill").arg(process.trim()).status().expect("kill runs").success());
}

#[test]
fn a_recording_goes_through_pipes() {
    let hub = hub_with_a_document();
    let recording = run(nyx(hub.native, &["record", "s", "-o", "-", "--for", "1s"]), b"");
    assert_done(&recording);
    assert!(recording.stdout.starts_with(b"\x89NYX"), "{}", recording.stdout.escape_ascii());
    let list = run(nyx(hub.native, &["play", "-", "--list"]), &recording.stdout);
    assert_done(&list);
    assert!(String::from_utf8_lossy(&list.stdout).contains("1 items"), "{list:?}");
    assert_done(&run(nyx(hub.native, &["play", "-", "--prefix", "again"]), &recording.stdout));
    let latest = run(nyx(hub.native, &["sub", "again/s", "--count", "1"]), b"");
    assert_eq!(serde_json::from_slice::<Value>(&latest.stdout).expect("a line")["value"], json!({ "a": 1 }));
    for (args, saying) in [
        (&["play", "-", "--loop"][..], "stdin can't be read twice"),
        (&["record", "s", "-o", "-", "--append"], "--append needs a file"),
        (&["record", "s", "-o", "-", "--json"], "stdout takes one thing"),
    ] {
        assert_fails(&run(nyx(hub.native, args), b""), 2, saying);
    }
}

#[test]
fn an_interrupt_ends_the_wait_for_a_hub_that_does_not_answer() {
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = silent.local_addr().expect("an address");
    for args in [&["pub", "a"][..], &["sub", "a"], &["record", "a", "-o", "-"], &["request", "a", "b"]] {
        let child =
            nyx(address, args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("nyx starts");
        let connection = silent.accept().expect("it connects");
        interrupt(&child);
        // Were it not heeded, this would say that the hub did not answer in time.
        assert_fails(&child.wait_with_output().expect("nyx ends"), 3, "stopped before");
        drop(connection);
    }
}

#[test]
fn an_interrupt_ends_the_wait_for_a_hub_that_falls_silent() {
    let hub = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = hub.local_addr().expect("an address");
    let mut welcome = bytes::BytesMut::new();
    control::put(&mut welcome, control::Welcome { version: control::VERSION, ..Default::default() });
    for args in [
        &["sub", "here"][..],
        &["record", "here", "-o", "-"],
        &["reply", "here", "--exec", "cat"],
        &["capture", "--tone", "440", "--topic", "here"],
    ] {
        let child =
            nyx(address, args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("nyx starts");
        let (mut connection, _) = hub.accept().expect("it connects");
        connection.write_all(&welcome).expect("it reads");
        // Its name has the topic as well: it is what it asks for when it comes again.
        let mut read = Vec::new();
        while read.windows(4).filter(|window| *window == b"here").count() < 2 {
            let mut piece = [0; 1024];
            let length = connection.read(&mut piece).expect("it asks");
            assert_ne!(length, 0, "it has gone");
            read.extend_from_slice(&piece[..length]);
        }
        interrupt(&child);
        assert_fails(&child.wait_with_output().expect("nyx ends"), 3, "stopped before");
    }
}

#[test]
fn an_interrupt_ends_what_nobody_reads() {
    let hub = Daemon::start();
    // More than a pipe holds.
    assert_done(&publish(hub.native, &["s"], &format!("{{\"a\":\"{}\"}}\n", "x".repeat(200_000))));
    let mut child = nyx(hub.native, &["sub", "s"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("nyx starts");
    let mut stdout = child.stdout.take().expect("a pipe");
    stdout.read_exact(&mut [0]).expect("it has begun to write");
    interrupt(&child);
    // Its stderr ends when it does.
    let mut words = child.stderr.take().expect("a pipe");
    let (sender, said) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        words.read_to_string(&mut text).expect("text");
        sender.send(text)
    });
    let said = said.recv_timeout(PATIENCE);
    // It may not have ended.
    let _ = child.kill();
    assert!(said.as_ref().is_ok_and(|text| text.contains("the output took nothing")), "{said:?}");
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
    drop(stdout);
}

#[test]
fn a_line_that_is_typed_is_asked_at_once() {
    let hub = Daemon::start();
    let server = Server::start(hub.native, "echo", "cat");
    let mut asking = nyx(hub.native, &["request", "echo"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("nyx starts");
    let mut stdin = asking.stdin.take().expect("a pipe");
    let answers = BufReader::new(asking.stdout.take().expect("a pipe")).lines();
    // Where none comes while stdin is open, this is to fail and not to wait.
    let (sender, answered) = mpsc::channel();
    std::thread::spawn(move || answers.map_while(Result::ok).try_for_each(|answer| sender.send(answer)));
    for line in ["one", "two"] {
        writeln!(stdin, "{line}").expect("it reads");
        assert_eq!(answered.recv_timeout(PATIENCE).as_deref(), Ok(line));
    }
    drop(stdin);
    assert_eq!(asking.wait().expect("it ends").code(), Some(0));
    drop(server);
}

#[test]
fn a_reader_of_a_recording_that_has_seen_enough_is_no_failure() {
    let hub = hub_with_a_document();
    let mut child = nyx(hub.native, &["record", "s", "-o", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("nyx starts");
    let mut stdout = child.stdout.take().expect("a pipe");
    stdout.read_exact(&mut [0]).expect("it has begun to write");
    drop(stdout);
    for number in 0.. {
        assert_done(&publish(hub.native, &["s"], &format!("{{\"a\":{number}}}\n")));
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            assert_eq!(status.code(), Some(0));
            break;
        }
    }
}

#[test]
fn each_line_is_asked_as_it_is_and_one_that_is_too_long_fails_alone() {
    let hub = Daemon::start();
    let _server = Server::start(hub.native, "echo", "cat");
    let long = "x".repeat(100_000);
    let input = [b"one\n\xff\xfe\r\n", long.as_bytes(), b"\n\nlast"].concat();
    let output = run(nyx(hub.native, &["request", "echo"]), &input);
    assert_fails(&output, 1, "line 3: a request of 100000 bytes is over the limit");
    assert_eq!(output.stdout, b"one\n\xff\xfe\n\nlast\n");
}

#[test]
fn an_answer_that_is_too_long_is_no_answer_and_ends_its_command() {
    let hub = Daemon::start();
    let _server = Server::start(hub.native, "endless", "cat /dev/zero");
    let output = run(nyx(hub.native, &["request", "endless", "now"]), b"");
    assert_fails(&output, 1, "over the limit");
}

#[test]
fn a_bad_network_says_how_bad_it_is_and_what_changes() {
    let hub = Daemon::start();
    let schedule = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(schedule.path(), "0s delay=40ms\n0s cut\n").expect("written");
    let schedule = schedule.path().to_str().expect("UTF-8");
    let server = hub.native.to_string();
    let bad = ["--loss", "burst:1%,25%", "--duplicate", "7%", "--reorder", "2%:50", "--mtu", "1200"];
    let args = ["netem", "--udp", "--listen", "127.0.0.1:0", "--upstream", &server, "--schedule", schedule];
    let mut netem =
        nyx(hub.native, &[&args[..], &bad].concat()).stderr(Stdio::piped()).spawn().expect("nyx starts");
    let mut lines = BufReader::new(netem.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    let first = lines.next().expect("it says what it does");
    assert!(first.contains(", loss burst:1%,25%, doubles 7%, reorders 2%:50, mtu 1200, as in"), "{first}");
    let changes: Vec<_> = lines.take(2).collect();
    assert_eq!(changes, ["nyx: netem: at 0s delay=40ms", "nyx: netem: at 0s cut"]);
    netem.kill().expect("it is there");
    netem.wait().expect("it ends");
}

/// A `nyx reply` that serves.
struct Server(Child);

impl Server {
    fn start(hub: SocketAddr, service: &str, exec: &str) -> Self {
        let mut server =
            nyx(hub, &["reply", service, "--exec", exec]).stderr(Stdio::piped()).spawn().expect("nyx starts");
        let mut line = String::new();
        let mut words = BufReader::new(server.stderr.take().expect("a pipe"));
        words.read_line(&mut line).expect("it says that it serves");
        assert!(line.contains("serving"), "{line}");
        Self(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_line_that_is_too_long_for_the_hub_is_named_and_left_out_and_the_rest_is_published() {
    let hub = Daemon::with_config("[limits]\nmessage_bytes = \"1KiB\"\n");
    let long = "x".repeat(2_000);
    for more in [&[][..], &["--rate", "1000/s"]] {
        let args = [&["e", "--kind", "event", "--json"], more].concat();
        let output = publish(hub.native, &args, &format!("one\n{long}\n{long}\ntwo\n"));
        assert_fails(&output, 1, "stdin, line 3: a message of 2000 bytes is over the hub's limit of 1024");
        assert!(stderr(&output).contains("line 2: "), "{}", stderr(&output));
        let summary: Value = serde_json::from_slice(&output.stdout).expect("a summary");
        assert_eq!(
            (&summary["items"], &summary["rejected"], &summary["bytes"]),
            (&json!(2), &json!(2), &json!(6))
        );
    }
    let document = |text: &str| format!("{{\"a\":\"{text}\"}}\n");
    for more in [&[][..], &["--patch"]] {
        let args = [&["s", "--json"], more].concat();
        let lines = [document("one"), document(&long), document("two")].concat();
        let output = publish(hub.native, &args, &lines);
        assert_fails(&output, 1, "stdin, line 2: a message of 2");
        let summary: Value = serde_json::from_slice(&output.stdout).expect("a summary");
        assert_eq!((&summary["items"], &summary["rejected"]), (&json!(2), &json!(1)));
    }
}

#[test]
fn a_document_as_large_and_deep_as_the_hub_allows_is_printed() {
    let hub = Daemon::with_config("[limits]\ndocument_bytes = \"4MiB\"\ndocument_depth = 100\n");
    let deep = (0..80).fold(json!("the bottom"), |inner, _| json!([inner]));
    let document = json!({ "deep": deep, "long": "x".repeat(2 << 20) });
    assert_done(&publish(hub.native, &["s"], &format!("{document}\n")));
    let output = run(nyx(hub.native, &["sub", "s", "--count", "1", "--for", "20s"]), b"");
    assert_done(&output);
    let line: Value = serde_json::from_slice(&output.stdout).expect("a line");
    assert!(line["value"] == document, "{}", &line.to_string()[..200]);
}

#[test]
fn progress_keeps_to_its_row_and_a_terminal_that_has_no_rows_gets_lines() {
    let level = |term: &str| {
        let command = format!("TERM={term} {NYX} capture --tone 440 --level --for 10ms");
        let mut script = Command::new("script");
        let output = script.args(["-qec", &command, "/dev/null"]).stdin(Stdio::null()).output();
        String::from_utf8(output.expect("script runs").stdout).expect("text")
    };
    let row = level("xterm");
    // Cleared before, and cut off at the margin.
    assert!(row.contains("\r\x1b[K\x1b[?7l[") && row.contains("\x1b[?7h"), "{row:?}");
    let lines = level("dumb");
    assert!(lines.contains("peak") && !lines.contains('\x1b'), "{lines:?}");
}

#[test]
fn what_publishers_say_does_not_steer_a_terminal_and_comes_through_a_pipe_as_it_is() {
    let hub = Daemon::start();
    assert_done(&publish(hub.native, &["s"], "{\"a\":\"\u{9b}2J\u{202e}\"}\n"));
    let piped = nyx(hub.native, &["sub", "s", "--count", "1"]).output().expect("nyx ends");
    assert!(
        String::from_utf8_lossy(&piped.stdout).contains("\u{9b}2J\u{202e}"),
        "{}",
        String::from_utf8_lossy(&piped.stdout)
    );
    let command = format!("{NYX} sub s --count 1 --server {}", hub.native);
    let mut script = Command::new("script");
    let seen = script.args(["-qec", &command, "/dev/null"]).stdin(Stdio::null()).output();
    let seen = String::from_utf8(seen.expect("script runs").stdout).expect("text");
    assert!(seen.contains("\\u009b2J\\u202e"), "{seen:?}");
}
