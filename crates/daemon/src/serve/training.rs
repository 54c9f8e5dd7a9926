//! Trains the hub's dictionaries, one at a time, where that delays nobody.

use std::future::poll_fn;

use nyx_hub::Hub;

/// Runs until it is aborted.
pub(super) async fn run(hub: Hub) {
    loop {
        let training = poll_fn(|cx| hub.poll_training(cx.waker())).await;
        // A training that panics is lost, and with it the topic's wish for one; sessions are not affected.
        if let Err(error) = tokio::task::spawn_blocking(|| training.run()).await {
            tracing::warn!(%error, "a dictionary could not be trained");
        }
    }
}
