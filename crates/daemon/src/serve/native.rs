//! The native protocol over TCP, or over TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use nyx_hub::{AdmitError, Peer, Transport};
use nyx_protocol::control::{self, ErrorCode};
use nyx_transport::tls::Stream;
use nyx_transport::unsent::Socket;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::doorstep::Visit;
use super::{App, Listener, drive};

pub(crate) async fn serve(app: Arc<App>, stream: TcpStream, peer: SocketAddr, visit: Visit) {
    let stream = match app.set_up(stream) {
        Ok(stream) => stream,
        Err(error) => return tracing::debug!(%peer, %error, "can't set the connection up"),
    };
    let gauge = stream.gauge();
    let link = app.meters.link(Transport::Tcp);
    let _open = link.open();
    let Some(mut stream) = app.secure(Listener::Native, stream, peer, &visit).await else { return };
    let entry = app.entry(peer.ip(), None);
    let from = Peer::new(peer, Transport::Tcp).with_unsent_target(gauge.cell());
    let session = match app.hub.session_with(app.now(), from, entry) {
        Ok(session) => session,
        Err(error) => {
            link.refused.inc();
            app.audit.refuse(peer.ip(), "", error);
            let farewell = turn_away(&mut stream, error);
            // It is a courtesy: whether it arrives makes no difference here.
            let _ = tokio::time::timeout(app.hub.config().handshake, farewell).await;
            return;
        }
    };
    if let Err(error) = drive(Box::new(session), stream, app.clock.clone(), &link.traffic, Some(visit)).await
    {
        tracing::debug!(%peer, %error, "connection lost");
    }
}

async fn turn_away(stream: &mut Stream<Socket>, error: AdmitError) -> std::io::Result<()> {
    stream.write_all(&farewell(error)).await?;
    stream.flush().await
}

/// What a peer is told that gets no session, for there are too many.
pub(super) fn farewell(why: impl std::fmt::Display) -> BytesMut {
    let mut out = BytesMut::new();
    let error = control::Error {
        code: ErrorCode::Limit.into(),
        message: why.to_string(),
        fatal: true,
        ..Default::default()
    };
    control::put(&mut out, error);
    out
}
