//! What `[[forward]]` may say.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::anyhow;
use nyx_core::ByteSize;
use nyx_protocol::topic::Pattern;
use nyx_transport::Address;
use serde::Deserialize;
use thiserror::Error;

use super::bearer::Bearer;
use super::spool;
use super::tls::Tls;
use crate::config::{Listen, Text};
use crate::exit::{Failure, Outcome};
use crate::serve::Hangups;

/// Topics, and where they go.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Forward {
    pub(super) topics: Text<Pattern>,
    pub(crate) to: Text<Destination>,
    #[serde(default = "Forward::default_batch")]
    batch: usize,
    #[serde(default = "Forward::default_batch_bytes")]
    batch_bytes: Text<ByteSize>,
    #[serde(default = "Forward::default_linger")]
    linger: Text<humantime::Duration>,
    #[serde(default = "Forward::default_timeout")]
    timeout: Text<humantime::Duration>,
    #[serde(default = "Forward::default_retry_max")]
    retry_max: Text<humantime::Duration>,
    #[serde(default = "Forward::default_retry_after_max")]
    retry_after_max: Text<humantime::Duration>,
    #[serde(default = "Forward::default_spool")]
    spool: Text<ByteSize>,
    /// A file with the token that is shown to the service.
    token_file: Option<PathBuf>,
    #[serde(default)]
    token_in_clear: bool,
    #[serde(flatten)]
    pub(super) tls: Tls,
}

impl Forward {
    const fn default_batch() -> usize {
        1
    }

    const fn default_batch_bytes() -> Text<ByteSize> {
        Text(ByteSize::new(256 * 1024))
    }

    fn default_linger() -> Text<humantime::Duration> {
        Text(Duration::ZERO.into())
    }

    fn default_timeout() -> Text<humantime::Duration> {
        Text(Duration::from_secs(5).into())
    }

    fn default_retry_max() -> Text<humantime::Duration> {
        Text(Duration::from_secs(5).into())
    }

    fn default_retry_after_max() -> Text<humantime::Duration> {
        Text(Duration::from_secs(60).into())
    }

    const fn default_spool() -> Text<ByteSize> {
        Text(ByteSize::new(16 * 1024 * 1024))
    }

    /// Paths that are relative are relative to the configuration's folder.
    pub(crate) fn resolve(&mut self, folder: &Path) {
        self.tls.resolve(folder);
        self.token_file.iter_mut().for_each(|path| *path = folder.join(&*path));
    }

    /// Refuses to forward to this server itself, as what it forwards it would get again, without end; and by settings with which nothing arrives.
    pub(super) fn check(&self, listen: &Listen) -> Outcome {
        let zero = [
            ("timeout", self.timeout().is_zero()),
            ("spool", self.spool.0.bytes() == 0),
            ("batch", self.batch == 0),
        ];
        if let Some((name, _)) = zero.into_iter().find(|(_, is_zero)| *is_zero) {
            return Err(Failure::usage(anyhow!(
                "forwarding to {}: with a {name} of 0 nothing would arrive",
                self.to.0
            )));
        }
        if self.retry().max.is_zero() {
            return Err(Failure::usage(anyhow!(
                "forwarding to {}: with a retry_max of 0 a service that is away would be called without a pause",
                self.to.0
            )));
        }
        self.check_token()?;
        let address = self.to.0.address();
        let own = [listen.native, listen.http]
            .into_iter()
            .any(|own| own.port() == address.port() && reaches(address.host(), own.ip()));
        if own {
            return Err(Failure::usage(anyhow!(
                "forwarding to {} would be to this server itself",
                self.to.0
            )));
        }
        Ok(())
    }

    /// Refuses a token that could not be shown, or that others could read on the way.
    fn check_token(&self) -> Outcome {
        let (to, address) = (&self.to.0, self.to.0.address());
        let what = match to {
            _ if self.token_file.is_none() => return Ok(()),
            Destination::Lines(_) => "lines have no place for a token: leave token_file out",
            _ if address.is_tls() || self.token_in_clear || is_loopback(address.host()) => return Ok(()),
            _ => {
                "whoever is on the way could read its token: write https:// or nyxs://, or \
                 token_in_clear = true if everybody on that network is trusted"
            }
        };
        Err(Failure::usage(anyhow!("forwarding to {to}: {what}")))
    }

    /// Who it is where it sends to.
    pub(super) fn bearer(&self, hangups: Hangups) -> Outcome<Option<Bearer>> {
        let load = |path: &PathBuf| Bearer::load(path.clone(), hangups);
        self.token_file.as_ref().map(load).transpose()
    }

    /// The most that is believed of what a service says about when to come back.
    pub(super) fn retry_after_max(&self) -> Duration {
        self.retry_after_max.0.into()
    }

    /// How long the sink may take for one batch.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout.0.into()
    }

    /// Whether several items are one request.
    pub(super) const fn is_batched(&self) -> bool {
        self.batch > 1
    }

    pub(super) fn retry(&self) -> nyx_transport::pool::backoff::Config {
        let mut retry = nyx_transport::pool::backoff::Config::default();
        retry.max = self.retry_max.0.into();
        retry.first = retry.first.min(retry.max);
        retry
    }

    pub(super) fn spool(&self) -> spool::Config {
        spool::Config {
            batch: self.batch,
            batch_bytes: self.batch_bytes.0.len(),
            linger: self.linger.0.into(),
            bytes: self.spool.0.len(),
            // It stands in front of a request, and with each item for another hub.
            by_trail: matches!(self.to.0, Destination::Http { .. }),
            retry: self.retry(),
        }
    }
}

/// Where things go: `http://host:port/path`, `tcp://host:port` or `nyx://host:port`; encrypted, `https://`, `tls://` and `nyxs://`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Destination {
    /// A request for each batch.
    Http { address: Address, host: String, path: String },
    /// A line of JSON for each item.
    Lines(Address),
    /// Another hub.
    Hub(Address),
}

impl Destination {
    pub(crate) const fn address(&self) -> &Address {
        match self {
            Self::Http { address, .. } | Self::Lines(address) | Self::Hub(address) => address,
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_tls = self.address().is_tls();
        match self {
            Self::Http { host, path, .. } => {
                write!(f, "http{}://{host}{path}", if is_tls { "s" } else { "" })
            }
            Self::Lines(address) => {
                let address = address.to_string();
                let rest = address.split_once("://").map_or("", |(_, rest)| rest);
                write!(f, "{}://{rest}", if is_tls { "tls" } else { "tcp" })
            }
            Self::Hub(address) => write!(f, "{address}"),
        }
    }
}

impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        let parse =
            |address: &str| -> Result<Address, _> { address.parse().map_err(|_| DestinationError::Address) };
        match text.split_once("://") {
            Some((scheme @ ("http" | "https"), rest)) => {
                let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                let has_port = !host.ends_with(']') && host.rsplit_once(':').is_some();
                let port = if scheme == "https" { 443 } else { 80 };
                let address = parse(&if has_port { host.to_owned() } else { format!("{host}:{port}") })?;
                let address = if scheme == "https" { address.with_tls() } else { address };
                let path = if path.is_empty() { "/" } else { path };
                if path.parse::<axum::http::Uri>().is_err() {
                    return Err(DestinationError::Path);
                }
                Ok(Self::Http { address, host: host.to_owned(), path: path.to_owned() })
            }
            Some(("tcp", rest)) if rest.contains(':') => parse(rest).map(Self::Lines),
            Some(("tls", rest)) if rest.contains(':') => parse(rest).map(Address::with_tls).map(Self::Lines),
            Some(("nyx" | "nyxs", _)) => parse(text).map(Self::Hub),
            _ => Err(DestinationError::Scheme),
        }
    }
}

/// Whether who connects to `host` reaches what listens on `own`, as far as that can be told without asking for names.
fn reaches(host: &str, own: IpAddr) -> bool {
    let here = |ip: IpAddr| match ip.to_canonical() {
        ip if own.is_unspecified() => ip.is_unspecified() || is_of_this_machine(ip),
        ip => ip == own.to_canonical() || ip.is_unspecified() && own.is_loopback(),
    };
    match host.parse::<IpAddr>() {
        Ok(ip) => here(ip),
        Err(_) if is_localhost(host) => here(Ipv4Addr::LOCALHOST.into()) || here(Ipv6Addr::LOCALHOST.into()),
        Err(_) => false,
    }
}

/// Whether what goes to `host` stays on this machine, as far as that can be told without asking for names.
fn is_loopback(host: &str) -> bool {
    host.parse::<IpAddr>().map_or_else(|_| is_localhost(host), |ip| ip.to_canonical().is_loopback())
}

/// RFC 6761, section 6.3.
fn is_localhost(host: &str) -> bool {
    host.trim_end_matches('.').eq_ignore_ascii_case("localhost")
}

/// Only what is this machine's can be bound.
fn is_of_this_machine(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

/// What is wrong with a destination.
#[derive(Debug, PartialEq, Error)]
pub(crate) enum DestinationError {
    #[error(
        "write http://host:port/path, tcp://host:port or nyx://host:port, or with TLS https://, tls:// or nyxs://"
    )]
    Scheme,
    #[error("its host or port is none: write http://host:port/path, tcp://host:port or nyx://host:port")]
    Address,
    #[error("its path has characters that no path has")]
    Path,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_server_itself_is_known_by_all_its_addresses() {
        let own = |to: &str, native: &str| {
            let settings = format!("topics = '**'\nto = '{to}'");
            let listen = format!("native = '{native}'\nhttp = '127.0.0.1:6991'");
            toml::from_str::<Forward>(&settings).unwrap().check(&toml::from_str(&listen).unwrap()).is_err()
        };
        for to in [
            "nyx://127.0.0.1",
            "nyx://localhost",
            "nyxs://LocalHost.:6990",
            "tcp://0.0.0.0:6990",
            "http://localhost:6991/x",
        ] {
            assert!(own(to, "127.0.0.1:6990"), "{to}");
            assert!(own(to, "0.0.0.0:6990"), "{to}");
        }
        assert!(own("nyx://[::1]", "[::1]:6990") && own("nyx://localhost", "[::1]:6990"));
        for to in [
            "nyx://localhost:7000",
            "nyx://127.0.0.2",
            "nyx://198.51.100.7",
            "nyx://localhost.example",
            "http://localhost:6990/",
        ] {
            assert_eq!(own(to, "127.0.0.1:6990"), to.starts_with("http:"), "{to}");
        }
        assert!(!own("nyx://198.51.100.7", "0.0.0.0:6990"));
    }

    #[test]
    fn a_service_that_is_away_is_not_called_without_a_pause() {
        let check = |more: &str| {
            let text = format!("topics = '**'\nto = 'http://127.0.0.1:1'\n{more}");
            toml::from_str::<Forward>(&text).unwrap().check(&Listen::default())
        };
        assert!(check("retry_max = '0s'").is_err() && check("retry_max = '1ms'").is_ok());
    }

    #[test]
    fn a_token_is_not_shown_to_who_is_on_the_way() {
        let refused = |to: &str, more: &str| {
            let text = format!("topics = '**'\nto = '{to}'\ntoken_file = 'token'\n{more}");
            let settings: Forward = toml::from_str(&text).unwrap();
            settings.check(&Listen::default()).is_err()
        };
        for to in
            ["nyx://198.51.100.7", "http://hub.example/", "http://localhost.example/", "http://0.0.0.0:80/"]
        {
            assert!(refused(to, "") && !refused(to, "token_in_clear = true"), "{to}");
        }
        for to in [
            "nyxs://198.51.100.7",
            "https://hub.example/",
            "nyx://127.0.0.1:7000",
            "http://[::1]:7000/",
            "http://LOCALHOST:7000/",
        ] {
            assert!(!refused(to, ""), "{to}");
        }
        for to in ["tcp://127.0.0.1:9000", "tls://127.0.0.1:9000"] {
            assert!(refused(to, "") && refused(to, "token_in_clear = true"), "{to}");
        }
    }

    #[test]
    fn destinations_are_told_by_their_scheme() {
        let text = |text: &str| text.parse::<Destination>().map(|to| (to.to_string(), to.address().port()));
        assert_eq!(
            text("http://localhost:8000/update?a=b"),
            Ok(("http://localhost:8000/update?a=b".to_owned(), 8000))
        );
        assert_eq!(text("http://[::1]"), Ok(("http://[::1]/".to_owned(), 80)));
        assert_eq!(text("tcp://127.0.0.1:9000"), Ok(("tcp://127.0.0.1:9000".to_owned(), 9000)));
        assert_eq!(text("nyx://other"), Ok(("nyx://other:6990".to_owned(), 6990)));
        assert_eq!(text("tcp://127.0.0.1"), Err(DestinationError::Scheme));
        assert_eq!(text("https://a/b"), Ok(("https://a/b".to_owned(), 443)));
        assert_eq!(text("https://a:8443"), Ok(("https://a:8443/".to_owned(), 8443)));
        assert_eq!(text("tls://[::1]:9000"), Ok(("tls://[::1]:9000".to_owned(), 9000)));
        assert_eq!(text("nyxs://other"), Ok(("nyxs://other:6990".to_owned(), 6990)));
        assert_eq!(text("tls://a"), Err(DestinationError::Scheme));
        assert_eq!(text("http://a b"), Err(DestinationError::Address));
        assert_eq!(text("http://a/b c"), Err(DestinationError::Path));
        assert_eq!(text("a:1"), Err(DestinationError::Scheme));
    }
}
