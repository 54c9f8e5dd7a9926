//! Where a hub listens.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The port of the native protocol.
pub const DEFAULT_PORT: u16 = 6990;

/// A host and a port, written `nyx://host:port`, `host:port` or `host`; `nyxs://` instead asks for TLS, and `udp://` for datagrams.
///
/// An IPv6 address stands in brackets when a port follows it.
///
/// ```
/// use nyx_transport::Address;
///
/// let address: Address = "nyx://[::1]:7000".parse().unwrap();
/// assert_eq!((address.host(), address.port()), ("::1", 7000));
/// assert_eq!(address.to_string(), "nyx://[::1]:7000");
/// assert_eq!("example.org".parse::<Address>().unwrap().port(), 6990);
/// assert!("nyxs://example.org".parse::<Address>().unwrap().is_tls());
/// assert!("udp://example.org".parse::<Address>().unwrap().is_udp());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    host: String,
    port: u16,
    way: Way,
}

/// How it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Way {
    Tcp,
    Tls,
    Udp,
}

impl Way {
    const ALL: [Self; 3] = [Self::Tcp, Self::Tls, Self::Udp];

    const fn scheme(self) -> &'static str {
        match self {
            Self::Tcp => "nyx",
            Self::Tls => "nyxs",
            Self::Udp => "udp",
        }
    }
}

impl Address {
    /// The host: a name, or an IP address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether the connection is to be encrypted.
    pub const fn is_tls(&self) -> bool {
        matches!(self.way, Way::Tls)
    }

    /// Whether it is reached by datagrams.
    pub const fn is_udp(&self) -> bool {
        matches!(self.way, Way::Udp)
    }

    /// The same by datagrams.
    #[must_use]
    pub fn with_udp(self) -> Self {
        Self { way: Way::Udp, ..self }
    }

    /// The same, encrypted.
    #[must_use]
    pub fn with_tls(self) -> Self {
        Self { way: Way::Tls, ..self }
    }
}

impl Default for Address {
    /// The hub of this machine, on the default port.
    fn default() -> Self {
        Self { host: "127.0.0.1".to_owned(), port: DEFAULT_PORT, way: Way::Tcp }
    }
}

impl From<std::net::SocketAddr> for Address {
    fn from(socket: std::net::SocketAddr) -> Self {
        Self { host: socket.ip().to_string(), port: socket.port(), way: Way::Tcp }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.way.scheme();
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (rest, way) = match text.split_once("://") {
            None => (text, Way::Tcp),
            Some((scheme, rest)) => {
                let way = Way::ALL.into_iter().find(|way| way.scheme() == scheme);
                let way = way.ok_or_else(|| AddressError::Scheme(scheme.to_owned()))?;
                (rest.strip_suffix('/').unwrap_or(rest), way)
            }
        };
        let (host, port) = split_port(rest)?;
        let port = port.map_or(Ok(DEFAULT_PORT), parse_port)?;
        if host.is_empty() {
            return Err(AddressError::NoHost);
        }
        if host.contains(|c: char| c.is_whitespace() || c.is_control() || "/@?#[]".contains(c)) {
            return Err(AddressError::Host(host.to_owned()));
        }
        Ok(Self { host: host.to_owned(), port, way })
    }
}

/// The host without brackets, and what stands for the port.
fn split_port(text: &str) -> Result<(&str, Option<&str>), AddressError> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or(AddressError::Brackets)?;
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(AddressError::Host(host.to_owned()));
        }
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(AddressError::Brackets),
        };
    }
    match text.split_once(':') {
        // A bare IPv6 address has no port; one that only looks like it is told about the brackets.
        Some((_, rest)) if rest.contains(':') => {
            text.parse::<std::net::Ipv6Addr>().map(|_| (text, None)).map_err(|_| AddressError::Brackets)
        }
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((text, None)),
    }
}

fn parse_port(port: &str) -> Result<u16, AddressError> {
    port.parse().ok().filter(|&port| port != 0).ok_or_else(|| AddressError::Port(port.to_owned()))
}

/// What is wrong with the text of an [`Address`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Another scheme than `nyx` and `nyxs`.
    #[error("`{0}://` is no address of a hub: write nyx://host:port, for example nyx://127.0.0.1:6990")]
    Scheme(String),
    /// There is no host.
    #[error("the address has no host: write nyx://host:port, for example nyx://127.0.0.1:6990")]
    NoHost,
    /// The host is neither a name nor an IP address.
    #[error("`{0}` is no host: write a name or an IP address, for example nyx://127.0.0.1:6990")]
    Host(String),
    /// The port is no number from 1 to 65535.
    #[error("`{0}` is no port: write a number from 1 to 65535, or leave it out for 6990")]
    Port(String),
    /// An IPv6 address without its brackets.
    #[error("an IPv6 address with a port stands in brackets: write nyx://[::1]:6990")]
    Brackets,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(String, u16), AddressError> {
        text.parse::<Address>().map(|address| (address.host, address.port))
    }

    #[test]
    fn all_spellings_of_an_address() {
        for (text, host, port) in [
            ("nyx://example.org:7000", "example.org", 7000),
            ("nyx://example.org/", "example.org", 6990),
            ("example.org:7000", "example.org", 7000),
            ("127.0.0.1", "127.0.0.1", 6990),
            ("::1", "::1", 6990),
            ("[::1]", "::1", 6990),
            ("nyx://[::1]:7000", "::1", 7000),
        ] {
            assert_eq!(parse(text), Ok((host.to_owned(), port)), "{text}");
        }
    }

    #[test]
    fn errors_say_what_to_write() {
        for (text, error) in [
            ("http://a", AddressError::Scheme("http".to_owned())),
            ("", AddressError::NoHost),
            ("nyx://:6990", AddressError::NoHost),
            ("a b", AddressError::Host("a b".to_owned())),
            ("a/b", AddressError::Host("a/b".to_owned())),
            ("a:0", AddressError::Port("0".to_owned())),
            ("a:70000", AddressError::Port("70000".to_owned())),
            ("a:", AddressError::Port(String::new())),
            ("a:1:2", AddressError::Brackets),
            ("[::1", AddressError::Brackets),
            ("[::1]x", AddressError::Brackets),
        ] {
            assert_eq!(parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn display_parses_back() {
        for text in ["nyx://a:1", "nyx://[::1]:6990", "nyxs://a:1", "nyxs://[::1]:6990"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }
}
