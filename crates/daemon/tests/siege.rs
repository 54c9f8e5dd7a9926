//! Peers that come and say nothing, or only garbage, by the thousand: others notice nothing, and memory is bounded.

#[path = "../../transport/tests/authority/mod.rs"]
mod authority;
mod common;

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use authority::{Authority, Validity};
use common::{PATIENCE, Server};
use nyx_client::{Address, Client, Config, Item, Name, Pattern, publish, subscribe};
use tempfile::TempDir;

/// Three of them are ten thousand.
const CROWD: usize = 3_400;

/// Of a crowd, as many as fit into the descriptors that most systems give a process.
const STANDING: usize = 1_000;

/// What the hub keeps waiting at most.
const HANDSHAKES: usize = 100;

/// What a waiting connection may cost, TLS's state for its handshake included; and what the hub may need besides.
const BYTES_PER_CONNECTION: u64 = 64 * 1024;
const BYTES_BESIDES: u64 = 24 << 20;

fn config() -> String {
    format!("[limits]\nhandshakes = {HANDSHAKES}\nhandshake = \"1h\"\nconnections_per_peer = \"off\"\n")
}

/// Somebody who was there before and goes on.
struct Witness {
    _client: Client,
    events: publish::Events,
    items: subscribe::Subscription,
    sent: u32,
}

impl Witness {
    async fn of(address: Address, config: Config, topic: &str) -> Self {
        let client = Client::connect(address, config).await.expect("the hub answers");
        let events =
            client.events(Name::new(topic).unwrap(), publish::Options::default()).await.expect("a topic");
        let pattern = Pattern::new(topic).unwrap();
        let items = client.subscribe(pattern, subscribe::Options::default()).await.expect("a subscription");
        Self { _client: client, events, items, sent: 0 }
    }

    /// Says something, and hears it.
    async fn speak(&mut self) {
        self.sent += 1;
        let said = self.sent.to_be_bytes();
        self.events.send(said.to_vec()).await.expect("it is taken");
        let heard =
            tokio::time::timeout(PATIENCE, self.items.recv()).await.expect("in time").expect("it goes on");
        match heard {
            Item::Event(event) => assert_eq!(event.payload[..], said),
            other => panic!("{other:?}"),
        }
    }
}

fn resident_bytes(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}

fn metric(page: &str, name: &str) -> u64 {
    let line =
        page.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name} in {page}"));
    line.trim().parse::<f64>().expect("a number") as u64
}

/// A crowd at `address` of which each sends `greeting` and no more. Returns those who came last, when all others have been sent away.
fn crowd(address: SocketAddr, greeting: &[u8]) -> VecDeque<TcpStream> {
    let mut standing = VecDeque::new();
    for _ in 0..CROWD {
        if standing.len() == STANDING {
            standing.pop_front().into_iter().for_each(await_end);
        }
        let mut stream = TcpStream::connect(address).expect("it is accepted");
        // It may have had to go already.
        let _ = stream.write_all(greeting);
        standing.push_back(stream);
    }
    while standing.len() > HANDSHAKES {
        standing.pop_front().into_iter().for_each(await_end);
    }
    standing
}

/// Waits until the hub has closed a connection, whatever it says before.
fn await_end(mut stream: TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let ended = std::io::copy(&mut stream, &mut std::io::sink());
    let is_reset = |error: &std::io::Error| error.kind() == ErrorKind::ConnectionReset;
    assert!(ended.as_ref().err().is_none_or(is_reset), "{ended:?}: it should have made room");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_finishes_a_handshake_makes_room_for_the_next() {
    let server = Server::configured(&config());
    let mut witness = Witness::of(Address::from(server.native()), Config::default(), "witness").await;
    let before = resident_bytes(&server);
    // The beginnings of a hello and of a request; and nothing at all.
    let hello = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 99];
    let crowds = [
        crowd(server.native(), &hello),
        crowd(server.http(), b"GET /v1/topics HTTP/1.1\r\nhost: localhost\r\nx-slow: "),
        crowd(server.native(), b""),
    ];
    witness.speak().await;
    let displaced = server.until("those that must go have gone", || {
        let page = server.get("/metrics").text().to_owned();
        let displaced = metric(&page, "nyx_handshakes_displaced_total");
        (displaced >= (3 * CROWD - HANDSHAKES) as u64).then_some(displaced)
    });
    let page = server.get("/metrics").text().to_owned();
    assert!(metric(&page, "nyx_handshakes ") <= HANDSHAKES as u64);
    let bound = before + BYTES_PER_CONNECTION * HANDSHAKES as u64 + BYTES_BESIDES;
    let after = resident_bytes(&server);
    assert!(after <= bound, "{before} bytes became {after}");
    // Who means well gets in while they stand there.
    let mut late = Witness::of(Address::from(server.native()), Config::default(), "late").await;
    late.speak().await;
    witness.speak().await;
    println!("{displaced} displaced, {} KiB more", after.saturating_sub(before) / 1024);
    drop(crowds);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_holds_for_handshakes_of_tls() {
    let ours = Authority::new("ours");
    let files = ours.server("hub.example", Validity::Now);
    let folder: TempDir = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.toml");
    let tls = format!("[tls]\ncertificate = {:?}\nkey = {:?}\n", files.certificate, files.key);
    std::fs::write(&path, tls + &config()).unwrap();
    let server = Server::start_with(&["--config", path.to_str().unwrap()]);
    let client = || {
        let mut config = Config::default();
        config.tls.roots = Some(ours.root());
        config.connect_timeout = PATIENCE;
        config
    };
    let address = || Address::from(server.native()).with_tls();
    let mut witness = Witness::of(address(), client(), "witness").await;
    let before = resident_bytes(&server);
    // A record of a ClientHello, of which the rest never comes.
    let hello = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03, 0x5a];
    let crowds = [crowd(server.native(), &hello), crowd(server.http(), &hello)];
    witness.speak().await;
    let mut late = Witness::of(address(), client(), "late").await;
    late.speak().await;
    witness.speak().await;
    let after = resident_bytes(&server);
    let bound = before + BYTES_PER_CONNECTION * HANDSHAKES as u64 + BYTES_BESIDES;
    assert!(after <= bound, "{before} bytes became {after}");
    drop(crowds);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_greeting_that_was_recorded_says_nothing_the_second_time() {
    let ours = Authority::new("ours");
    let files = ours.server("hub.example", Validity::Now);
    let folder: TempDir = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.toml");
    let tls = format!("[tls]\ncertificate = {:?}\nkey = {:?}\n", files.certificate, files.key);
    std::fs::write(&path, tls).unwrap();
    let server = Server::start_with(&["--config", path.to_str().unwrap()]);

    // Between a client and the hub, somebody keeps what the client says.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let between = listener.local_addr().unwrap();
    let native = server.native();
    let recorder = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (client, _) = listener.accept().await.unwrap();
        let hub = tokio::net::TcpStream::connect(native).await.unwrap();
        let ((mut from_client, mut to_client), (mut from_hub, mut to_hub)) =
            (client.into_split(), hub.into_split());
        let down = tokio::spawn(async move { tokio::io::copy(&mut from_hub, &mut to_client).await });
        let mut recorded = Vec::new();
        let mut part = [0; 4096];
        while let Ok(n @ 1..) = from_client.read(&mut part).await {
            recorded.extend_from_slice(&part[..n]);
            if to_hub.write_all(&part[..n]).await.is_err() {
                break;
            }
        }
        down.abort();
        recorded
    });
    let mut config = Config::default();
    config.tls.roots = Some(ours.root());
    let client =
        Client::connect(Address::from(between).with_tls(), config.clone()).await.expect("the hub answers");
    let topic = client.events(Name::new("a").unwrap(), publish::Options::default()).await.unwrap();
    topic.send(b"once".to_vec()).await.unwrap();
    client.close().await.expect("it arrived");
    let recorded = recorder.await.unwrap();
    assert!(recorded.len() > 100);

    let mut witness = Witness::of(Address::from(server.native()).with_tls(), config, "witness").await;
    for _ in 0..10 {
        let mut again = TcpStream::connect(server.native()).unwrap();
        again.set_read_timeout(Some(PATIENCE)).unwrap();
        let _ = again.write_all(&recorded);
        // It answers with a handshake of its own, and ends where the old one does not fit.
        let _ = again.read_to_end(&mut Vec::new());
    }
    witness.speak().await;
    server.until("the failures are told", || server.log().contains("TLS: ").then_some(()));
}
