//! Where the sound server is.

use std::env;
use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a server listens.
///
/// ```
/// use nyx_audio_capture::pulse::Address;
///
/// assert_eq!(Address::parse("unix:/run/pulse/native").to_string(), "unix:/run/pulse/native");
/// assert_eq!(Address::parse("tcp:music.local").to_string(), "tcp:music.local:4713");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A socket of this machine.
    Unix(PathBuf),
    /// `host:port`.
    Tcp(String),
}

impl Address {
    /// Where `PULSE_SERVER` says, otherwise the first of the usual places where there is a socket: `$PULSE_RUNTIME_PATH/native`, `$XDG_RUNTIME_DIR/pulse/native`,
    /// `~/.config/pulse/*-runtime/native`, `/run/pulse/native`.
    pub fn from_env() -> Self {
        if let Ok(server) = env::var("PULSE_SERVER")
            && let Some(first) = server.split_whitespace().next()
        {
            return Self::parse(first);
        }
        let places = usual_places();
        let found = places.iter().find(|place| place.exists()).or_else(|| places.first());
        Self::Unix(found.cloned().unwrap_or_else(|| PathBuf::from(SYSTEM_WIDE)))
    }

    /// Reads an address as `PULSE_SERVER` has it: a path, `unix:` and a path, or `tcp:` and a host with or without port.
    pub fn parse(text: &str) -> Self {
        // `{machine id}` may stand before it.
        let text = text.rsplit_once('}').map_or(text, |(_, rest)| rest);
        if let Some(path) = text.strip_prefix("unix:") {
            return Self::Unix(path.into());
        }
        if text.starts_with('/') {
            return Self::Unix(text.into());
        }
        let host = text.strip_prefix("tcp4:").or_else(|| text.strip_prefix("tcp6:"));
        let host = host.or_else(|| text.strip_prefix("tcp:")).unwrap_or(text);
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        Self::Tcp(if has_port { host.to_owned() } else { format!("{host}:{PORT}") })
    }

    pub(super) fn connect(&self) -> io::Result<Socket> {
        let socket = match self {
            Self::Unix(path) => Socket::Unix(UnixStream::connect(path)?),
            Self::Tcp(host) => {
                let stream = TcpStream::connect(host.as_str())?;
                stream.set_nodelay(true)?;
                Socket::Tcp(stream)
            }
        };
        socket.set_timeouts()?;
        Ok(socket)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(host) => write!(f, "tcp:{host}"),
        }
    }
}

/// A connection of either sort.
#[derive(Debug)]
pub(super) enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Socket {
    fn set_timeouts(&self) -> io::Result<()> {
        let (read, write) = (Some(crate::input::READ_MAX), Some(WRITE_MAX));
        match self {
            Self::Unix(stream) => {
                stream.set_read_timeout(read).and_then(|()| stream.set_write_timeout(write))
            }
            Self::Tcp(stream) => stream.set_read_timeout(read).and_then(|()| stream.set_write_timeout(write)),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The secret that the server knows us by, where it does not by our user: zeros where there is none.
pub(super) fn cookie() -> Vec<u8> {
    let home = env::home_dir().unwrap_or_default();
    let places = [
        env::var_os("PULSE_COOKIE").map(PathBuf::from),
        Some(home.join(".config/pulse/cookie")),
        Some(home.join(".pulse-cookie")),
    ];
    let cookie = places.into_iter().flatten().find_map(|place| fs::read(place).ok());
    let mut cookie = cookie.unwrap_or_default();
    cookie.resize(COOKIE_BYTES, 0);
    cookie
}

fn usual_places() -> Vec<PathBuf> {
    let from = |name: &str, rest: &str| env::var_os(name).map(|folder| Path::new(&folder).join(rest));
    let mut places = Vec::new();
    places.extend(from("PULSE_RUNTIME_PATH", "native"));
    places.extend(from("XDG_RUNTIME_DIR", "pulse/native"));
    // A server that was started without a session leaves a link to its folder here.
    let config = env::home_dir().unwrap_or_default().join(".config/pulse");
    let runtimes = fs::read_dir(config).into_iter().flatten().flatten();
    places.extend(
        runtimes
            .filter(|entry| entry.file_name().to_string_lossy().ends_with("-runtime"))
            .map(|entry| entry.path().join("native")),
    );
    places.push(SYSTEM_WIDE.into());
    places
}

const SYSTEM_WIDE: &str = "/run/pulse/native";

/// The protocol's registered port.
const PORT: u16 = 4713;

/// What the protocol says.
const COOKIE_BYTES: usize = 256;

/// A server that takes no request for so long hangs.
const WRITE_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_clients_of_pulseaudio_read_them() {
        let cases = [
            ("{b8c5}unix:/tmp/x", "unix:/tmp/x"),
            ("/tmp/x", "unix:/tmp/x"),
            ("tcp4:10.0.0.1:99", "tcp:10.0.0.1:99"),
            ("music", "tcp:music:4713"),
        ];
        for (text, address) in cases {
            assert_eq!(Address::parse(text).to_string(), address);
        }
    }
}
