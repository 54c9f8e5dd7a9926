//! Why there is no answer, or nothing to answer.

use nyx_protocol::control::{Reply, Status};
use nyx_protocol::requests::{BODY_MAX, Outcome};
use thiserror::Error;

use crate::Refusal;

/// Why a request has no answer. What it means for whether the request was carried out, each says.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The server's own no, in its words.
    #[error("the server says no: {0}")]
    Failed(String),
    /// Nobody serves this service now. It was not carried out.
    #[error("nobody serves this: start a server, or look at the name")]
    NoServer,
    /// The deadline passed. One that still waited on this side was not sent; another may have been carried out, or be still.
    #[error("there was no answer in time: if it was sent, the server may have done it or not")]
    Deadline,
    /// Too many requests wait for this service. It was not carried out. Send fewer at a time, or add a server.
    #[error("too many requests wait for this service: send fewer at a time, or add a server")]
    Overloaded,
    /// The connection of the server was lost. It may have been carried out.
    #[error("the server was lost before it had answered: it may have done it or not")]
    ServerGone,
    /// It was answered, but too many bytes of answers wait for this client at the hub already. Send fewer at a time.
    #[error("the request was answered, but too much waits for this client already: send fewer at a time")]
    AnswerLost,
    /// The server gave it up. It may have been carried out in part.
    #[error("the server gave the request up")]
    Cancelled,
    /// The request is larger than requests may be. It was not sent.
    #[error("a request of {0} bytes is over the limit of {BODY_MAX}: publish what is large on a topic")]
    TooLarge(usize),
    /// The hub can't make anything of the request. It was not carried out.
    #[error("the hub takes no such request")]
    BadRequest,
    /// The client's token does not allow to publish under the service's name. It was not carried out.
    #[error("your token does not allow to ask this service: ask for one that may publish under its name")]
    Forbidden,
    /// More wait on this side than [`Options::waiting`](super::Options::waiting) allows. It was not sent.
    #[error("too many requests wait to be sent: wait for some to be answered")]
    Full,
    /// The connection to the hub was lost, or there is none. If it had been sent it may have been carried out.
    #[error("the connection to the hub was lost: the request may have been carried out or not")]
    Disconnected,
    /// The client was closed.
    #[error("the client was closed")]
    Closed,
}

impl RequestError {
    /// What a reply says.
    pub(super) fn result(reply: Reply) -> Result<bytes::Bytes, Self> {
        Err(match reply.status() {
            Status::Ok => return Ok(reply.body),
            Status::Failed => Self::Failed(String::from_utf8_lossy(&reply.body).into_owned()),
            Status::NoServer => Self::NoServer,
            Status::Deadline => Self::Deadline,
            Status::Overloaded => Self::Overloaded,
            Status::ServerGone => Self::ServerGone,
            Status::AnswerLost => Self::AnswerLost,
            Status::Cancelled => Self::Cancelled,
            Status::BadRequest => Self::BadRequest,
            Status::Forbidden => Self::Forbidden,
        })
    }

    /// What it tells about how many requests may be under way.
    pub(super) const fn outcome(&self) -> Outcome {
        match self {
            Self::Overloaded | Self::AnswerLost | Self::Deadline => Outcome::Refused,
            Self::Failed(_) => Outcome::Answered,
            _ => Outcome::Abandoned,
        }
    }
}

/// Why a service is not served.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The hub refused: the name, or one too many.
    #[error(transparent)]
    Refused(Refusal),
    /// The client was closed.
    #[error("the client was closed")]
    Closed,
}
