//! Frames: MJPEG from a pipe, or image files.

use std::io::Read as _;
use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use nyx_client::publish::{Frame, Frames};
use nyx_client::{Client, FrameCodec};
use nyx_core::clock::{Clock as _, Monotonic, unix_micros};
use nyx_stream::pacer::Beat;
use nyx_stream::queue::{self, Config, Policy};
use tokio::sync::oneshot;

use super::Source;
use super::guess::Format;
use super::input::{Input, Place, read_some};
use super::jpeg::Splitter;
use super::tally::Tally;
use super::window::Way;
use crate::exit::Outcome;
use crate::pace::{Rate, block_until};
use crate::tell;

/// Publishes each image as it is, but when the connection is slower than the source only the newest.
///
/// A thread reads, since that blocks. It never waits for the connection, so a live source is read at its own pace and
/// what can't be sent is passed over before it grows old. Nor do frames grow old on their way: no more are sent than the hub
/// confirms without delay.
pub(super) async fn publish(
    source: Source,
    rate: Option<Rate>,
    client: &Client,
    frames: &Frames,
    tally: &Arc<Tally>,
) -> Outcome {
    let (sender, receiver) = queue::channel(Config::new(1, IMAGE_MAX, Policy::DropOldest))?;
    let (end, ended) = oneshot::channel();
    let shared = tally.clone();
    std::thread::spawn(move || {
        let pace = rate.map(Rate::beat);
        let outcome = Images { pace, clock: Monotonic::new(), sender, tally: &shared }.run(source);
        // Nobody listens when the command is ending.
        let _ = end.send(outcome);
    });
    let mut way = Way::new(client.clone());
    loop {
        way.clear().await?;
        let Ok(Image(frame)) = receiver.recv().await else { return ended.await? };
        let bytes = frame.payload.len();
        way.send(frames, frame).await?;
        tally.send(bytes);
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

    fn whole(&mut self, place: &Place, input: Input) -> Outcome<ControlFlow<()>> {
        let codec = input.format.frame_codec().unwrap_or_default();
        let mut image = Vec::new();
        input
            .take(IMAGE_MAX as u64 + 1)
            .read_to_end(&mut image)
            .with_context(|| format!("can't read {place}"))?;
        if image.len() > IMAGE_MAX {
            return Err(anyhow!("{place} is larger than {IMAGE_MAX} bytes: that is no frame").into());
        }
        Ok(self.put(codec, image.into()))
    }

    fn jpegs(&mut self, place: &Place, mut input: Input) -> Outcome<ControlFlow<()>> {
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
        Ok(ControlFlow::Continue(()))
    }

    /// Waits until it is the image's turn, and says whether to go on.
    fn put(&mut self, codec: FrameCodec, payload: Bytes) -> ControlFlow<()> {
        if let Some(beat) = &mut self.pace {
            let now = self.clock.now();
            block_until(beat.next(now), now);
        }
        let frame = Frame { unix_micros: Some(unix_micros()), ..Frame::key(codec, payload) };
        // It takes every image that is no larger than a hub does, until nobody publishes any more.
        let Ok(evicted) = self.sender.try_send(Image(frame)) else { return ControlFlow::Break(()) };
        evicted.for_each(|_| self.tally.skip());
        ControlFlow::Continue(())
    }
}

/// Files go by at this rate unless told otherwise.
const FILES_RATE: Rate = Rate::per_second(30);

/// What a hub takes in one message, by default.
const IMAGE_MAX: usize = 16 << 20;

/// Bytes read at a time: what a pipe holds.
const PIECE: usize = 64 * 1024;
