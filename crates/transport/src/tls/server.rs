//! A listener's side.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use super::{HandshakeError, LoadError, Stream, pem, provider};

/// Where a listener's certificates are. All are PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate, and those between it and a root, in this order.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The roots of clients' certificates. With them, a client that shows none is refused, and no session is resumed, so that the certificate is
    /// judged with each connection; without, none is asked for.
    pub client_ca: Option<PathBuf>,
}

/// Turns connections that were accepted into encrypted ones. Certificates can be exchanged meanwhile: connections that are there
/// go on with the old.
#[derive(Debug)]
pub struct Acceptor {
    files: Files,
    protocol: &'static [u8],
    config: RwLock<Arc<ServerConfig>>,
}

impl Acceptor {
    /// Reads the files. `protocol` is what is spoken inside, by its name in ALPN (RFC 7301), such as `http/1.1`: a client that asks for
    /// others only is refused, so that no server can be taken for another that has the same certificate.
    ///
    /// # Errors
    /// When a file can't be read, or is not what it should be. Each says which, and what is wrong.
    pub fn load(files: Files, protocol: &'static [u8]) -> Result<Self, LoadError> {
        let config = RwLock::new(read(&files, protocol)?);
        Ok(Self { files, protocol, config })
    }

    /// Reads the files again, for connections to come.
    ///
    /// # Errors
    /// As [`load`](Self::load). Then everything stays as it was.
    pub fn reload(&self) -> Result<(), LoadError> {
        Self::reload_all([self])
    }

    /// The same of several: with all of them, or with none.
    ///
    /// # Errors
    /// As [`load`](Self::load). Then everything stays as it was.
    pub fn reload_all<'a>(acceptors: impl IntoIterator<Item = &'a Self>) -> Result<(), LoadError> {
        let read = |acceptor: &'a Self| Ok((acceptor, read(&acceptor.files, acceptor.protocol)?));
        let read = acceptors.into_iter().map(read).collect::<Result<Vec<_>, LoadError>>()?;
        read.into_iter().for_each(|(acceptor, config)| *acceptor.config.write() = config);
        Ok(())
    }

    /// The certificate's file.
    pub fn certificate(&self) -> &Path {
        &self.files.certificate
    }

    /// The handshake on a connection. It has no limit of time: the caller sets one.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    ///
    /// # Errors
    /// Each says who erred and what to do.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> Result<Stream<S>, HandshakeError> {
        let config = self.config.read().clone();
        let accepted = TlsAcceptor::from(config).accept(stream).await;
        accepted.map(Stream::encrypted).map_err(HandshakeError::of_handshake)
    }
}

fn read(files: &Files, protocol: &[u8]) -> Result<Arc<ServerConfig>, LoadError> {
    let identity = |source| LoadError::Identity { certificate: files.certificate.clone(), source };
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(identity)?;
    let config = match &files.client_ca {
        None => config.with_no_client_auth(),
        Some(path) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(pem::roots(path)?, provider()).build();
            let verifier = verifier
                .map_err(|error| LoadError::ClientRoots { path: path.clone(), reason: error.to_string() })?;
            config.with_client_cert_verifier(verifier)
        }
    };
    let (chain, key) = (pem::certificates(&files.certificate)?, pem::private_key(&files.key)?);
    let mut config = config.with_single_cert(chain, key).map_err(identity)?;
    config.alpn_protocols = vec![protocol.to_vec()];
    if files.client_ca.is_some() {
        // A session that is resumed brings its client's certificate along, which is not judged again: one that has expired would go on to open
        // connections.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(Arc::new(config))
}
