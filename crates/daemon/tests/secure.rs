//! TLS with a real daemon: who gets in, what one is told who does not, and certificates that are renewed.

#[path = "../../transport/tests/authority/mod.rs"]
mod authority;
mod common;

use std::time::Duration;

use authority::{Authority, Validity};
use common::{PATIENCE, Server};
use nyx_client::tls::HandshakeError;
use nyx_client::tls::client::{Config as TlsConfig, Connector, Identity};
use nyx_client::tls::server::Files;
use nyx_client::{Address, Client, Config, ConnectError, Item, Name, Pattern, publish, subscribe};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A hub with a certificate.
struct Hub {
    server: Server,
    files: Files,
    _folder: TempDir,
}

impl Hub {
    fn start(files: Files) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut text = format!("[tls]\ncertificate = {:?}\nkey = {:?}\n", files.certificate, files.key);
        if let Some(client_ca) = &files.client_ca {
            text += &format!("client_ca = {client_ca:?}\n");
        }
        let config = folder.path().join("hub.toml");
        std::fs::write(&config, text).unwrap();
        let server = Server::start_with(&["--config", config.to_str().unwrap()]);
        Self { server, files, _folder: folder }
    }

    async fn connect(
        &self,
        host: &str,
        roots: &Authority,
        identity: Option<Identity>,
    ) -> Result<Client, ConnectError> {
        let mut config = Config::default();
        (config.tls.roots, config.tls.identity) = (Some(roots.root()), identity);
        config.connect_timeout = PATIENCE;
        config.backoff_max = Duration::from_millis(200);
        let address: Address = format!("nyxs://{host}:{}", self.server.native().port()).parse().unwrap();
        Client::connect(address, config).await
    }

    /// One request over TLS, and the answer to the end.
    async fn https(&self, roots: &Authority, head: &str) -> String {
        let mut config = TlsConfig::default();
        config.roots = Some(roots.root());
        let connector = Connector::new(&config, b"http/1.1").unwrap();
        let stream = TcpStream::connect(self.server.http()).await.unwrap();
        let mut stream = connector.connect("127.0.0.1", stream).await.unwrap();
        let host = self.server.http();
        stream.write_all(format!("{head}\r\nhost: {host}\r\n\r\n").as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, async {
            while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
                let mut part = [0; 1024];
                match stream.read(&mut part).await {
                    Ok(n) if n > 0 => answer.extend_from_slice(&part[..n]),
                    _ => break,
                }
            }
        });
        read.await.expect("an answer in time");
        String::from_utf8(answer).unwrap()
    }
}

fn why(outcome: Result<Client, ConnectError>) -> HandshakeError {
    match outcome {
        Err(ConnectError::Tls { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_arrives_encrypted() {
    let ours = Authority::new("ours");
    let hub = Hub::start(ours.server("hub.example", Validity::Now));
    let writer = hub.connect("localhost", &ours, None).await.expect("a good certificate");
    let reader = hub.connect("127.0.0.1", &ours, None).await.expect("a good certificate");
    let topic = Name::new("a").unwrap();
    let events = writer.events(topic.clone(), publish::Options::default()).await.unwrap();
    let mut items =
        reader.subscribe(Pattern::new("a").unwrap(), subscribe::Options::default()).await.unwrap();
    // Some of one record, and some of many.
    for length in [1, 100, 16 * 1024, 3 << 20, 5] {
        let sent = vec![length as u8; length];
        events.send(sent.clone()).await.unwrap();
        let item = tokio::time::timeout(PATIENCE, items.recv()).await.expect("in time").unwrap();
        match item {
            Item::Event(event) => assert!(event.payload[..] == sent[..], "{length}"),
            other => panic!("{other:?}"),
        }
    }
    writer.close().await.expect("everything arrived");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_and_websocket_are_encrypted_on_their_port() {
    let ours = Authority::new("ours");
    let hub = Hub::start(ours.server("hub.example", Validity::Now));
    let alive = hub.https(&ours, "GET /healthz HTTP/1.1").await;
    assert!(alive.starts_with("HTTP/1.1 200"), "{alive}");
    let opening = "GET /v1/ws HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==";
    let opened = hub.https(&ours, opening).await;
    assert!(opened.starts_with("HTTP/1.1 101"), "{opened}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_get_in_is_told_why() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let hub = Hub::start(ours.server("hub.example", Validity::Now));
    let elsewhere = Authority::new("elsewhere");
    let other = Hub::start(elsewhere.server_of(&["hub.example"], Validity::Now));
    let error = why(other.connect("localhost", &elsewhere, None).await);
    assert!(matches!(error, HandshakeError::WrongHost), "{error}");
    let error = why(hub.connect("localhost", &theirs, None).await);
    assert!(matches!(error, HandshakeError::UnknownIssuer), "{error}");
    // Without TLS, on a port with it, and the other way round.
    let clear = Client::connect(Address::from(hub.server.native()), Config::default()).await;
    assert!(clear.is_err());
    let plain = Server::start();
    let mut config = Config::default();
    config.tls.roots = Some(ours.root());
    let error = why(Client::connect(Address::from(plain.native()).with_tls(), config).await);
    assert!(matches!(error, HandshakeError::NotTls), "{error}");
    let metrics = hub.server.until("refusals are told", || {
        let log = hub.server.log();
        (log.contains("does not speak TLS") && log.contains("TLS: the peer does not take")).then_some(log)
    });
    assert!(!metrics.contains("panicked"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_certificate_is_renewed_without_a_restart() {
    let ours = Authority::new("ours");
    let hub = Hub::start(ours.server("hub.example", Validity::Past));
    let error = why(hub.connect("localhost", &ours, None).await);
    assert!(matches!(error, HandshakeError::Expired), "{error}");
    // The files are replaced in place, as a certificate's agent does.
    let renewed = ours.server("hub.example", Validity::Now);
    assert_eq!(renewed, hub.files);
    hub.server.hang_up();
    hub.server.until("it was read", || hub.server.log().contains("server.pem again").then_some(()));
    let client = hub.connect("localhost", &ours, None).await.expect("the new certificate");

    std::fs::write(&hub.files.key, "no key").unwrap();
    hub.server.hang_up();
    hub.server.until("the mistake is told", || {
        hub.server.log().contains("the certificate stays as it was").then_some(())
    });
    assert!(client.flush().await.is_ok(), "connections go on");
    assert!(hub.connect("localhost", &ours, None).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_need_a_certificate_where_it_is_asked_for() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let mut files = ours.server("hub.example", Validity::Now);
    files.client_ca = Some(ours.root());
    let hub = Hub::start(files);
    let good = ours.client("camera", Validity::Now);
    assert!(hub.connect("localhost", &ours, Some(good)).await.is_ok());
    let error = why(hub.connect("localhost", &ours, None).await);
    assert!(matches!(error, HandshakeError::CertificateRequired), "{error}");
    let other = theirs.client("camera", Validity::Now);
    let error = why(hub.connect("localhost", &ours, Some(other)).await);
    assert!(matches!(error, HandshakeError::Refused(_)), "{error}");
}
