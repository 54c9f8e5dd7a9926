//! From an address to a hub that said welcome.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;

use bytes::BytesMut;
use nyx_protocol::control::{self, Body};
use nyx_protocol::wire::{self, Scan};
use nyx_transport::read::Reader;
use nyx_transport::tls::{self, HandshakeError, Stream};
use nyx_transport::{tcp, write};
use tokio::io::AsyncWrite as _;
use tokio::net::TcpStream;

use super::StreamLink;
use crate::Refusal;
use crate::error::{ConnectError, ProtocolError};
use crate::registry::hello;
use crate::shared::Shared;

/// One attempt, within the connect timeout.
pub(super) async fn connect(shared: &Shared) -> Result<StreamLink, ConnectError> {
    let timeout = shared.config.connect_timeout;
    let stream = tcp::connect(&shared.address, timeout).await?;
    let greeted = async { greet(shared, secure(shared, stream).await?).await };
    match tokio::time::timeout(timeout, greeted).await {
        Ok(result) => result,
        Err(_) => Err(ConnectError::Silent(shared.address.clone())),
    }
}

/// Encrypts the connection, if the address says so. Otherwise the token is not for everybody on the way to see.
async fn secure(shared: &Shared, stream: TcpStream) -> Result<Stream, ConnectError> {
    let Shared { address, config, .. } = shared;
    let io = |source| ConnectError::Io { address: address.clone(), source };
    tcp::apply(&stream, &config.tcp).map_err(io)?;
    if address.is_tls() {
        let connector = tls::client::Connector::new(&config.tls, ALPN).map_err(ConnectError::Certificates)?;
        let handshake = connector.connect(address.host(), stream).await;
        return handshake.map_err(|source| ConnectError::Tls { address: address.clone(), source });
    }
    let stays_here = stream.peer_addr().is_ok_and(|peer| peer.ip().is_loopback());
    if config.token.is_some() && !stays_here && !config.send_token_in_clear {
        return Err(ConnectError::TokenInClear(address.clone()));
    }
    Ok(Stream::plain(stream))
}

async fn greet(shared: &Shared, mut stream: Stream) -> Result<StreamLink, ConnectError> {
    let io = |source| broken(shared, source);
    let alien = |source| ConnectError::NotAHub { address: shared.address.clone(), source };
    let mut out = BytesMut::new();
    control::put(&mut out, hello(&shared.config));
    let mut queue = write::Queue::default();
    queue.push(out.freeze());
    while !queue.is_empty() {
        poll_fn(|cx| queue.poll_write(cx, &mut stream)).await.map_err(io)?;
    }
    poll_fn(|cx| Pin::new(&mut stream).poll_flush(cx)).await.map_err(io)?;

    let mut reader = Reader::new();
    loop {
        while let Some(message) = take_control(&mut reader).map_err(alien)? {
            match control::parse(&message).map_err(|error| alien(error.into()))? {
                Some(Body::Welcome(welcome)) if welcome.version == control::VERSION => {
                    shared.welcome(&welcome);
                    return Ok(StreamLink { stream, reader, takes_blocks: welcome.blocks });
                }
                Some(Body::Welcome(_)) => return Err(alien(ProtocolError::Unexpected("protocol version"))),
                Some(Body::Error(error)) => return Err(ConnectError::Refused(Refusal::new(error, ""))),
                Some(Body::Goodbye(_)) => return Err(io(io::ErrorKind::ConnectionAborted.into())),
                _ => {}
            }
        }
        if poll_fn(|cx| reader.poll_fill(cx, &mut stream)).await.map_err(io)? == 0 {
            return Err(io(io::ErrorKind::UnexpectedEof.into()));
        }
    }
}

/// What is wrong with the connection before the welcome. A hub that does not take this side's certificate says so only now.
fn broken(shared: &Shared, error: io::Error) -> ConnectError {
    let address = shared.address.clone();
    match HandshakeError::of_stream(error) {
        Ok(source) => ConnectError::Tls { address, source },
        Err(source) => ConnectError::Io { address, source },
    }
}

/// The protocol's name in TLS.
const ALPN: &[u8] = b"nyx/1";

/// The control message at the front, if it is whole. Before the welcome there is nothing else.
fn take_control(reader: &mut Reader) -> Result<Option<BytesMut>, ProtocolError> {
    match wire::scan(reader.buffer_mut(), wire::MAX_CONTROL_LEN)? {
        Scan::Incomplete { needed } => {
            reader.expect(needed);
            Ok(None)
        }
        Scan::Control { len } => Ok(Some(reader.buffer_mut().split_to(len))),
        Scan::Run(_) => Err(ProtocolError::Unexpected("data before the welcome")),
    }
}
