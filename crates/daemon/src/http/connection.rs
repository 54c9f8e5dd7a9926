//! One connection: requests one after the other, and perhaps a WebSocket at the end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use nyx_hub::{Peer, Transport};
use nyx_transport::tls::Stream;
use nyx_transport::unsent::{Gauge, Socket};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::answer::Problem;
use super::patient::Patient;
use super::websocket::{self, Handover};
use super::{guard, routes};
use crate::serve::doorstep::Visit;
use crate::serve::meters::Route;
use crate::serve::{App, Listener};

/// What handlers know of the connection that a request came on.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) app: Arc<App>,
    pub(super) peer: SocketAddr,
    /// What the kernel may hold of it.
    unsent: Gauge,
    /// Where a handler leaves what is to happen after the connection was upgraded.
    pub(super) handover: Handover,
    /// Until the first request has come.
    visit: Arc<Visit>,
}

impl Connection {
    /// Who is at the other end, for the hub.
    pub(super) fn as_peer(&self, by: Transport) -> Peer {
        Peer::new(self.peer, by).with_unsent_target(self.unsent.cell())
    }
}

/// The stream below HTTP.
pub(super) type Io = Patient<Stream<Socket>>;

/// Bytes that HTTP may hold on their way in or out. Out: what a stream pulls next waits until the last part is under this,
/// so more would deliver older things. In: the most that a request's head may have; browsers send cookies of some KiB.
const BUFFER_BYTES: usize = 16 * 1024;

/// Serves a connection until it ends.
pub(crate) async fn serve(app: Arc<App>, stream: TcpStream, peer: SocketAddr, visit: Visit) {
    let stream = match app.set_up(stream) {
        Ok(stream) => stream,
        Err(error) => return tracing::debug!(%peer, %error, "can't set the connection up"),
    };
    let unsent = stream.gauge();
    let link = app.meters.link(Transport::Http);
    let _open = link.open();
    let visit = Arc::new(visit);
    // Boxed, like what follows, so that an idle WebSocket does not keep room for a handshake and the state of HTTP.
    let secured = Box::pin(app.secure(Listener::Http, stream, peer, &visit)).await;
    let Some(stream) = secured else { return };
    let Some(_place) = Place::take(&app) else {
        link.refused.inc();
        app.audit.refuse(peer.ip(), "", "there are too many connections (limits.sessions)");
        return Box::pin(turn_away(stream)).await;
    };
    let stream = Patient::new(stream, app.hub.config().silence);
    let handover = Handover::default();
    let connection = Connection { app: app.clone(), peer, unsent, handover, visit };
    let handover = connection.handover.clone();
    if let Err(error) = Box::pin(requests(connection, stream)).await {
        tracing::debug!(%peer, %error, "connection lost");
    }
    if let Some(upgrade) = handover.take() {
        websocket::run(app.clone(), peer, upgrade).await;
    }
}

async fn requests(connection: Connection, stream: Io) -> hyper::Result<()> {
    let (app, visit) = (connection.app.clone(), connection.visit.clone());
    let service = service_fn(move |request| answer(connection.clone(), request));
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        // Also how long a connection may be idle between two requests.
        .header_read_timeout(app.hub.config().handshake)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut serving = pin!(serving);
    tokio::select! {
        ended = &mut serving => return ended,
        // Its place is needed, and it has asked for nothing.
        () = visit.displaced() => return Ok(()),
        () = app.stopped() => serving.as_mut().graceful_shutdown(),
    }
    serving.await
}

async fn answer(connection: Connection, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let app = connection.app.clone();
    let (route, begun) = (Route::of(request.uri().path()), app.now());
    let response = admit_and_answer(connection, request).await;
    app.meters.request(route, app.now().since(begun));
    Ok(response)
}

async fn admit_and_answer(connection: Connection, mut request: Request<Incoming>) -> Response<Body> {
    connection.visit.settle();
    let App { config, gate, .. } = &*connection.app;
    let admitted = gate
        .admit_request(connection.app.now(), connection.peer.ip())
        .map_err(Problem::from)
        .and_then(|()| guard::admit(&request, config.listen.http, &config.http.allowed_origins));
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(problem) => {
            connection.app.audit.refuse(connection.peer.ip(), "", &problem.message);
            return problem.into_response();
        }
    };
    let asks = connection.app.access.is_some();
    request.extensions_mut().insert(connection);
    let mut response = routes::answer(request).await;
    admitted.mark(response.headers_mut(), asks);
    response
}

/// A place among the connections. The hub counts its sessions, but a connection that never asks for one is none.
struct Place(Arc<App>);

impl Place {
    fn take(app: &Arc<App>) -> Option<Self> {
        let before = app.http_connections.fetch_add(1, Ordering::Relaxed);
        let place = Self(app.clone());
        (before < app.config.limits.sessions).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.http_connections.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn turn_away(stream: Stream<Socket>) {
    const FULL: &str = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    // It is a courtesy: whether it arrives makes no difference here.
    let mut stream = Patient::new(stream, Duration::ZERO);
    if stream.write_all(FULL.as_bytes()).await.is_ok() {
        let _ = stream.shutdown().await;
    }
}
