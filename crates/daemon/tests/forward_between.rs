//! Hubs that forward to hubs: to such as ask for tokens, and to each other. Real daemons on real sockets.

mod common;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use common::Server;
use common::guarded::{Guarded, Minted, NYX};
use serde_json::json;

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

/// An address that leads to a hub which is not there yet, and what tells it where that is.
fn door() -> (SocketAddr, impl FnOnce(SocketAddr)) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = std::sync::mpsc::channel::<SocketAddr>();
    std::thread::spawn(move || {
        let Ok(hub) = told.recv() else { return };
        for here in listener.incoming() {
            let (Ok(here), Ok(there)) = (here, TcpStream::connect(hub)) else { continue };
            for (mut from, mut to) in [(here.try_clone().unwrap(), there.try_clone().unwrap()), (there, here)]
            {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    (address, move |hub| tell.send(hub).unwrap())
}

fn forward(topics: &str, to: &str) -> String {
    format!("[[forward]]\ntopics = \"{topics}\"\nto = \"{to}\"\nretry_max = \"100ms\"\n")
}

/// Items of a topic that the hub has taken in.
fn items(hub: &Server, topic: &str) -> u64 {
    let listing = hub.get("/v1/topics").json();
    let topics = listing["topics"].as_array().unwrap();
    topics.iter().find(|entry| entry["name"] == topic).map_or(0, |entry| entry["messages"].as_u64().unwrap())
}

/// Waits until the hub's forwarder has left so many out, as they come from where it sends to.
fn comes_home(hub: &Server, count: f64) {
    let home = "nyx_forward_drops_total{reason=\"home\"";
    let sum = || {
        let page = hub.get("/metrics");
        let lines = page.text().lines().filter(|line| line.starts_with(home)).map(str::to_owned);
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>()
    };
    hub.until(&format!("{count} came home"), || (sum() >= count).then_some(()));
    assert_eq!(sum(), count);
}

#[test]
fn two_hubs_that_forward_to_each_other_have_each_event_once() {
    let (door, open) = door();
    let first = Server::configured(&forward("**", &format!("nyx://{door}")));
    let second = Server::configured(&forward("**", &format!("nyx://{}", first.native())));
    open(second.native());
    for text in ["one", "two", "three"] {
        say(&first, "log", text);
    }
    for text in ["four", "five"] {
        say(&second, "log", text);
    }
    comes_home(&first, 2.0);
    comes_home(&second, 3.0);
    // Both have gone through all that there is.
    assert_eq!((items(&first, "log"), items(&second, "log")), (5, 5));
}

#[test]
fn events_go_round_a_ring_of_hubs_once() {
    let (door, open) = door();
    let first = Server::configured(&forward("**", &format!("nyx://{door}")));
    let third = Server::configured(&forward("**", &format!("nyx://{}", first.native())));
    let second = Server::configured(&forward("**", &format!("nyx://{}", third.native())));
    open(second.native());
    say(&first, "log", "one");
    comes_home(&third, 1.0);
    say(&second, "log", "two");
    comes_home(&first, 1.0);
    say(&third, "log", "three");
    comes_home(&second, 1.0);
    for hub in [&first, &second, &third] {
        assert_eq!(items(hub, "log"), 3);
    }
    assert_eq!(
        [&first, &second, &third].map(|hub| metric(hub, "nyx_refused_total{code=\"loop\"}")),
        [0.0; 3]
    );
}

#[test]
fn over_http_a_hub_refuses_what_has_been_there() {
    let (door, open) = door();
    let first = Server::configured(&forward("log", &format!("http://{door}/v1/topics/log")));
    let second = Server::configured(&forward("log", &format!("http://{}/v1/topics/log", first.http())));
    open(second.http());
    say(&first, "log", "one");
    comes_home(&second, 1.0);
    say(&second, "log", "two");
    comes_home(&first, 1.0);
    assert_eq!((items(&first, "log"), items(&second, "log")), (2, 2));
    assert_eq!(metric(&first, "nyx_http_refused_total{code=\"loop\"}"), 1.0);
}

#[test]
fn a_document_that_both_sides_write_is_the_same_on_both() {
    let (door, open) = door();
    let first = Server::configured(&forward("world", &format!("nyx://{door}")));
    let second = Server::configured(&forward("world", &format!("nyx://{}", first.native())));
    open(second.native());
    let merge = |hub: &Server, text: &str| {
        let headers = [("content-type", "application/merge-patch+json")];
        let answer = hub.request("PATCH", "/v1/topics/world", &headers, text.as_bytes());
        assert_eq!(answer.status(), 202, "{}", answer.text());
    };
    let both_become = |expected: serde_json::Value| {
        for hub in [&first, &second] {
            hub.until(&format!("{expected} is there"), || {
                let answer = hub.get("/v1/topics/world");
                (answer.status() == 200 && answer.json() == expected).then_some(())
            });
        }
    };
    merge(&first, r#"{"a":1}"#);
    both_become(json!({"a": 1}));
    merge(&second, r#"{"b":1}"#);
    both_become(json!({"a": 1, "b": 1}));
    for round in 2..6 {
        merge(&first, &format!(r#"{{"a":{round}}}"#));
        both_become(json!({"a": round, "b": round - 1}));
        merge(&second, &format!(r#"{{"b":{round}}}"#));
        both_become(json!({"a": round, "b": round}));
    }
    merge(&first, r#"{"b":null}"#);
    both_become(json!({"a": 5}));
    // What each changed once was told the other once.
    comes_home(&first, 5.0);
    comes_home(&second, 6.0);
    assert_eq!((items(&first, "world"), items(&second, "world")), (11, 11));
}
