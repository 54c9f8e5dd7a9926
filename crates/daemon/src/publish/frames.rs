//! Frames: MJPEG from a pipe, or image files.

use std::io::Read as _;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use nyx_client::publish::{Frame, Frames};
use nyx_client::{Client, FrameCodec};
use nyx_core::clock::{Clock as _, Monotonic, unix_micros};
use nyx_stream::pacer::Beat;
use nyx_stream::queue::{self, Config, Policy, PushError};
use tokio::sync::oneshot;

use super::Source;
use super::guess::Format;
use super::input::{Input, Place, read_some};
use super::jpeg::Splitter;
use super::tally::Tally;
use super::throttle::Throttle;
use super::window::Way;
use crate::exit::{Failure, Outcome};
use crate::pace::{Rate, block_until};
use crate::tell;

/// How fast frames go.
pub(super) struct Pace {
    /// Frames a second.
    pub(super) fps: Option<Rate>,
    /// How old one may become before it is sent.
    pub(super) max_age: Option<Duration>,
    pub(super) throttle: Throttle,
}

/// Publishes each image as it is. When the connection is slower than the source only the newest, or those that can be
/// sent before they are older than `max_age`.
///
/// A thread reads, since that blocks. It never waits for the connection, so a live source is read at its own pace and
/// what can't be sent is passed over before it grows old. Nor do frames grow old on their way: no more are sent than the hub
/// confirms without delay.
pub(super) async fn publish(
    source: Source,
    pace: Pace,
    client: &Client,
    frames: &Frames,
    tally: &Arc<Tally>,
) -> Outcome {
    let Pace { fps, max_age, mut throttle } = pace;
    let (sender, receiver) = queue::channel(waiting(max_age)).map_err(Failure::usage)?;
    let (end, ended) = oneshot::channel();
    let shared = tally.clone();
    std::thread::spawn(move || {
        let pace = fps.map(Rate::beat);
        let outcome = Images { pace, clock: Monotonic::new(), sender, tally: &shared }.run(source);
        // Nobody listens when the command is ending.
        let _ = end.send(outcome);
    });
    let mut way = Way::new(client.clone());
    loop {
        way.clear().await?;
        // A frame that was taken can't make way for a fresher one, so what is owed is paid before.
        throttle.let_go(0).await;
        let received = receiver.recv().await;
        // Those that have grown too old are known only now.
        tally.skipped(receiver.drops().total());
        let Ok(Image(frame)) = received else { return ended.await? };
        let bytes = frame.payload.len();
        throttle.let_go(bytes).await;
        way.send(frames, frame).await?;
        tally.send(bytes);
    }
}

/// How frames wait for the connection. Without an age the newest is the only one worth having.
const fn waiting(max_age: Option<Duration>) -> Config {
    match max_age {
        Some(max_age) => Config::new(IMAGES_WAITING, IMAGE_MAX, Policy::Predictive { max_age }),
        None => Config::new(1, IMAGE_MAX, Policy::DropOldest),
    }
}

/// A frame that waits for the connection.
struct Image(Frame);

impl queue::Item for Image {
    fn bytes(&self) -> usize {
        self.0.payload.len()
    }
}

/// The thread's part.
struct Images<'a> {
    pace: Option<Beat>,
    clock: Monotonic,
    sender: queue::Sender<Image>,
    tally: &'a Tally,
}

impl Images<'_> {
    fn run(mut self, source: Source) -> Outcome {
        source.each(|place, input| {
            // Files have no pace of their own: without one they would only chase each other away.
            if !input.is_live && self.pace.is_none() {
                self.pace = Some(FILES_RATE.beat());
            }
            match input.format {
                Format::Png | Format::WebP => self.whole(place, input),
                _ => self.jpegs(place, input),
            }
        })
    }

    fn whole(&mut self, place: &Place, input: Input) -> Outcome<ControlFlow<(), bool>> {
        let codec = input.format.frame_codec().unwrap_or_default();
        let mut image = Vec::new();
        input
            .take(IMAGE_MAX as u64 + 1)
            .read_to_end(&mut image)
            .with_context(|| format!("can't read {place}"))?;
        if image.len() > IMAGE_MAX {
            return Err(anyhow!("{place} is larger than {IMAGE_MAX} bytes: that is no frame").into());
        }
        Ok(self.put(codec, image.into()).map_continue(|()| true))
    }

    fn jpegs(&mut self, place: &Place, mut input: Input) -> Outcome<ControlFlow<(), bool>> {
        let mut splitter = Splitter::new(IMAGE_MAX);
        let mut piece = vec![0; PIECE];
        let (mut bytes, mut images) = (0, 0);
        loop {
            let read = read_some(&mut input, &mut piece).with_context(|| format!("can't read {place}"))?;
            bytes += read;
            splitter.push(&piece[..read]);
            while let Some(image) = splitter.next_image() {
                if self.put(FrameCodec::Jpeg, image).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                images += 1;
            }
            if images == 0 && splitter.damaged() == 0 && (read == 0 || bytes > IMAGE_MAX) {
                return Err(anyhow!(
                    "{place} holds no images: frames are JPEG, PNG or WebP files, or MJPEG such as \
                     `ffmpeg -i INPUT -f mjpeg -` writes"
                )
                .into());
            }
            if read == 0 {
                break;
            }
        }
        if splitter.damaged() > 0 {
            self.tally.reject(splitter.damaged());
            tell::note(format_args!("{place}: {} images are not whole; not published", splitter.damaged()));
        }
        Ok(ControlFlow::Continue(images > 0))
    }

    /// Waits until it is the image's turn, and says whether to go on.
    fn put(&mut self, codec: FrameCodec, payload: Bytes) -> ControlFlow<()> {
        if let Some(beat) = &mut self.pace {
            let now = self.clock.now();
            block_until(beat.next(now), now);
        }
        let frame = Frame { unix_micros: Some(unix_micros()), ..Frame::key(codec, payload) };
        if let Err(PushError::Closed(_)) = self.sender.try_send(Image(frame)) {
            return ControlFlow::Break(());
        }
        // This one or those before it: the queue has counted them.
        self.tally.skipped(self.sender.drops().total());
        ControlFlow::Continue(())
    }
}

/// Files go by at this rate unless told otherwise.
const FILES_RATE: Rate = Rate::per_second(30);

/// What a hub takes in one message, by default.
const IMAGE_MAX: usize = 16 << 20;

/// Images that may wait while they are not too old: two seconds of video.
const IMAGES_WAITING: usize = 64;

/// Bytes read at a time: what a pipe holds.
const PIECE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use nyx_core::clock::Manual;
    use nyx_stream::queue::channel_with_clock;

    use super::*;

    #[test]
    fn images_that_grow_too_old_or_would_are_passed_over_and_counted() {
        let clock = Manual::new();
        let max_age = Some(Duration::from_millis(100));
        let (sender, receiver) = channel_with_clock(waiting(max_age), clock.clone()).unwrap();
        let tally = Tally::default();
        let mut images = Images { pace: None, clock: Monotonic::new(), sender, tally: &tally };
        let mut put = |image: &'static [u8]| images.put(FrameCodec::Jpeg, image.into());
        let take = || receiver.try_recv().map(|Image(frame)| frame.payload).ok();
        assert!(put(b"old").is_continue());
        clock.advance(Duration::from_millis(60));
        assert!(put(b"new").is_continue());
        clock.advance(Duration::from_millis(60));
        assert_eq!(take().as_deref(), Some(&b"new"[..]));
        assert_eq!(take(), None);
        assert_eq!(receiver.drops().total(), 1);
        // The connection has not come back for so long that none could go in time.
        assert!(put(b"one").is_continue());
        assert_eq!(take().as_deref(), Some(&b"one"[..]));
        clock.advance(Duration::from_secs(1));
        assert!(put(b"two").is_continue());
        assert!(put(b"late").is_continue());
        let total = receiver.drops().total();
        assert!(total > 1);
        let summary = tally.summary(&"a".parse().unwrap(), nyx_client::Kind::Frame, Duration::ZERO);
        assert_eq!(serde_json::to_value(summary).unwrap()["skipped"], total);
        drop(receiver);
        assert!(put(b"nobody").is_break());
    }

    #[test]
    fn without_an_age_only_the_newest_waits() {
        let (sender, receiver) = queue::channel(waiting(None)).unwrap();
        let tally = Tally::default();
        let mut images = Images { pace: None, clock: Monotonic::new(), sender, tally: &tally };
        for image in [&b"one"[..], b"two", b"three"] {
            assert!(images.put(FrameCodec::Jpeg, image.into()).is_continue());
        }
        assert_eq!(
            receiver.try_recv().map(|Image(frame)| frame.payload).ok().as_deref(),
            Some(&b"three"[..])
        );
        assert!(receiver.is_empty());
    }
}
