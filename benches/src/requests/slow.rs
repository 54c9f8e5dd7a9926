//! Requests that take their time at the server: what one by one, in chunks and all at once come to.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use nyx_client::requests::{self, Cap, Requests};
use nyx_core::clock::{Clock as _, Monotonic};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::accepted::Accepted;
use super::{Error, nyx};
use crate::table::aligned;

/// Where they are.
#[derive(Clone, Copy)]
pub(super) struct Servers {
    /// The hub's native listener.
    pub(super) hub: SocketAddr,
    /// Its listener of HTTP.
    pub(super) pages: SocketAddr,
    /// The HTTP server.
    pub(super) http: SocketAddr,
}

/// How long one run took, and how many connections its server accepted from before the client connected until the last answer.
struct Row {
    contender: &'static str,
    requests: usize,
    at_a_time: usize,
    seconds: f64,
    ideal: f64,
    connections: u64,
}

/// Runs 9, 15 and 25 requests one by one, in chunks of 5 and all at once, through the hub and against the HTTP server.
pub(super) async fn run(servers: Servers, time: Duration) -> Result<(), Error> {
    let mut rows = Vec::new();
    let accepted = Accepted::by_hub(servers.pages);
    for (requests, at_a_time) in loads() {
        let before = accepted.look().await?;
        let client = nyx::connect(servers.hub).await?;
        let mut options = requests::Options::default();
        options.cap = Cap::fixed(at_a_time);
        let asks = client.requests(nyx::slow_service()?, options);
        let seconds = timed(by_nyx(&asks, requests, time)).await?;
        let connections = accepted.look().await? - before;
        rows.push(Row::new("nyx", requests, at_a_time, seconds, time, connections));
    }
    let accepted = Accepted::by_http(servers.http);
    for (requests, at_a_time) in loads() {
        let before = accepted.look().await?;
        let seconds = timed(by_connecting(servers.http, requests, at_a_time, time)).await?;
        let connections = accepted.look().await? - before;
        rows.push(Row::new("http, connecting each time", requests, at_a_time, seconds, time, connections));
    }
    print(&rows, time)?;
    Ok(())
}

fn loads() -> impl Iterator<Item = (usize, usize)> {
    [9, 15, 25].into_iter().flat_map(|requests| [1, 5, requests].map(|at_a_time| (requests, at_a_time)))
}

async fn timed(run: impl Future<Output = Result<(), Error>>) -> Result<f64, Error> {
    let clock = Monotonic::new();
    let start = clock.now();
    run.await?;
    Ok((clock.now() - start).as_secs_f64())
}

/// One call for all: the client keeps to its cap.
async fn by_nyx(asks: &Requests, requests: usize, time: Duration) -> Result<(), Error> {
    let body = time.as_millis().to_string();
    for answer in asks.send_batch(std::iter::repeat_n(body.clone(), requests)).await {
        if answer.map_err(Error::client("ask through Nyx"))? != body {
            return Err(Error::OutOfTurn { who: "service", line: "another body".to_owned() });
        }
    }
    Ok(())
}

/// A client that opens a connection each time.
async fn by_connecting(
    http: SocketAddr,
    requests: usize,
    at_a_time: usize,
    time: Duration,
) -> Result<(), Error> {
    let (mut under_way, mut left) = (JoinSet::new(), requests);
    while left > 0 || !under_way.is_empty() {
        while left > 0 && under_way.len() < at_a_time {
            left -= 1;
            under_way.spawn(post(http, time));
        }
        if let Some(ended) = under_way.join_next().await {
            ended.map_err(|_| Error::Ended { who: "request" })??;
        }
    }
    Ok(())
}

async fn post(http: SocketAddr, time: Duration) -> Result<(), Error> {
    let mut stream = TcpStream::connect(http).await?;
    let body = time.as_millis().to_string();
    let request = format!(
        "POST /slow HTTP/1.1\r\nhost: {http}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    if answer.starts_with(b"HTTP/1.1 202") {
        return Ok(());
    }
    Err(Error::OutOfTurn { who: "HTTP server", line: String::from_utf8_lossy(&answer).into_owned() })
}

impl Row {
    fn new(
        contender: &'static str,
        requests: usize,
        at_a_time: usize,
        seconds: f64,
        time: Duration,
        connections: u64,
    ) -> Self {
        let ideal = requests.div_ceil(at_a_time) as f64 * time.as_secs_f64();
        Self { contender, requests, at_a_time, seconds, ideal, connections }
    }

    fn line(&self) -> [String; 7] {
        let aim = match self.contender {
            "nyx" if self.seconds <= WITHIN * self.ideal => "PASS: within 10 %",
            "nyx" => "SHORT of within 10 %",
            _ => "",
        };
        [
            self.contender.to_owned(),
            self.requests.to_string(),
            self.at_a_time.to_string(),
            format!("{:.3}", self.seconds),
            format!("{:.3}", self.ideal),
            self.connections.to_string(),
            aim.to_owned(),
        ]
    }
}

fn print(rows: &[Row], time: Duration) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "\nRequests that take {} ms at the server", time.as_millis())?;
    let head = ["contender", "requests", "at a time", "seconds", "ideal", "connections", "aim"];
    let lines: Vec<_> = std::iter::once(head.map(str::to_owned)).chain(rows.iter().map(Row::line)).collect();
    aligned(&mut out, &lines, 1)
}

/// Of what the server alone takes.
const WITHIN: f64 = 1.1;
