//! Whether the process lives, and whether it wants more work.

use axum::Extension;
use axum::body::Body;
use axum::http::{HeaderValue, Response};

use super::answer::{self, Code, Problem};
use super::connection::Connection;

pub(super) async fn alive() -> Response<Body> {
    text("alive\n")
}

pub(super) async fn ready(Extension(connection): Extension<Connection>) -> Result<Response<Body>, Problem> {
    if connection.app.hub.is_draining() {
        return Err(Problem::new(Code::Draining, "the hub is shutting down: use another"));
    }
    Ok(text("ready\n"))
}

fn text(text: &'static str) -> Response<Body> {
    answer::data(HeaderValue::from_static("text/plain; charset=utf-8"), Body::from(text))
}
