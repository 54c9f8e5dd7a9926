//! How many connections a server has accepted, by its own count.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Error;

/// A page on which a server says so, without the connections that ask for the page.
pub(super) struct Accepted {
    address: SocketAddr,
    path: &'static str,
    /// What stands before the number in its line.
    begin: &'static str,
}

impl Accepted {
    /// What the hub whose pages are here counts of its native listener.
    pub(super) const fn by_hub(pages: SocketAddr) -> Self {
        Self { address: pages, path: "/metrics", begin: "nyx_connections_accepted_total{transport=\"tcp\"} " }
    }

    /// What the bench's own HTTP server counts.
    pub(super) const fn by_http(address: SocketAddr) -> Self {
        Self { address, path: PATH, begin: BEGIN }
    }

    /// The number until now.
    pub(super) async fn look(&self) -> Result<u64, Error> {
        let mut stream = TcpStream::connect(self.address).await?;
        let (path, host) = (self.path, self.address);
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut page = String::new();
        stream.read_to_string(&mut page).await?;
        let number = page.lines().find_map(|line| line.strip_prefix(self.begin)?.parse().ok());
        number.ok_or(Error::OutOfTurn { who: "server", line: page })
    }
}

/// Where the bench's own HTTP server says it.
pub(super) const PATH: &str = "/accepted";

/// How.
pub(super) const BEGIN: &str = "accepted ";
