//! Whom a forwarder trusts, and who it is.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use nyx_client::tls::client::{Config, Connector, Identity};
use serde::Deserialize;

use super::settings::Destination;
use crate::exit::{Failure, Outcome};

/// Files for encrypted destinations.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub(crate) struct Tls {
    /// The roots that may have signed the service's certificate, PEM, instead of the system's.
    ca: Option<PathBuf>,
    /// A certificate to show to it, PEM.
    certificate: Option<PathBuf>,
    /// Its private key, PEM.
    key: Option<PathBuf>,
}

impl Tls {
    /// Paths that are relative are relative to the configuration's folder.
    pub(super) fn resolve(&mut self, folder: &Path) {
        for path in [&mut self.ca, &mut self.certificate, &mut self.key].into_iter().flatten() {
            *path = folder.join(&*path);
        }
    }

    /// What makes connections to `to` encrypted; `None` where it is not to be.
    pub(super) fn connector(&self, to: &Destination, protocol: &'static [u8]) -> Outcome<Option<Connector>> {
        if self.certificate.is_some() != self.key.is_some() {
            return Err(Failure::usage(anyhow!("forwarding to {to}: certificate and key go together")));
        }
        if to.address().is_tls() {
            return Connector::new(&self.client(), protocol).map(Some).map_err(Failure::usage);
        }
        if *self != Self::default() {
            let what = "has certificates, and is not encrypted: write https://, tls:// or nyxs://";
            return Err(Failure::usage(anyhow!("forwarding to {to} {what}")));
        }
        Ok(None)
    }

    /// The same for a client of another hub.
    pub(super) fn client(&self) -> Config {
        let mut config = Config::default();
        config.roots.clone_from(&self.ca);
        let files = self.certificate.clone().zip(self.key.clone());
        config.identity = files.map(|(certificate, key)| Identity { certificate, key });
        config
    }
}
