//! The HTTP surface: what a browser, `curl` and Prometheus see of the hub.
//!
//! - `connection`: one connection, from the first request to the last byte; `patient`: until its peer reads no more.
//! - `guard`: whose pages may do what, by their `origin`; `visitor`: who asks, and may do what; `answer`: how errors are told; `body`: bodies, within bounds; `routes`.
//! - `topics`: publish one item, read the latest; `stream`: follow a topic; `feed`: a hub's session, item by item; `passed`: which hubs something has passed.
//! - `websocket`: the native protocol, and plain images.
//! - `console`, `metrics` and its text `openmetrics`, `refusals` in it, `health`.

mod answer;
mod body;
mod compression;
mod connection;
mod console;
pub(crate) mod feed;
mod guard;
mod health;
pub(crate) mod metrics;
mod openmetrics;
mod origin;
pub(crate) mod passed;
mod patient;
mod refusals;
mod routes;
mod stream;
mod topics;
mod visitor;
mod websocket;

pub(crate) use connection::serve;
pub(crate) use origin::Origin;
pub(crate) use stream::Documents;
