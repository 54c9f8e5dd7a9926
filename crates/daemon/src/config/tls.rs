//! With what certificate, and whether clients need one.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use nyx_transport::tls::server::{Acceptor, Files};
use serde::Deserialize;

use crate::exit::{Failure, Outcome};

/// Certificates. Without one, connections are not encrypted.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tls {
    /// The hub's certificate and those between it and a root, PEM.
    certificate: Option<PathBuf>,
    /// Its private key, PEM.
    key: Option<PathBuf>,
    /// Who signs clients' certificates. With it, clients have to show one.
    client_ca: Option<PathBuf>,
}

impl Tls {
    /// Whether connections are encrypted.
    pub(crate) const fn is_on(&self) -> bool {
        self.certificate.is_some()
    }

    /// Whether clients have to show a certificate.
    pub(crate) const fn asks_clients(&self) -> bool {
        self.is_on() && self.client_ca.is_some()
    }

    /// Paths that are relative are relative to the configuration's folder.
    pub(super) fn resolve(&mut self, folder: &Path) {
        for path in [&mut self.certificate, &mut self.key, &mut self.client_ca].into_iter().flatten() {
            *path = folder.join(&*path);
        }
    }

    /// Reads what connections would be encrypted with, to see whether it is good.
    pub(super) fn check(&self) -> Outcome {
        let Some(files) = self.files()? else { return Ok(()) };
        Acceptor::load(files, b"nyx/1").map(drop).map_err(Failure::usage)
    }

    /// The files, if all are named that belong together.
    pub(crate) fn files(&self) -> Outcome<Option<Files>> {
        match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Ok(Some(Files {
                certificate: certificate.clone(),
                key: key.clone(),
                client_ca: self.client_ca.clone(),
            })),
            (None, None) if self.client_ca.is_none() => Ok(None),
            _ => Err(Failure::usage(anyhow!(
                "tls wants both certificate and key, and client_ca wants these two"
            ))),
        }
    }
}
