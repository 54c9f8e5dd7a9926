//! A source of frames, as a camera is one: so many a second, each stamped when it is captured.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use nyx_client::publish::{Frame, Frames, Options};
use nyx_client::{Client, FrameCodec, Name};
use nyx_core::clock::unix_micros;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::daemon::connect;

/// A topic of frames that is published from a task until it is stopped.
pub(crate) struct Camera {
    client: Client,
    task: JoinHandle<u64>,
    stop: watch::Sender<bool>,
}

/// A topic of frames on which nothing was published yet, so that a subscriber can be there from the first frame on.
pub(crate) struct Tripod {
    client: Client,
    frames: Frames,
}

impl Tripod {
    /// Advertises `topic`.
    pub(crate) async fn at(hub: SocketAddr, topic: &str) -> Self {
        let client = connect(hub, "camera").await;
        let name = Name::new(topic).expect("a topic");
        let frames = client.frames(name, Options::default()).await.expect("the topic is accepted");
        Self { client, frames }
    }

    /// Publishes `rate` frames of `length` bytes a second.
    pub(crate) fn shoot(self, rate: u32, length: usize) -> Camera {
        let Self { client, frames } = self;
        let (stop, mut stopped) = watch::channel(false);
        let payload = Bytes::from(vec![0x5a; length]);
        let task = tokio::spawn(async move {
            let mut ticks = interval(Duration::from_secs(1) / rate);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut sent = 0;
            loop {
                tokio::select! {
                    _ = ticks.tick() => {}
                    _ = stopped.changed() => return sent,
                }
                let frame = Frame {
                    unix_micros: Some(unix_micros()),
                    ..Frame::key(FrameCodec::Jpeg, payload.clone())
                };
                frames.send(frame).await.expect("the hub takes frames");
                sent += 1;
            }
        });
        Camera { client, task, stop }
    }
}

impl Camera {
    /// Stops, waits until the hub has taken in all, and says how many there were.
    pub(crate) async fn stop(self) -> u64 {
        self.stop.send_replace(true);
        let sent = self.task.await.expect("the camera did not fail");
        self.client.flush().await.expect("the hub took everything in");
        sent
    }
}
