//! A caller's side.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::{HandshakeError, LoadError, Stream, pem, provider};

/// Whom a client trusts, and who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The roots that may have signed a server's certificate, PEM. `None`: those that the system trusts.
    pub roots: Option<PathBuf>,
    /// The certificate that is shown to servers that ask for one. `None`: there is none.
    pub identity: Option<Identity>,
}

/// Where a certificate and its key are. Both are PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, and those between it and a root, in this order.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Turns connections into encrypted ones. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Connector(Arc<ClientConfig>);

impl Connector {
    /// Reads the files. `protocol` is what is spoken inside, by its name in ALPN (RFC 7301); where it is empty none is named.
    ///
    /// # Errors
    /// When a file can't be read, or is not what it should be. Each says which, and what is wrong.
    pub fn new(config: &Config, protocol: &'static [u8]) -> Result<Self, LoadError> {
        let roots = match &config.roots {
            Some(path) => pem::roots(path)?,
            None => system_roots()?,
        };
        let unusable = |source| LoadError::Unusable { path: PathBuf::new(), source };
        let made = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_root_certificates(roots);
        let mut made = match &config.identity {
            None => made.with_no_client_auth(),
            Some(Identity { certificate, key }) => {
                let (chain, key) = (pem::certificates(certificate)?, pem::private_key(key)?);
                made.with_client_auth_cert(chain, key)
                    .map_err(|source| LoadError::Identity { certificate: certificate.clone(), source })?
            }
        };
        if !protocol.is_empty() {
            made.alpn_protocols = vec![protocol.to_vec()];
        }
        Ok(Self(Arc::new(made)))
    }

    /// The handshake on a connection to `host`, a name or an IP address that the server's certificate has to have. It has no
    /// limit of time: the caller sets one.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    ///
    /// # Errors
    /// Each says who erred and what to do. That the server does not take this side's certificate shows only with the first read:
    /// see [`HandshakeError::of_stream`].
    pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        host: &str,
        stream: S,
    ) -> Result<Stream<S>, HandshakeError> {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| HandshakeError::Name(host.to_owned()))?;
        let connected = TlsConnector::from(self.0.clone()).connect(name, stream).await;
        connected.map(Stream::encrypted).map_err(HandshakeError::of_handshake)
    }
}

/// Those that can be read; some systems have a few that can't.
fn system_roots() -> Result<Arc<RootCertStore>, LoadError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(LoadError::NoSystemRoots);
    }
    Ok(Arc::new(roots))
}
