//! Small records to a server that answers each: how many, how soon, and at what price?
//!
//! The server is a process of its own, the clients are in this one; both are on 127.0.0.1. *Nyx* is the `nyx serve` binary with its
//! defaults and nyx-client, which publishes batches and waits for the result of each record. *HTTP* is one `POST` for each record, over
//! connections that are kept alive, to an axum handler that reads the body and answers 202; its client is a few lines on a socket, so
//! that no client library is to blame.
//!
//! Records are published and their results come from the hub; requests go through it to a service, which is another process with
//! nyx-client and answers each with its own bytes. *NATS*, with the feature `nats`, does the same through nats-server. HTTP has one hop
//! less, and answers without a body.
//!
//! Two loads: *saturated*, so many records under way at a time, and as fast as they are answered; and *paced*, 100,000 records a
//! second in bursts of a millisecond, which shows what that costs of a core. A round trip counts from the call that sends a record to
//! the result in its sender's hand.

mod accepted;
mod cpu;
mod http;
mod measure;
#[cfg(feature = "nats")]
mod nats;
mod nyx;
mod slow;
mod table;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use tokio::runtime::{Builder, Runtime};

pub use crate::relay::Error;
use crate::relay::measure::interrupted;
use crate::relay::process::{Server, Worker};
use measure::Measured;

/// Send small records to a server that answers each, and print rates, round trips and processor time.
#[derive(Debug, Parser)]
#[command(name = "requests")]
pub struct Args {
    /// Length of each measured window, in seconds
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Bytes of a record
    #[arg(long, default_value_t = 128)]
    bytes: usize,
    /// A quick check that every record is answered: windows of 0.2 s. Fails if one is not
    #[arg(long)]
    smoke: bool,
    /// The `nyx` binary [default: the one beside this program]
    #[arg(long)]
    nyx: Option<PathBuf>,
    /// Be the service at this hub
    #[arg(long, hide = true)]
    reply: Option<SocketAddr>,
    /// Be the service at this NATS server
    #[cfg(feature = "nats")]
    #[arg(long, hide = true)]
    reply_nats: Option<SocketAddr>,
    /// Be the HTTP server
    #[arg(long, hide = true)]
    serve_http: bool,
}

impl Args {
    fn window(&self) -> Duration {
        Duration::from_secs_f64(if self.smoke { 0.2 } else { self.seconds })
    }
}

/// Runs all contenders and prints the table.
///
/// # Errors
/// When a server does not start, or a record is not answered.
pub fn run(args: &Args) -> Result<(), Error> {
    // Each contender's clients and services have what they are quickest with on two cores: those of the hub and of NATS, which send much at a
    // time over one connection, a thread; those of HTTP, with a connection for each request under way, all that there are.
    let (one, all) = (Builder::new_current_thread().enable_all().build()?, Runtime::new()?);
    if args.serve_http {
        return all.block_on(http::serve());
    }
    if let Some(hub) = args.reply {
        return one.block_on(nyx::reply(hub));
    }
    #[cfg(feature = "nats")]
    if let Some(server) = args.reply_nats {
        return one.block_on(nats::reply(server));
    }
    let mut rows = one.block_on(unless_interrupted(through_hub(args)))?;
    rows.extend(all.block_on(unless_interrupted(over_http(args)))?);
    #[cfg(feature = "nats")]
    rows.extend(one.block_on(unless_interrupted(through_nats(args)))?);
    // The contenders of one kind of work stand together.
    rows.sort_by_key(|row| row.run.what);
    table::print(&rows)?;
    all.block_on(unless_interrupted(slow_requests(args)))
}

/// Dropping `work` ends the servers that it has started; dying of the signal would leave them behind.
async fn unless_interrupted<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::select! {
        done = work => done,
        () = interrupted() => Err(Error::Interrupted),
    }
}

async fn through_hub(args: &Args) -> Result<Vec<Measured>, Error> {
    let hub = crate::relay::nyx::serve(args.nyx.clone()).await?;
    let mut rows = Vec::from(records(args, &hub).await?);
    let mut service = Worker::start("service", ["--reply", &hub.address.to_string()])?;
    service.report(STARTUP).await?;
    let asks = nyx::Asks::connect(hub.address, args.bytes).await?;
    for load in ASKED {
        let run = measure::Run { what: REQUESTS, contender: "nyx", load, server: hub.id() };
        rows.push(measure::run(run, args.window(), &asks).await?);
    }
    service.end().await;
    hub.end().await;
    Ok(rows)
}

async fn over_http(args: &Args) -> Result<Vec<Measured>, Error> {
    let server = Server::own(["--serve-http"]).await?;
    let mut rows = vec![posts(args, &server, RECORDS, CONNECTIONS).await?];
    for load in ASKED {
        let connections = load.under_way().unwrap_or(CONNECTIONS);
        rows.push(posts(args, &server, REQUESTS, connections).await?);
    }
    server.end().await;
    Ok(rows)
}

#[cfg(feature = "nats")]
async fn through_nats(args: &Args) -> Result<Vec<Measured>, Error> {
    let server = crate::relay::nats::serve().await?;
    let mut service = Worker::start("service", ["--reply-nats", &server.address.to_string()])?;
    service.report(STARTUP).await?;
    let asks = nats::Asks::connect(server.address, args.bytes).await?;
    let mut rows = Vec::new();
    for load in ASKED {
        let run = measure::Run { what: REQUESTS, contender: "nats", load, server: server.id() };
        rows.push(measure::run(run, args.window(), &asks).await?);
    }
    service.end().await;
    server.end().await;
    Ok(rows)
}

async fn slow_requests(args: &Args) -> Result<(), Error> {
    let (hub, pages) = crate::relay::nyx::serve_with_pages(args.nyx.clone()).await?;
    let mut service = Worker::start("service", ["--reply", &hub.address.to_string()])?;
    service.report(STARTUP).await?;
    let http = Server::own(["--serve-http"]).await?;
    let time = Duration::from_millis(if args.smoke { 5 } else { 200 });
    let run = slow::run(slow::Servers { hub: hub.address, pages, http: http.address }, time).await;
    http.end().await;
    service.end().await;
    hub.end().await;
    run
}

async fn records(args: &Args, server: &Server) -> Result<[Measured; 2], Error> {
    let records = nyx::Records::connect(server.address, args.bytes).await?;
    let of = |load| measure::Run { what: RECORDS, contender: "nyx", load, server: server.id() };
    let saturated = measure::Load::Saturated { senders: SENDERS, batch: BATCH };
    let saturated = measure::run(of(saturated), args.window(), &records).await?;
    let paced = measure::Load::Paced { per_second: PACE };
    Ok([saturated, measure::run(of(paced), args.window(), &records).await?])
}

async fn posts(
    args: &Args,
    server: &Server,
    what: &'static str,
    connections: usize,
) -> Result<Measured, Error> {
    let posts = http::Posts::connect(server.address, args.bytes, connections).await?;
    let load = measure::Load::Saturated { senders: connections, batch: 1 };
    let run = measure::Run { what, contender: "http", load, server: server.id() };
    measure::run(run, args.window(), &posts).await
}

const RECORDS: &str = "records, acknowledged";

const REQUESTS: &str = "requests, pipelined";

/// A service that takes longer is not going to answer.
const STARTUP: Duration = Duration::from_secs(20);

/// Batches of requests under way at a time, and requests in each: as many as HTTP has under way, four times as many, and within the
/// default cap of the client. By Little's law the mean round trip is what is under way over the rate, so rates and round trips compare at
/// an equal number.
const ASKED: [measure::Load; 3] = [
    measure::Load::Saturated { senders: 4, batch: 8 },
    measure::Load::Saturated { senders: 4, batch: 32 },
    measure::Load::Saturated { senders: 4, batch: 128 },
];

/// Batches of Nyx under way at a time.
const SENDERS: usize = 8;

/// Records in each: about what one read of the hub holds.
const BATCH: usize = 256;

/// Connections of the HTTP client, of which each has one request under way: more gain nothing on two cores.
const CONNECTIONS: usize = 32;

/// Records a second of the paced load.
const PACE: u32 = 100_000;
