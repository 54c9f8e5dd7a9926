//! Many requests together.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::mpsc;

use super::RequestError;
use super::calls::Answer;
use super::requester::UnderWay;
use bytes::Bytes;

/// The answers of a batch of requests.
///
/// As a future it becomes all of them, in the order of the requests. What [`next`](Self::next) has yielded is then
/// [`RequestError::Closed`] there: use one or the other.
#[derive(Debug)]
#[must_use = "dropping it cancels the requests"]
pub struct Batch {
    answers: mpsc::UnboundedReceiver<(usize, Answer)>,
    /// In the order of the requests.
    gathered: Vec<Option<Answer>>,
    left: usize,
    under_way: Option<UnderWay>,
}

impl Batch {
    pub(super) fn new(
        count: usize,
        answers: mpsc::UnboundedReceiver<(usize, Answer)>,
        under_way: UnderWay,
    ) -> Self {
        Self { answers, gathered: vec![None; count], left: count, under_way: Some(under_way) }
    }

    /// The next answer that comes, with the place of its request in the batch; `None` after the last.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<(usize, Result<Bytes, RequestError>)> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<(usize, Answer)>> {
        if self.left == 0 {
            if let Some(under_way) = self.under_way.take() {
                under_way.forget();
            }
            return Poll::Ready(None);
        }
        self.answers.poll_recv(cx).map(|answer| {
            // Every waiter is told; were one dropped, nothing more would come.
            self.left = if answer.is_some() { self.left - 1 } else { 0 };
            answer
        })
    }
}

impl Future for Batch {
    type Output = Vec<Result<Bytes, RequestError>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        while let Some((place, answer)) = std::task::ready!(self.poll_next(cx)) {
            if let Some(slot) = self.gathered.get_mut(place) {
                *slot = Some(answer);
            }
        }
        let gathered = std::mem::take(&mut self.gathered);
        Poll::Ready(gathered.into_iter().map(|answer| answer.unwrap_or(Err(RequestError::Closed))).collect())
    }
}
