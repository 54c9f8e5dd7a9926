//! A batch as a POST.

use std::pin::pin;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, LOCATION};
use axum::http::{HeaderName, HeaderValue, Request, StatusCode, Version};
use bytes::Bytes;
use futures_util::FutureExt as _;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use nyx_transport::pool::{Secure, Target};
use nyx_transport::tls::Stream;
use tokio::time::{Instant, timeout_at};

use super::bearer::Bearer;
use super::parcel::Parcel;
use super::retry_after;
use super::sink::Failed;
use crate::http::passed;

/// What all requests have in common.
pub(super) struct Http {
    host: HeaderValue,
    path: String,
    /// Whether a body is an array of items, not an item.
    batched: bool,
    bearer: Option<Bearer>,
}

/// What the answer may say of itself. It is read so that the connection can be used again, and its beginning told in logs.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

impl Http {
    pub(super) fn new(host: &str, path: &str, batched: bool, bearer: Option<Bearer>) -> anyhow::Result<Self> {
        let host = HeaderValue::from_str(host).context("the host is no host of a request")?;
        Ok(Self { host, path: path.to_owned(), batched, bearer })
    }

    /// Posts a batch over a connection of the pool, of which the answer is to come before `deadline`. A connection on which anything went wrong is
    /// closed.
    pub(super) async fn post(
        &self,
        target: &Target<Secure>,
        batch: &[Parcel],
        deadline: Instant,
    ) -> Result<(), Failed> {
        let request = self.request(batch)?;
        let mut lease = target.acquire().await?;
        let answer = exchange(&mut lease, request, deadline).await?;
        if answer.reusable {
            lease.release();
        }
        judge(answer.status, &answer.body, answer.retry_after, self.bearer.is_some())
    }

    fn request(&self, batch: &[Parcel]) -> anyhow::Result<Request<Body>> {
        let mut request = Request::post(&self.path).header(HOST, &self.host);
        if let Some(bearer) = &self.bearer {
            let mut credentials = HeaderValue::from_str(&format!("Bearer {}", bearer.token().expose()))?;
            credentials.set_sensitive(true);
            request = request.header(AUTHORIZATION, credentials);
        }
        if let Some(passed) = batch.first().and_then(|first| passed::write(&first.passed)) {
            request = request.header(passed::NAME, passed);
        }
        let body = match batch {
            [one] if !self.batched => {
                request = request.header(CONTENT_TYPE, one.media_type());
                for (name, value) in headers(one) {
                    request = request.header(name, value);
                }
                one.payload.clone().into()
            }
            _ => {
                request = request.header(CONTENT_TYPE, "application/json");
                let items: Vec<_> = batch.iter().map(Parcel::to_json).collect();
                format!("[{}]", items.join(",")).into()
            }
        };
        Ok(request.body(body)?)
    }
}

struct Answer {
    status: StatusCode,
    /// What it says of itself, where it sends to if that is elsewhere. Empty where it did not come whole.
    body: Bytes,
    /// How long it says to wait.
    retry_after: Option<Duration>,
    /// Whether another request may follow on the connection.
    reusable: bool,
}

/// Sends a request and reads its answer.
async fn exchange(stream: &mut Stream, request: Request<Body>, deadline: Instant) -> Result<Answer, Failed> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut connection = pin!(connection.without_shutdown());
    let mut answer = pin!(ask(sender, request, deadline));
    tokio::select! {
        biased;
        answer = &mut answer => {
            let answer = answer?;
            // Where it has not ended by itself, the server has answered before it had read the request; and what it had read beyond the
            // answer would be lost with it.
            let ended = connection.now_or_never();
            let is_clean = ended.is_some_and(|ended| ended.is_ok_and(|parts| parts.read_buf.is_empty()));
            Ok(Answer { reusable: answer.reusable && is_clean, ..answer })
        }
        ended = &mut connection => match answer.await {
            // A server that closes behind its answer has answered.
            Ok(answer) => Ok(Answer { reusable: false, ..answer }),
            Err(_) => Err(match ended {
                Ok(_) => anyhow!("the server closed the connection without an answer").into(),
                Err(error) => error.into(),
            }),
        },
    }
}

/// What the server answers. Its status counts as soon as it is there, whatever becomes of the rest.
async fn ask(
    mut sender: SendRequest<Body>,
    request: Request<Body>,
    deadline: Instant,
) -> hyper::Result<Answer> {
    let answer = sender.send_request(request).await?;
    let keeps = answer.headers().get(CONNECTION);
    let keeps = keeps.is_none_or(|value| !value.as_bytes().eq_ignore_ascii_case(b"close"));
    let is_current = answer.version() == Version::HTTP_11;
    let status = answer.status();
    let retry_after = retry_after::read(answer.headers(), nyx_core::clock::unix_micros() / 1_000_000);
    // A service that wants a slash at the end of its path, say: who follows it there would not notice that each request takes two.
    let moved = answer.headers().get(LOCATION).filter(|_| status.is_redirection());
    let moved = moved.map(|place| [b"write this as its address: ", place.as_bytes()].concat().into());
    let body = axum::body::to_bytes(Body::new(answer.into_body()), ANSWER_BYTES_MAX);
    let body = timeout_at(deadline, body).await.ok().and_then(Result::ok);
    let reusable = keeps && is_current && body.is_some();
    let body = moved.or(body).unwrap_or_default();
    Ok(Answer { status, body, retry_after, reusable })
}

fn headers(parcel: &Parcel) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    // A topic is any text, of which a header takes all but controls; so does the topic.
    let topic = HeaderValue::from_bytes(parcel.topic.as_str().as_bytes()).ok();
    let stamp = parcel.unix_micros.map(HeaderValue::from);
    [
        (HeaderName::from_static("x-nyx-topic"), topic),
        (HeaderName::from_static("x-nyx-kind"), Some(HeaderValue::from_static(parcel.kind.name()))),
        (HeaderName::from_static("x-nyx-sequence"), Some(HeaderValue::from(parcel.sequence))),
        (HeaderName::from_static("x-nyx-timestamp"), stamp),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
}

/// Whether the answer means that it was taken, that it never will be, or that it may be later.
fn judge(
    status: StatusCode,
    body: &[u8],
    retry_after: Option<Duration>,
    shows_token: bool,
) -> Result<(), Failed> {
    if status.is_success() {
        return Ok(());
    }
    if status == StatusCode::LOOP_DETECTED {
        return Err(Failed::Home);
    }
    let told = String::from_utf8_lossy(&body[..body.len().min(200)]);
    let error = anyhow!("the server answers {status}: {}", told.trim());
    // The token has ended, and the next one may stand in its file in a moment.
    let is_stale = shows_token && status == StatusCode::UNAUTHORIZED;
    let later = status.is_server_error()
        || is_stale
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        );
    Err(match retry_after {
        _ if !later => Failed::Rejected(error),
        Some(pause) => Failed::Busy(error, pause),
        None => Failed::Later(error),
    })
}

#[cfg(test)]
mod tests {
    use nyx_transport::pool::{Config, Pool, Tcp};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::super::parcel::tests::{event, state};
    use super::*;

    /// What becomes of a batch that a server answers so; and the server's end of the connection, which it closes or not.
    async fn answered(
        answer: &str,
        closes: bool,
        deadline: Instant,
    ) -> (Result<(), Failed>, Option<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string().parse().unwrap();
        let target =
            Pool::new(Secure::new(Tcp::default(), None), Config::default()).target(&address).unwrap();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(br#"{"version":2}"#) {
                assert!(stream.read_buf(&mut request).await.unwrap() > 0);
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            (!closes).then_some(stream)
        };
        let http = Http::new("host", "/", false, None).unwrap();
        let batch = [state("a", 2)];
        tokio::join!(http.post(&target, &batch, deadline), server)
    }

    /// Enough for what comes at once, however busy the machine.
    fn patience() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[tokio::test]
    async fn a_server_that_closes_behind_its_answer_has_answered() {
        for answer in [
            "HTTP/1.0 200 OK\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nConnection: Close\r\n\r\nok",
            "HTTP/1.1 204 No Content\r\n\r\n",
            // More than was asked for, and less than was promised.
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nok",
        ] {
            let (outcome, _) = answered(answer, true, patience()).await;
            assert!(outcome.is_ok(), "{answer}: {outcome:?}");
        }
        let (outcome, _) = answered("HTTP/1.0 422 Never\r\n\r\nno", true, patience()).await;
        assert!(
            matches!(&outcome, Err(Failed::Rejected(why)) if why.to_string().ends_with("no")),
            "{outcome:?}"
        );
        for answer in ["", "HTTP/1.1 20"] {
            let (outcome, _) = answered(answer, true, patience()).await;
            assert!(matches!(outcome, Err(Failed::Later(_))), "{answer}: {outcome:?}");
        }
    }

    #[tokio::test]
    async fn where_a_service_sends_to_is_told() {
        let moved =
            "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://host/update/\r\ncontent-length: 0\r\n\r\n";
        let (outcome, _) = answered(moved, true, patience()).await;
        assert!(
            matches!(&outcome, Err(Failed::Rejected(why)) if why.to_string().ends_with("http://host/update/")),
            "{outcome:?}"
        );
    }

    #[tokio::test]
    async fn the_status_counts_though_the_body_is_long_or_never_ends() {
        let long = format!("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{}", "x".repeat(100_000));
        let (outcome, _server) = answered(&long, false, patience()).await;
        assert!(outcome.is_ok(), "{outcome:?}");
        let endless = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok";
        let (outcome, _server) = answered(endless, false, Instant::now() + Duration::from_millis(500)).await;
        assert!(outcome.is_ok(), "{outcome:?}");
    }

    #[tokio::test]
    async fn one_item_is_the_body_and_a_batch_an_array() {
        let one = Http::new("host:1", "/update", false, None).unwrap().request(&[state("a", 2)]).unwrap();
        assert_eq!(
            (one.uri().path(), &one.headers()[HOST]),
            ("/update", &HeaderValue::from_static("host:1"))
        );
        assert_eq!(one.headers()["x-nyx-topic"], "a");
        assert_eq!(one.headers()["x-nyx-sequence"], "2");
        assert!(!one.headers().contains_key("x-nyx-passed"));
        let body = axum::body::to_bytes(one.into_body(), 1000).await.unwrap();
        assert_eq!(&body[..], br#"{"version":2}"#);

        let batch = Http::new("host:1", "/", true, None)
            .unwrap()
            .request(&[state("a", 2), event("b", 0, 1)])
            .unwrap();
        let body = axum::body::to_bytes(batch.into_body(), 1000).await.unwrap();
        let items: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&items[0]["value"]["version"], &items[1]["text"]), (&2.into(), &"x".into()));
    }

    #[test]
    fn what_is_the_clients_fault_is_not_tried_again() {
        for (status, later) in [
            (503, true),
            (429, true),
            (408, true),
            (401, true),
            (400, false),
            (403, false),
            (422, false),
            (301, false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let failed = judge(status, b"no", None, true).unwrap_err();
            assert_eq!(matches!(failed, Failed::Later(_)), later, "{status}");
            let failed = judge(status, b"no", Some(Duration::from_secs(7)), true).unwrap_err();
            let pause = matches!(failed, Failed::Busy(_, pause) if pause.as_secs() == 7);
            assert_eq!(pause, later, "{status}");
        }
        let without_token = judge(StatusCode::UNAUTHORIZED, b"no", None, false);
        assert!(matches!(without_token, Err(Failed::Rejected(_))));
        assert!(matches!(judge(StatusCode::LOOP_DETECTED, b"", None, true), Err(Failed::Home)));
        assert!(judge(StatusCode::ACCEPTED, b"", None, false).is_ok());
    }
}
