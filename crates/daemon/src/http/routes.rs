//! Which request goes where.

use std::sync::LazyLock;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use axum::routing::{get, post};
use hyper::body::Incoming;
use nyx_protocol::topic::Name;
use serde::de::DeserializeOwned;
use tower::ServiceExt as _;

use super::answer::{self, Code, Problem};
use super::{compression, console, health, metrics, stream, topics, visitor, websocket};

/// Made once: what a request needs to know comes with it.
static ROUTER: LazyLock<Router> = LazyLock::new(|| {
    Router::new()
        .route("/", get(console::page))
        .route("/console/{file}", get(console::file))
        .route("/v1/topics", get(topics::list))
        .route(
            "/v1/topics/{*topic}",
            get(topics::latest).post(topics::post).put(topics::put).patch(topics::patch),
        )
        .route("/v1/stream/{*topic}", get(stream::open))
        .route("/v1/compression", get(compression::get).put(compression::put))
        .route("/v1/ws", get(websocket::native))
        .route("/v1/login", get(visitor::who).post(visitor::login))
        .route("/v1/logout", post(visitor::logout))
        .route("/ws/{client_id}", get(websocket::images))
        .route("/metrics", get(metrics::page))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
});

/// Answers an admitted request.
pub(super) async fn answer(request: Request<Incoming>) -> Response<Body> {
    // A page of a listed origin asks first; whether it is listed has been checked.
    if request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    {
        return preflight();
    }
    match ROUTER.clone().oneshot(request.map(Body::new)).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn preflight() -> Response<Body> {
    let mut response = answer::data(HeaderValue::from_static("text/plain"), Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, PUT, PATCH"));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "authorization, content-type, if-none-match, last-event-id, x-nyx-timestamp",
        ),
    );
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

async fn nothing_here(request: Request<Body>) -> Problem {
    let path = request.uri().path();
    Problem::new(
        Code::NotFound,
        format!(
            "there is nothing at `{path}`: the console is at /, topics at /v1/topics, streams at /v1/stream/TOPIC, \
             the protocol at /v1/ws, images at /ws/CLIENT, metrics at /metrics"
        ),
    )
}

async fn wrong_method(request: Request<Body>) -> Problem {
    let text = format!("{} is not for `{}`: see the header `allow`", request.method(), request.uri().path());
    Problem::new(Code::MethodNotAllowed, text)
}

/// The topic that a path names.
pub(super) struct Topic(pub(super) Name);

impl<S: Send + Sync> FromRequestParts<S> for Topic {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(name) = Path::<String>::from_request_parts(parts, state).await.map_err(|error| {
            Problem::new(Code::BadTopic, format!("the topic can't be read: {}", error.body_text()))
        })?;
        Ok(Self(Name::new(&name)?))
    }
}

/// What stands behind the `?`. Names that mean nothing are refused, so that a typing error is not taken for consent.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(error) => Err(Problem::new(Code::BadRequest, error.body_text())),
        }
    }
}
