//! Hubs that forward to hubs which ask for tokens: real daemons on real sockets.

mod common;

use std::path::Path;
use std::process::Command;

use common::Server;
use common::guarded::{Guarded, Minted, NYX};

/// What a hub says of one metric, and 0 where it says nothing.
fn metric(server: &Server, name: &str) -> f64 {
    let page = server.get("/metrics");
    let line = page.text().lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
    line.trim().parse().unwrap_or(0.0)
}

fn say(server: &Server, topic: &str, text: &str) {
    let path = format!("/v1/topics/{topic}");
    assert_eq!(server.post(&path, "text/plain", text.as_bytes()).status(), 202);
}

/// A hub that forwards `log` to another one by both protocols, as the bearer of what the file says.
fn forwarding_to(other: &Guarded, token: &Path) -> (Server, [String; 2]) {
    let (native, http) = (other.server.native(), other.server.http());
    let sinks = [format!("nyx://{native}"), format!("http://{http}/v1/topics/posted")];
    let forward = |to: &String| {
        format!(
            "[[forward]]\ntopics = \"log\"\nto = \"{to}\"\nretry_max = \"100ms\"\ntoken_file = {token:?}\n"
        )
    };
    (Server::configured(&sinks.each_ref().map(forward).concat()), sinks)
}

/// Waits until the other hub has this as the latest of both topics.
fn arrives(from: &Server, other: &Guarded, reader: &Minted, text: &str) {
    for topic in ["log", "posted"] {
        from.until(&format!("{text} is in {topic}"), || {
            (other.get(&format!("/v1/topics/{topic}"), &reader.token).text() == text).then_some(())
        });
    }
}

#[test]
fn a_token_in_a_file_opens_another_hub_and_its_successor_is_taken_without_a_restart_or_a_loss() {
    let other = Guarded::start("");
    let reader = other.mint(&["--subscribe", "**"]);
    let first = other.mint(&["--publish", "log", "--publish", "posted"]);
    let file = other.folder.path().join("token");
    std::fs::write(&file, format!("{}\n", first.token)).unwrap();
    let (server, sinks) = forwarding_to(&other, &file);
    say(&server, "log", "one");
    arrives(&server, &other, &reader, "one");

    other.revoke(&first.id);
    other.server.until("the token is worth nothing", || {
        (other.post("log", &first.token).status() == 401).then_some(())
    });
    say(&server, "log", "two");
    say(&server, "log", "three");
    for to in &sinks {
        let retries = format!("nyx_forward_retries_total{{to=\"{to}\"}}");
        server.until("it is tried again", || (metric(&server, &retries) >= 1.0).then_some(()));
    }
    let second = other.mint(&["--publish", "log", "--publish", "posted"]);
    std::fs::write(&file, &second.token).unwrap();
    arrives(&server, &other, &reader, "three");
    for to in &sinks {
        let taken = format!("nyx_forwarded_items_total{{to=\"{to}\"}}");
        server.until("all are counted", || (metric(&server, &taken) >= 3.0).then_some(()));
        let rejected = format!("nyx_forward_drops_total{{reason=\"rejected\",to=\"{to}\"}}");
        assert_eq!((metric(&server, &taken), metric(&server, &rejected)), (3.0, 0.0));
    }
    for secret in [&first.token, &second.token] {
        assert!(!server.log().contains(&secret[17..]), "a token is in the log: {}", server.log());
    }
}

#[test]
fn a_token_that_does_not_allow_a_topic_drops_what_is_of_it_and_nothing_else() {
    let other = Guarded::start("");
    let reader = other.mint(&["--subscribe", "**"]);
    let narrow = other.mint(&["--publish", "posted"]);
    let file = other.folder.path().join("token");
    std::fs::write(&file, &narrow.token).unwrap();
    let (server, [native, http]) = forwarding_to(&other, &file);
    say(&server, "log", "one");
    let rejected = format!("nyx_forward_drops_total{{reason=\"rejected\",to=\"{native}\"}}");
    server.until("it is refused for good", || (metric(&server, &rejected) >= 1.0).then_some(()));
    let taken = format!("nyx_forwarded_items_total{{to=\"{http}\"}}");
    server.until("and taken over HTTP", || (metric(&server, &taken) >= 1.0).then_some(()));
    assert_eq!(other.get("/v1/topics/posted", &reader.token).text(), "one");
}

#[test]
fn tokens_that_can_not_be_read_or_may_not_be_shown_are_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "nyx_0123456789ab_secret").unwrap();
    std::fs::write(folder.path().join("two"), "one two").unwrap();
    let config = folder.path().join("hub.toml");
    for (to, more, told) in [
        ("nyx://127.0.0.1:1", "token_file = \"missing\"", "can't read"),
        ("http://127.0.0.1:1/", "token_file = \"two\"", "one token and nothing else"),
        ("http://hub.example/", "token_file = \"token\"", "token_in_clear"),
        ("tcp://127.0.0.1:1", "token_file = \"token\"", "no place for a token"),
    ] {
        let text = format!(
            "[listen]\nnative = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\n[[forward]]\ntopics = \"**\"\nto = \"{to}\"\n{more}\n"
        );
        std::fs::write(&config, text).unwrap();
        for args in [&["config"][..], &["serve", "--config"]] {
            let output = Command::new(NYX).args(args).arg(&config).output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{args:?} {to} {more}: {stderr}");
            assert!(stderr.contains(told), "{to} {more}: {stderr}");
        }
    }
}
