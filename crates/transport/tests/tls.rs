//! Handshakes between both sides: who is taken, who is not, and what is said about it. Certificates are made here.
#![cfg(feature = "tls")]

mod authority;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use authority::{Authority, Validity};
use nyx_transport::tls::client::{Config, Connector, Identity};
use nyx_transport::tls::server::{Acceptor, Files};
use nyx_transport::tls::{HandshakeError, LoadError, Stream, UNSENT_MAX};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex,
};
use tokio_rustls::TlsConnector;

const PROTOCOL: &[u8] = b"test/1";

type Side<S = DuplexStream> = Result<Stream<S>, HandshakeError>;

async fn handshake(acceptor: &Acceptor, connector: &Connector, host: &str) -> (Side, Side) {
    let (near, far) = duplex(64 * 1024);
    tokio::join!(acceptor.accept(far), connector.connect(host, near))
}

fn acceptor(server: &Files) -> Acceptor {
    Acceptor::load(server.clone(), PROTOCOL).expect("the files are good")
}

fn connector(roots: &Authority, identity: Option<Identity>) -> Connector {
    let mut config = Config::default();
    config.roots = Some(roots.root());
    config.identity = identity;
    Connector::new(&config, PROTOCOL).expect("the files are good")
}

/// What the client learns in the end, at the latest from its first read.
async fn learns(client: Side) -> HandshakeError {
    let mut stream = match client {
        Err(error) => return error,
        Ok(stream) => stream,
    };
    let error = stream.read_u8().await.expect_err("the server has ended it");
    HandshakeError::of_stream(error).expect("an error of TLS")
}

#[tokio::test]
async fn what_one_side_says_the_other_hears() {
    let ours = Authority::new("ours");
    let acceptor = acceptor(&ours.server("hub.example", Validity::Now));
    for host in ["hub.example", "127.0.0.1"] {
        let (server, client) = handshake(&acceptor, &connector(&ours, None), host).await;
        let (mut server, mut client) = (server.unwrap(), client.unwrap());
        assert!(server.is_encrypted() && client.is_encrypted());
        client.write_all(b"hello").await.unwrap();
        client.flush().await.unwrap();
        let mut heard = [0; 5];
        server.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"hello");
    }
}

#[tokio::test]
async fn a_client_says_what_is_wrong_with_the_server_s_certificate() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    for (validity, host, roots, expected) in [
        (Validity::Past, "hub.example", &ours, "not_valid_now"),
        (Validity::Future, "hub.example", &ours, "not_valid_now"),
        (Validity::Now, "other.example", &ours, "wrong_host"),
        (Validity::Now, "hub.example", &theirs, "unknown_issuer"),
    ] {
        let acceptor = acceptor(&ours.server("hub.example", validity));
        let (server, client) = handshake(&acceptor, &connector(roots, None), host).await;
        let error = client.expect_err(expected);
        assert_eq!(error.name(), expected, "{error}");
        let error = server.expect_err("the server learns of it");
        assert_eq!(error.name(), "refused_by_peer", "{error}");
    }
}

#[tokio::test]
async fn an_authority_s_certificate_is_no_server_s_and_what_to_do_is_said() {
    let ours = Authority::new("ours");
    let acceptor = acceptor(&ours.root_as_server());
    let (_, client) = handshake(&acceptor, &connector(&ours, None), "hub.example").await;
    let error = client.expect_err("it is one to sign with");
    assert!(matches!(error, HandshakeError::IsAuthority), "{error}");
    assert!(error.to_string().contains("CA:FALSE"), "{error}");
}

#[tokio::test]
async fn a_server_that_asks_for_certificates_takes_good_ones_only() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let mut files = ours.server("hub.example", Validity::Now);
    files.client_ca = Some(ours.root());
    let acceptor = acceptor(&files);

    let good = Some(ours.client("camera", Validity::Now));
    let (server, client) = handshake(&acceptor, &connector(&ours, good), "hub.example").await;
    assert!(server.is_ok() && client.is_ok());

    for (identity, at_server, at_client) in [
        (None, "certificate_required", "certificate_required"),
        (Some(theirs.client("camera", Validity::Now)), "unknown_issuer", "refused_by_peer"),
        (Some(ours.client("camera", Validity::Past)), "not_valid_now", "refused_by_peer"),
    ] {
        let (server, client) = handshake(&acceptor, &connector(&ours, identity), "hub.example").await;
        assert_eq!(server.expect_err(at_server).name(), at_server);
        assert_eq!(learns(client).await.name(), at_client);
    }
}

#[tokio::test]
async fn a_client_s_certificate_is_judged_with_each_connection() {
    let ours = Authority::new("ours");
    let mut files = ours.server("hub.example", Validity::Now);
    assert_eq!(second_handshake(&ours, &files).await, HandshakeKind::Resumed);
    files.client_ca = Some(ours.root());
    // In a session that is resumed it would not be: it may have expired.
    assert_eq!(second_handshake(&ours, &files).await, HandshakeKind::Full);
}

/// How the second connection of a client begins that would resume the session of the first.
async fn second_handshake(ours: &Authority, files: &Files) -> HandshakeKind {
    let acceptor = acceptor(files);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ours.root()).unwrap()).unwrap();
    let Identity { certificate, key } = ours.client("camera", Validity::Now);
    let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap())
        .unwrap();
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    let mut kind = None;
    for _ in 0..2 {
        let (near, far) = duplex(64 * 1024);
        let name = "hub.example".try_into().unwrap();
        let (server, client) = tokio::join!(acceptor.accept(far), connector.connect(name, near));
        let (mut server, mut client) = (server.unwrap(), client.unwrap());
        // What the session could be resumed by comes before this.
        server.write_all(b"hello").await.unwrap();
        server.flush().await.unwrap();
        client.read_exact(&mut [0; 5]).await.unwrap();
        kind = client.get_ref().1.handshake_kind();
    }
    kind.unwrap()
}

#[tokio::test]
async fn what_speaks_no_tls_is_told_apart() {
    let ours = Authority::new("ours");
    let acceptor = acceptor(&ours.server("hub.example", Validity::Now));
    let (mut near, far) = duplex(1024);
    let (server, ()) = tokio::join!(acceptor.accept(far), async {
        near.write_all(b"GET / HTTP/1.1\r\nhost: hub.example\r\n\r\n").await.unwrap();
    });
    assert_eq!(server.unwrap_err().name(), "not_tls");

    let (near, mut far) = duplex(1024);
    let connector = connector(&ours, None);
    let (client, ()) = tokio::join!(connector.connect("hub.example", near), async {
        far.write_all(&[0; 64]).await.unwrap();
    });
    assert_eq!(client.unwrap_err().name(), "not_tls");

    let (near, far) = duplex(1024);
    drop(near);
    assert_eq!(acceptor.accept(far).await.unwrap_err().name(), "closed");
}

#[tokio::test]
async fn another_protocol_on_the_same_certificate_is_refused() {
    let ours = Authority::new("ours");
    let acceptor = acceptor(&ours.server("hub.example", Validity::Now));
    let mut config = Config::default();
    config.roots = Some(ours.root());
    let other = Connector::new(&config, b"other/1").unwrap();
    let (server, client) = handshake(&acceptor, &other, "hub.example").await;
    assert_eq!(server.unwrap_err().name(), "incompatible");
    assert_eq!(client.unwrap_err().name(), "incompatible");
}

#[tokio::test]
async fn a_certificate_is_exchanged_for_connections_to_come() {
    let (ours, next) = (Authority::new("ours"), Authority::new("next"));
    let files = ours.server("hub.example", Validity::Now);
    let acceptor = acceptor(&files);
    let (server, client) = handshake(&acceptor, &connector(&ours, None), "hub.example").await;
    let (mut server, mut client) = (server.unwrap(), client.unwrap());

    let renewed = next.server("hub.example", Validity::Now);
    std::fs::copy(&renewed.certificate, &files.certificate).unwrap();
    // Half of it is no pair: the old one stays.
    assert!(matches!(acceptor.reload(), Err(LoadError::Identity { .. })));
    assert!(handshake(&acceptor, &connector(&ours, None), "hub.example").await.1.is_ok());
    std::fs::copy(&renewed.key, &files.key).unwrap();
    acceptor.reload().unwrap();
    assert!(handshake(&acceptor, &connector(&next, None), "hub.example").await.1.is_ok());
    assert!(handshake(&acceptor, &connector(&ours, None), "hub.example").await.1.is_err());

    // Of several all are exchanged, or none is.
    let theirs = Authority::new("theirs");
    let their_files = theirs.server("other.example", Validity::Now);
    let other = self::acceptor(&their_files);
    std::fs::copy(&their_files.key, &their_files.certificate).unwrap();
    next.server("hub.example", Validity::Past);
    std::fs::copy(&renewed.certificate, &files.certificate).unwrap();
    std::fs::copy(&renewed.key, &files.key).unwrap();
    assert!(Acceptor::reload_all([&acceptor, &other]).is_err());
    assert!(handshake(&acceptor, &connector(&next, None), "hub.example").await.1.is_ok());

    client.write_all(b"still here").await.unwrap();
    client.flush().await.unwrap();
    let mut heard = [0; 10];
    server.read_exact(&mut heard).await.unwrap();
}

#[test]
fn files_that_are_no_certificates_are_named() {
    let ours = Authority::new("ours");
    let good = ours.server("hub.example", Validity::Now);
    let load = |files: Files| Acceptor::load(files, PROTOCOL).map(drop).expect_err("a bad file");
    let swapped = Files { certificate: good.key.clone(), key: good.certificate.clone(), ..good.clone() };
    assert!(matches!(load(swapped), LoadError::Missing { what: "certificate", .. }));
    let keyless = Files { key: good.certificate.clone(), ..good.clone() };
    assert!(matches!(load(keyless), LoadError::Missing { what: "private key", .. }));
    let gone = Files { certificate: "/nowhere/at/all.pem".into(), ..good.clone() };
    assert!(load(gone).to_string().contains("/nowhere/at/all.pem"));
}

/// A pipe that takes no more once it is stuffed.
#[derive(Debug)]
struct Stuffed {
    pipe: DuplexStream,
    is_stuffed: bool,
    taken: usize,
}

impl AsyncRead for Stuffed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stuffed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_stuffed {
            return Poll::Pending;
        }
        let written = Pin::new(&mut self.pipe).poll_write(cx, data);
        if let Poll::Ready(Ok(n)) = written {
            self.taken += n;
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

/// What a peer that reads nothing costs: one record, however much is to be written, and in how many pieces.
#[tokio::test]
async fn a_socket_that_takes_no_more_is_not_written_past() {
    let ours = Authority::new("ours");
    let acceptor = acceptor(&ours.server("hub.example", Validity::Now));
    let connector = connector(&ours, None);
    let (near, far) = duplex(1 << 20);
    let far = Stuffed { pipe: far, is_stuffed: false, taken: 0 };
    let (server, client) = tokio::join!(acceptor.accept(far), connector.connect("hub.example", near));
    let (mut server, _client) = (server.unwrap(), client.unwrap());
    server.flush().await.unwrap();
    let mut cx = Context::from_waker(Waker::noop());

    // While it takes everything, nothing stays behind.
    let data = vec![7; 1 << 20];
    let written = poll_fn(|cx| Pin::new(&mut server).poll_write(cx, &data)).await.unwrap();
    assert!(written >= UNSENT_MAX && server.socket().taken >= written, "{written}");
    assert!(Pin::new(&mut server).poll_flush(&mut cx).is_ready());

    server.socket_mut().is_stuffed = true;
    let mut accepted = 0;
    for round in 0..100 {
        let poll = match round % 2 {
            0 => Pin::new(&mut server).poll_write(&mut cx, &data),
            _ => {
                let slices: Vec<_> = data.chunks(5_000).map(io::IoSlice::new).collect();
                Pin::new(&mut server).poll_write_vectored(&mut cx, &slices)
            }
        };
        if let Poll::Ready(n) = poll {
            accepted += n.unwrap();
        }
    }
    assert!(0 < accepted && accepted <= UNSENT_MAX, "{accepted} bytes wait");
    assert!(Pin::new(&mut server).poll_flush(&mut cx).is_pending());
}
