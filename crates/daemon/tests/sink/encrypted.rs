//! Sinks that are reached encrypted.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::channel;

use nyx_transport::tls::server::{Acceptor, Files};
use serde_json::Value;

use crate::authority::{Authority, Validity};
use crate::common::Server;
use crate::{PATIENCE, Service, event, forwarding, metric, until, wait};

/// Takes TLS off in front of `upstream`. Returns where.
fn tls_before(upstream: SocketAddr, files: Files, protocol: &'static [u8]) -> SocketAddr {
    let (told, address) = channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let acceptor = Acceptor::load(files, protocol).expect("the files are good");
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback");
            told.send(listener.local_addr().expect("it is bound")).expect("the test waits");
            while let Ok((stream, _)) = listener.accept().await {
                // Who is refused shows at the forwarder.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let Ok(mut inner) = tokio::net::TcpStream::connect(upstream).await else { continue };
                tokio::spawn(async move {
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut inner).await;
                });
            }
        });
    });
    address.recv_timeout(PATIENCE).expect("it listens")
}

#[test]
fn an_encrypted_service_gets_requests_on_one_connection_from_whom_it_knows() {
    let ours = Authority::new("ours");
    let mut files = ours.server("service.example", Validity::Now);
    files.client_ca = Some(ours.root());
    let service = Service::start(&[]);
    let to = format!("https://{}/update", tls_before(service.addr, files, b"http/1.1"));
    let identity = ours.client("hub", Validity::Now);
    let more =
        format!("ca = {:?}\ncertificate = {:?}\nkey = {:?}", ours.root(), identity.certificate, identity.key);
    let server = forwarding("log", &to, &more);
    for number in 0..10 {
        event(&server, &number.to_string());
        let request = service.next();
        // The tickets that the server sends after the handshake are no answer.
        assert_eq!((request.connection, &request.body[..]), (0, number.to_string().as_bytes()));
    }
    assert_eq!(metric(&server, &format!("nyx_forward_retries_total{{to=\"{to}\"}}")), 0.0);
}

#[test]
fn nothing_goes_to_a_service_that_nobody_who_is_trusted_has_signed_for() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let service = Service::start(&[]);
    let addr = tls_before(service.addr, theirs.server("service.example", Validity::Now), b"http/1.1");
    let to = format!("https://{addr}/");
    let server = forwarding("log", &to, &format!("ca = {:?}\nretry_max = \"100ms\"", ours.root()));
    event(&server, "a secret");
    until(&server, &format!("nyx_forward_retries_total{{to=\"{to}\"}}"), 3.0);
    assert!(service.requests.try_recv().is_err(), "it was sent");
    assert!(server.log().contains("nobody whom this side trusts"), "{}", server.log());
}

#[test]
fn lines_and_another_hub_are_reached_encrypted() {
    let ours = Authority::new("ours");
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let inner = listener.local_addr().expect("it is bound");
    let lines = tls_before(inner, ours.server("lines.example", Validity::Now), b"");
    let other = Server::start();
    let hub = tls_before(other.native(), ours.server("hub.example", Validity::Now), b"nyx/1");
    let ca = format!("ca = {:?}", ours.root());
    let server = Server::configured(&format!(
        "[[forward]]\ntopics = \"log\"\nto = \"tls://{lines}\"\n{ca}\n\
         [[forward]]\ntopics = \"**\"\nto = \"nyxs://{hub}\"\n{ca}\n"
    ));
    event(&server, "hello");
    let (stream, _) = listener.accept().expect("it connects");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).expect("a line");
    assert_eq!(serde_json::from_str::<Value>(&line).expect("JSON")["text"], "hello");
    wait(&server, "the other hub has it", || other.get("/v1/topics/log").status() == 200);
}

#[test]
fn certificates_that_can_not_be_used_are_told_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    for (to, more) in [
        ("https://127.0.0.1:1/", "ca = \"missing.pem\""),
        ("https://127.0.0.1:1/", "certificate = \"missing.pem\""),
        ("nyxs://127.0.0.1:1", "ca = \"missing.pem\""),
        ("http://127.0.0.1:1/", "ca = \"missing.pem\""),
    ] {
        let config = folder.path().join("hub.toml");
        std::fs::write(&config, format!("[listen]\nnative = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\n[[forward]]\ntopics = \"**\"\nto = \"{to}\"\n{more}\n"))
            .expect("a file");
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_nyx"))
            .args(["serve", "--config"])
            .arg(&config)
            .output()
            .expect("nyx starts");
        assert_eq!(output.status.code(), Some(2), "{to} {more}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
