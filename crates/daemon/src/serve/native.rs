//! The native protocol over TCP.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use nyx_hub::{AdmitError, Peer, Transport};
use nyx_protocol::control::{self, ErrorCode};
use nyx_transport::tcp;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{App, drive};

pub(crate) async fn serve(app: Arc<App>, mut stream: TcpStream, peer: SocketAddr) {
    if let Err(error) = tcp::apply(&stream, &app.tcp_options()) {
        tracing::debug!(%peer, %error, "can't set the connection up");
        return;
    }
    let link = app.meters.link(Transport::Tcp);
    let _open = link.open();
    let session = match app.hub.session(app.now(), Peer::new(peer, Transport::Tcp)) {
        Ok(session) => session,
        Err(error) => {
            link.refused.inc();
            return turn_away(&mut stream, error).await;
        }
    };
    if let Err(error) = drive(session, stream, app.clock.clone(), &link.traffic).await {
        tracing::debug!(%peer, %error, "connection lost");
    }
}

async fn turn_away(stream: &mut TcpStream, error: AdmitError) {
    let mut out = BytesMut::new();
    let error = control::Error {
        code: ErrorCode::Limit.into(),
        message: error.to_string(),
        fatal: true,
        ..Default::default()
    };
    control::put(&mut out, error);
    // It is a courtesy: whether it arrives makes no difference here.
    let _ = stream.write_all(&out).await;
}
