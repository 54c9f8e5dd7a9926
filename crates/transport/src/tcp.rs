//! TCP with bounded staleness: how sockets are made and set up.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::Address;

/// How a connection is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Bytes that the kernel may hold before it has sent them; what waits there can't be replaced by something fresher.
    /// `TCP_NOTSENT_LOWAT` on Linux and Android: a nonblocking write then stops early by itself. Elsewhere `SO_SNDBUF`,
    /// which also counts what is on its way, and so caps the rate at this per round trip. Default 16 KiB: for 46 KB frames
    /// over 500 kB/s smaller values brought no younger frames. `None` leaves the kernel's own, autotuned to megabytes.
    pub unsent_bytes: Option<u32>,
    /// Whether small writes go out at once. Default true: batching happens before the socket.
    pub nodelay: bool,
    /// How long a connection is silent before the kernel probes whether the peer is still there. Default 30 s; the
    /// protocol has its own, faster, keepalive. `None`: never.
    pub keepalive: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self { unsent_bytes: Some(16 * 1024), nodelay: true, keepalive: Some(Duration::from_secs(30)) }
    }
}

/// Sets a connection up.
///
/// # Errors
/// What the kernel says when it refuses an option.
pub fn apply(stream: &TcpStream, options: &Options) -> io::Result<()> {
    stream.set_nodelay(options.nodelay)?;
    let socket = SockRef::from(stream);
    if let Some(time) = options.keepalive {
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(time))?;
    }
    options.unsent_bytes.map_or(Ok(()), |bytes| bound_unsent(&socket, bytes))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn bound_unsent(socket: &Socket, bytes: u32) -> io::Result<()> {
    socket.set_tcp_notsent_lowat(bytes)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn bound_unsent(socket: &Socket, bytes: u32) -> io::Result<()> {
    socket.set_send_buffer_size(bytes as usize)
}

/// Connects to whichever address of the host answers first, within `timeout` for all together.
///
/// The addresses are tried in turn, the next one when the last has failed, or has not answered for 250 ms: where a network drops what goes to one of
/// them without a word, as many do with IPv6, the host is reached by another (RFC 8305).
///
/// # Cancel safety
/// Dropping the future closes what was begun.
///
/// # Errors
/// Each says what to check.
pub async fn connect(address: &Address, timeout: Duration) -> Result<TcpStream, ConnectError> {
    let attempt = async {
        let found = tokio::net::lookup_host((address.host(), address.port())).await?;
        race(in_turns(found.collect())).await
    };
    match tokio::time::timeout(timeout, attempt).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(ConnectError::new(address, error)),
        Err(_) => Err(ConnectError::Timeout { address: address.clone(), timeout }),
    }
}

/// How long one address may keep the next waiting, the "Connection Attempt Delay" of RFC 8305, section 5.
const HEAD_START: Duration = Duration::from_millis(250);

/// Addresses that are tried: a name may have any number.
const TRIED_MAX: usize = 16;

/// The addresses by turns of both kinds, beginning with the kind of the first, which the system prefers (RFC 8305, section 4).
fn in_turns(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_first_ipv4 = found.first().is_some_and(SocketAddr::is_ipv4);
    let (first, other): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|address| address.is_ipv4() == is_first_ipv4);
    let mut turns = Vec::new();
    let (mut first, mut other) = (first.into_iter(), other.into_iter());
    loop {
        let before = turns.len();
        turns.extend(first.next());
        turns.extend(other.next());
        if turns.len() == before || turns.len() >= TRIED_MAX {
            return turns;
        }
    }
}

/// The first of the addresses that answers. Which of them failed last says why there is none.
async fn race(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    if let [only] = addresses[..] {
        return TcpStream::connect(only).await;
    }
    let mut untried = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut why = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    loop {
        if let Some(next) = untried.next() {
            attempts.spawn(TcpStream::connect(next));
        }
        let patience = if untried.len() > 0 { HEAD_START } else { Duration::MAX };
        match tokio::time::timeout(patience, attempts.join_next()).await {
            // The next one is tried beside those that are under way.
            Err(_) => {}
            Ok(None) => return Err(why),
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            Ok(Some(Ok(Err(error)))) => why = error,
            // The runtime ends.
            Ok(Some(Err(error))) => why = error.into(),
        }
    }
}

/// Why no connection came about.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// Nothing listens there.
    #[error(
        "nothing listens at {0}: check host and port, or start what is to be there (a hub by `nyx serve`)"
    )]
    Refused(Address),
    /// Nothing answered in time.
    #[error("{address} did not answer within {timeout:?}: check the host, the network and firewalls")]
    Timeout {
        /// Who was called.
        address: Address,
        /// How long was waited.
        timeout: Duration,
    },
    /// Anything else, such as an unknown host.
    #[error("can't connect to {address}: {source}")]
    Io {
        /// Who was called.
        address: Address,
        /// What the system says.
        source: io::Error,
    },
}

impl ConnectError {
    fn new(address: &Address, source: io::Error) -> Self {
        let address = address.clone();
        match source.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused(address),
            _ => Self::Io { address, source },
        }
    }
}

/// Listens on `addr`; port 0 lets the system choose one.
///
/// Must be called within a tokio runtime.
///
/// # Errors
/// Each says what to do.
pub fn listen(addr: SocketAddr) -> Result<TcpListener, ListenError> {
    listening_socket(addr)
        .and_then(|socket| TcpListener::from_std(socket.into()))
        .map_err(|source| ListenError::new(addr, source))
}

fn listening_socket(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // A restart must not wait for the connections of the last run to leave TIME_WAIT. On Windows the option means
    // something else: that two may listen at once.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    if matches!(addr.ip(), IpAddr::V6(_)) {
        // So that `[::]` and `0.0.0.0` can be configured side by side, with the same meaning on every system.
        socket.set_only_v6(true)?;
    }
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Connections that may wait for `accept`; a thousand clients that reconnect after a restart at once must fit.
const BACKLOG: i32 = 4096;

/// Why nothing can be heard at an address.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Someone listens there already.
    #[error("{0} is already in use, perhaps by another `nyx serve`: stop that one, or choose another port")]
    InUse(SocketAddr),
    /// The address does not belong to this machine.
    #[error("{0} is no address of this machine: use 127.0.0.1, 0.0.0.0 for all, or one of its own")]
    NotLocal(SocketAddr),
    /// The system does not let this user listen there.
    #[error("no permission to listen on {0}: choose a port from 1024 up")]
    Denied(SocketAddr),
    /// Anything else.
    #[error("can't listen on {addr}: {source}")]
    Io {
        /// Where.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

impl ListenError {
    pub(crate) fn new(addr: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse(addr),
            io::ErrorKind::AddrNotAvailable => Self::NotLocal(addr),
            io::ErrorKind::PermissionDenied => Self::Denied(addr),
            _ => Self::Io { addr, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback() -> SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }

    #[tokio::test]
    async fn options_reach_the_kernel() {
        let listener = listen(loopback()).unwrap();
        let address = listener.local_addr().unwrap().into();
        let stream = connect(&address, Duration::from_secs(5)).await.unwrap();
        apply(&stream, &Options::default()).unwrap();
        assert!(stream.nodelay().unwrap());
        assert!(SockRef::from(&stream).keepalive().unwrap());
        #[cfg(target_os = "linux")]
        assert_eq!(SockRef::from(&stream).tcp_notsent_lowat().unwrap(), 16 * 1024);
    }

    #[tokio::test]
    async fn a_busy_port_is_named() {
        let first = listen(loopback()).unwrap();
        let addr = first.local_addr().unwrap();
        let error = listen(addr).unwrap_err();
        assert!(matches!(error, ListenError::InUse(at) if at == addr));
        assert!(error.to_string().contains("already in use"));
    }

    #[tokio::test]
    async fn a_port_that_nobody_listens_on_is_refused() {
        let free = listen(loopback()).unwrap().local_addr().unwrap();
        let error = connect(&free.into(), Duration::from_secs(5)).await.unwrap_err();
        assert!(matches!(error, ConnectError::Refused(_)));
    }

    #[test]
    fn addresses_are_tried_by_turns_of_both_kinds() {
        let parse =
            |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let found = parse(&["[::1]:1", "[::2]:1", "[::3]:1", "10.0.0.1:1"]);
        assert_eq!(in_turns(found), parse(&["[::1]:1", "10.0.0.1:1", "[::2]:1", "[::3]:1"]));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn an_address_that_never_answers_does_not_keep_away_from_the_next() {
        // What comes to a queue that is full is dropped.
        let mute = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
        mute.bind(&loopback().into()).unwrap();
        mute.listen(0).unwrap();
        let mute_addr = mute.local_addr().unwrap().as_socket().unwrap();
        let _queued = TcpStream::connect(mute_addr).await.unwrap();
        let listener = listen(loopback()).unwrap();
        let addr = listener.local_addr().unwrap();
        let stream = tokio::time::timeout(Duration::from_secs(20), race(vec![mute_addr, addr]));
        assert_eq!(stream.await.expect("the second answers").unwrap().peer_addr().unwrap(), addr);
    }
}
