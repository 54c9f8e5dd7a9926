//! Request bodies, within bounds of size and time.

use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::http::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};
use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout_at};

use super::answer::{Code, Problem};

/// What a body must bring per second, after a first grace: slower ones hold a connection for its own sake.
const BYTES_PER_SECOND_MIN: u32 = 16 * 1024;

/// Refuses a body that is encoded: as what it is not, it would be passed on.
pub(super) fn check_coding(headers: &HeaderMap) -> Result<(), Problem> {
    let is_plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(CONTENT_ENCODING).iter().all(is_plain) {
        return Ok(());
    }
    let text = "bodies are taken as they are, and not compressed: send it without content-encoding";
    Err(Problem::new(Code::UnsupportedMedia, text))
}

/// Reads a whole body.
pub(super) async fn read(body: Body, limit: usize, grace: Duration) -> Result<Vec<u8>, Problem> {
    let too_large = || {
        let text =
            format!("a body has at most {limit} bytes: send less at a time, or raise limits.message_bytes");
        Problem::new(Code::TooLarge, text)
    };
    // Who says so beforehand need not send it.
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let start = Instant::now();
    let mut bytes = Vec::new();
    let mut chunks = body.into_data_stream();
    loop {
        let earned = Duration::from_secs(bytes.len() as u64) / BYTES_PER_SECOND_MIN;
        match timeout_at(start + grace + earned, chunks.next()).await {
            Ok(Some(Ok(chunk))) if bytes.len() + chunk.len() > limit => return Err(too_large()),
            Ok(Some(Ok(chunk))) => bytes.extend_from_slice(&chunk),
            Ok(Some(Err(error))) => {
                return Err(Problem::new(Code::BadRequest, format!("the body is broken: {error}")));
            }
            Ok(None) => return Ok(bytes),
            Err(_) => {
                return Err(Problem::new(
                    Code::Timeout,
                    "the body came too slowly: send it at once, or smaller ones",
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use futures_util::stream;

    use super::*;

    const GRACE: Duration = Duration::from_secs(5);

    async fn code(body: Body, limit: usize) -> Code {
        read(body, limit, GRACE).await.unwrap_err().code
    }

    #[tokio::test]
    async fn bodies_end_at_the_limit() {
        let chunks = || stream::iter((0..3).map(|_| Ok::<_, Infallible>(Bytes::from_static(b"1234"))));
        assert_eq!(read(Body::from_stream(chunks()), 12, GRACE).await.unwrap().len(), 12);
        assert_eq!(code(Body::from_stream(chunks()), 11).await, Code::TooLarge);
        assert_eq!(code(Body::from("said beforehand"), 3).await, Code::TooLarge);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_given_up_on() {
        let drip = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, Infallible>(Bytes::from_static(b".")), ()))
        });
        assert_eq!(code(Body::from_stream(drip), 1000).await, Code::Timeout);
    }
}
