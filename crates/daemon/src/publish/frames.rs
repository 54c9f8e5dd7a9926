//! Frames: MJPEG from a pipe, or image files.

use std::collections::VecDeque;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use nyx_client::publish::{Frame, Frames};
use nyx_client::{Client, FlushError, FrameCodec};
use nyx_core::clock::{Clock as _, Monotonic, unix_micros};
use tokio::task::JoinHandle;

use super::Source;
use super::guess::Format;
use super::input::{Input, Place, read_some};
use super::jpeg::Splitter;
use super::latest;
use super::tally::Tally;
use super::window::Window;
use crate::exit::Outcome;
use crate::pace::{Beat, Rate, block_until};
use crate::tell;

/// Publishes each image, but when the connection is slower than the source only the newest.
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
    let (sender, mut receiver) = latest::channel();
    let shared = tally.clone();
    std::thread::spawn(move || {
        let pace = rate.map(Beat::new);
        let mut images = Images { pace, clock: Monotonic::new(), sender: &sender, tally: &shared };
        let outcome = images.run(source);
        sender.end(outcome);
    });
    let mut way =
        Way { client, clock: Monotonic::new(), window: Window::new(), unconfirmed: VecDeque::new() };
    loop {
        way.clear().await?;
        let Some(frame) = receiver.take().await? else { return Ok(()) };
        let bytes = frame.payload.len();
        frames.send(frame).await.map_err(|error| error.cause)?;
        tally.send(bytes);
        way.enter();
    }
}

/// The frames that are on their way to the hub.
struct Way<'a> {
    client: &'a Client,
    clock: Monotonic,
    window: Window,
    /// In order. Each yields how long it took.
    unconfirmed: VecDeque<JoinHandle<Result<Duration, FlushError>>>,
}

impl Way<'_> {
    /// A frame was sent.
    fn enter(&mut self) {
        let (client, clock) = (self.client.clone(), self.clock.clone());
        let sent = clock.now();
        self.unconfirmed.push_back(tokio::spawn(async move {
            client.flush().await?;
            Ok(clock.now() - sent)
        }));
    }

    /// Waits until another one may be sent.
    async fn clear(&mut self) -> Outcome {
        loop {
            let is_full = self.unconfirmed.len() >= self.window.size();
            let Some(first) = self.unconfirmed.front_mut().filter(|first| is_full || first.is_finished())
            else {
                return Ok(());
            };
            let confirmed = first.await?;
            self.unconfirmed.pop_front();
            match confirmed {
                Ok(took) => self.window.confirm(took),
                // What was lost with its connection is counted at the end; the next frame is fresher.
                Err(FlushError::Interrupted { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The thread's part.
struct Images<'a> {
    pace: Option<Beat>,
    clock: Monotonic,
    sender: &'a latest::Sender<Frame>,
    tally: &'a Tally,
}

impl Images<'_> {
    fn run(&mut self, source: Source) -> Outcome {
        source.each(|place, input| {
            // Files have no pace of their own: without one they would only chase each other away.
            if !input.is_live && self.pace.is_none() {
                self.pace = Some(Beat::new(FILES_RATE));
            }
            match input.format {
                Format::Png | Format::WebP => self.whole(place, input),
                _ => self.jpegs(place, input),
            }?;
            Ok(ControlFlow::Continue(()))
        })
    }

    fn whole(&mut self, place: &Place, input: Input) -> Outcome {
        let codec = input.format.frame_codec().unwrap_or_default();
        let mut image = Vec::new();
        input
            .take(IMAGE_MAX as u64 + 1)
            .read_to_end(&mut image)
            .with_context(|| format!("can't read {place}"))?;
        if image.len() > IMAGE_MAX {
            return Err(anyhow!("{place} is larger than {IMAGE_MAX} bytes: that is no frame").into());
        }
        self.put(codec, image.into());
        Ok(())
    }

    fn jpegs(&mut self, place: &Place, mut input: Input) -> Outcome {
        let mut splitter = Splitter::new(IMAGE_MAX);
        let mut piece = vec![0; PIECE];
        let (mut bytes, mut images) = (0, 0);
        loop {
            let read = read_some(&mut input, &mut piece).with_context(|| format!("can't read {place}"))?;
            bytes += read;
            splitter.push(&piece[..read]);
            while let Some(image) = splitter.next_image() {
                self.put(FrameCodec::Jpeg, image);
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
        Ok(())
    }

    /// Waits until it is the image's turn.
    fn put(&mut self, codec: FrameCodec, payload: Bytes) {
        if let Some(beat) = &mut self.pace {
            let now = self.clock.now();
            block_until(beat.next(now), now);
        }
        let frame = Frame { unix_micros: Some(unix_micros()), ..Frame::key(codec, payload) };
        if self.sender.put(frame).is_some() {
            self.tally.skip();
        }
    }
}

/// Files go by at this rate unless told otherwise.
const FILES_RATE: Rate = Rate::per_second(30);

/// What a hub takes in one message, by default.
const IMAGE_MAX: usize = 16 << 20;

/// Bytes read at a time: what a pipe holds.
const PIECE: usize = 64 * 1024;
