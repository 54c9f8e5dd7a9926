//! Certificates and keys from files.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::LoadError;

/// The certificates of a file, of which there is at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, LoadError> {
    let read = CertificateDer::pem_file_iter(path).map_err(|error| broken(path, "certificate", error))?;
    let chain = read.collect::<Result<Vec<_>, _>>().map_err(|error| broken(path, "certificate", error))?;
    if chain.is_empty() {
        return Err(LoadError::Missing { path: path.to_owned(), what: "certificate" });
    }
    Ok(chain)
}

/// The first private key of a file.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, LoadError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| broken(path, "private key", error))
}

/// Those whom a file says to trust.
pub(super) fn roots(path: &Path) -> Result<Arc<RootCertStore>, LoadError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|source| LoadError::Unusable { path: path.to_owned(), source })?;
    }
    Ok(Arc::new(roots))
}

fn broken(path: &Path, what: &'static str, error: pem::Error) -> LoadError {
    let path = path.to_owned();
    match error {
        pem::Error::Io(source) => LoadError::Io { path, source },
        pem::Error::NoItemsFound => LoadError::Missing { path, what },
        error => LoadError::Pem { path, what, reason: error.to_string() },
    }
}
