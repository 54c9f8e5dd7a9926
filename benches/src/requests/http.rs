//! One `POST` for each record, over connections that are kept alive.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use super::measure::Contender;
use super::{Error, accepted};
use crate::relay::process::{Report, say};

/// Is the server.
pub(super) async fn serve() -> Result<(), Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    say(&Report::Listening(listener.local_addr()?))?;
    serve_on(listener).await
}

async fn serve_on(listener: TcpListener) -> Result<(), Error> {
    let (connections, looks) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let count = Arc::clone(&connections);
    let listener = listener.tap_io(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let accept = |body: Bytes| async move {
        std::hint::black_box(body.len());
        StatusCode::ACCEPTED
    };
    let slow = |body: String| async move {
        let Ok(millis) = body.parse() else { return StatusCode::BAD_REQUEST };
        tokio::time::sleep(Duration::from_millis(millis)).await;
        StatusCode::ACCEPTED
    };
    let accepted = async move || {
        // Each look is a connection of its own, which is no contender's.
        let looks = looks.fetch_add(1, Ordering::Relaxed) + 1;
        format!("{}{}\n", accepted::BEGIN, connections.load(Ordering::Relaxed) - looks)
    };
    let routes = Router::new()
        .route("/update", post(accept))
        .route("/slow", post(slow))
        .route(accepted::PATH, get(accepted));
    Ok(axum::serve(listener, routes).await?)
}

/// Connections that post records.
#[derive(Clone)]
pub(super) struct Posts {
    connections: Arc<[Mutex<TcpStream>]>,
    request: Arc<[u8]>,
}

impl Posts {
    pub(super) async fn connect(address: SocketAddr, bytes: usize, count: usize) -> Result<Self, Error> {
        let mut connections = Vec::new();
        for _ in 0..count {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            connections.push(Mutex::new(stream));
        }
        let mut request = format!(
            "POST /update HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/octet-stream\r\ncontent-length: {bytes}\r\n\r\n"
        )
        .into_bytes();
        request.resize(request.len() + bytes, b'x');
        Ok(Self { connections: connections.into(), request: request.into() })
    }
}

impl Contender for Posts {
    async fn round(&self, sender: usize, count: usize) -> Result<(), Error> {
        let mut stream = self.connections[sender % self.connections.len()].lock().await;
        let mut answer = [0; 1024];
        for _ in 0..count {
            stream.write_all(&self.request).await?;
            let mut read = 0;
            // The answer has no body.
            while !answer[..read].ends_with(b"\r\n\r\n") {
                match stream.read(&mut answer[read..]).await? {
                    0 => return Err(Error::Ended { who: "HTTP server" }),
                    more => read += more,
                }
            }
            if !answer.starts_with(b"HTTP/1.1 202") {
                let line = String::from_utf8_lossy(&answer[..read]).into_owned();
                return Err(Error::OutOfTurn { who: "HTTP server", line });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_are_counted_however_many_requests_they_carry() -> Result<(), Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        tokio::spawn(serve_on(listener));
        let accepted = accepted::Accepted::by_http(address);
        assert_eq!(accepted.look().await?, 0);
        let posts = Posts::connect(address, 8, 3).await?;
        for sender in 0..3 {
            posts.round(sender, 4).await?;
        }
        assert_eq!((accepted.look().await?, accepted.look().await?), (3, 3));
        Ok(())
    }
}
