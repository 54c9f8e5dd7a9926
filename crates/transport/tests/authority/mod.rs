//! Certificates for tests, in files that go with it.
#![allow(dead_code, reason = "each test uses a part")]

use std::path::{Path, PathBuf};

use nyx_transport::tls::client::Identity;
use nyx_transport::tls::server::Files;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use tempfile::TempDir;

/// When a certificate holds.
#[derive(Clone, Copy)]
pub(crate) enum Validity {
    Now,
    Past,
    Future,
}

/// Somebody who signs certificates.
pub(crate) struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a root");
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Self { folder, issuer };
        authority.write("root.pem", &authority.issuer.pem());
        authority.write("root.key", &authority.issuer.key().serialize_pem());
        authority
    }

    /// The file of its root.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }

    /// Its root as if that were a server's.
    pub(crate) fn root_as_server(&self) -> Files {
        Files { certificate: self.root(), key: self.root().with_extension("key"), client_ca: None }
    }

    /// A certificate for `host`, and for this machine by number.
    pub(crate) fn server(&self, host: &str, validity: Validity) -> Files {
        self.server_of(&[host, "localhost", "127.0.0.1"], validity)
    }

    /// A certificate for these names alone.
    pub(crate) fn server_of(&self, names: &[&str], validity: Validity) -> Files {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let (certificate, key) = self.issue("server", names, validity);
        Files { certificate, key, client_ca: None }
    }

    pub(crate) fn client(&self, name: &str, validity: Validity) -> Identity {
        let (certificate, key) = self.issue("client", vec![name.to_owned()], validity);
        Identity { certificate, key }
    }

    fn issue(&self, stem: &str, names: Vec<String>, validity: Validity) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(names).expect("names");
        let (from, to) = match validity {
            Validity::Now => (2020, 2200),
            Validity::Past => (2020, 2021),
            Validity::Future => (2190, 2200),
        };
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        (
            self.write(&format!("{stem}.pem"), &certificate.pem()),
            self.write(&format!("{stem}.key"), &key.serialize_pem()),
        )
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path: &Path = self.folder.path();
        let path = path.join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }
}
