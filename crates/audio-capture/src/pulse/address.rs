//! Where the sound server is.

use std::env;
use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, SockAddr, Type};

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
        let socket = self.connect_within(CONNECT_MAX)?;
        socket.set_timeouts()?;
        Ok(socket)
    }

    fn connect_within(&self, timeout: Duration) -> io::Result<Socket> {
        match self {
            Self::Unix(path) => connect_unix(path, timeout).map(Socket::Unix),
            Self::Tcp(host) => connect_tcp(host, timeout).map(Socket::Tcp),
        }
    }
}

/// A server that hangs lets nobody in. Once a few wait for that, the next one waits for a place among them, for which there is no time but that of
/// writes (unix(7), `SO_SNDTIMEO`).
fn connect_unix(path: &Path, timeout: Duration) -> io::Result<UnixStream> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_write_timeout(Some(timeout))?;
    socket.connect(&SockAddr::unix(path)?).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => {
            io::Error::new(io::ErrorKind::TimedOut, "it lets nobody in, and others wait for it as well")
        }
        _ => error,
    })?;
    Ok(socket.into())
}

/// By the first of the host's addresses that answers.
fn connect_tcp(host: &str, timeout: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in host.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => return stream.set_nodelay(true).map(|()| stream),
            Err(error) => last = error,
        }
    }
    Err(last)
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

/// So does one that lets nobody in for so long, or its machine is not there.
const CONNECT_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::net::SocketAddr;
    use std::sync::mpsc;

    use super::*;

    /// A server that lets nobody in, and has room for one who waits.
    fn hung(domain: Domain, address: &SockAddr) -> socket2::Socket {
        let server = socket2::Socket::new(domain, Type::STREAM, None).unwrap();
        server.bind(address).unwrap();
        server.listen(0).unwrap();
        server
    }

    #[test]
    fn a_server_that_lets_nobody_in_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("native");
        let unix = hung(Domain::UNIX, &SockAddr::unix(&path).unwrap());
        let tcp = hung(Domain::IPV4, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into());
        let host = tcp.local_addr().unwrap().as_socket().unwrap().to_string();
        for address in [Address::Unix(path), Address::Tcp(host)] {
            let (told, outcome) = mpsc::channel();
            // In a thread of its own, since what is tested is that it comes back.
            std::thread::spawn(move || {
                let mut waiting = Vec::new();
                let error = loop {
                    match address.connect_within(Duration::from_millis(20)) {
                        Ok(socket) => waiting.push(socket),
                        Err(error) => break error,
                    }
                };
                let _ = told.send(error.kind());
            });
            assert_eq!(outcome.recv_timeout(Duration::from_secs(20)), Ok(io::ErrorKind::TimedOut));
        }
        drop((unix, tcp));
    }

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
