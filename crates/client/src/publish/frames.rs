//! Frames: images, each of which replaces the one before.

use bytes::Bytes;
use nyx_protocol::wire::Flags;

use super::{Handle, SendError};
use crate::outgoing::LIVE;
use crate::{FrameCodec, Name, Trail};

/// An image to publish.
///
/// ```
/// use nyx_client::{FrameCodec, publish::Frame};
///
/// let frame = Frame { unix_micros: Some(1_700_000_000_000_000), ..Frame::key(FrameCodec::Jpeg, vec![0xff, 0xd8]) };
/// assert!(frame.keyframe);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The encoded image.
    pub payload: Bytes,
    /// How it is encoded.
    pub codec: FrameCodec,
    /// Whether it can be decoded alone. The hub never sends a frame that can't without the one that it needs.
    pub keyframe: bool,
    /// When it was captured, in microseconds since the Unix epoch, which subscribers are told. Its age counts from its arrival at the hub
    /// all the same.
    pub unix_micros: Option<u64>,
}

impl Frame {
    /// A frame that can be decoded alone, such as any JPEG.
    pub fn key(codec: FrameCodec, payload: impl Into<Bytes>) -> Self {
        Self { payload: payload.into(), codec, keyframe: true, unix_micros: None }
    }
}

/// Publishes frames.
#[derive(Clone, Debug)]
pub struct Frames(pub(crate) Handle);

impl Frames {
    /// The topic.
    pub fn name(&self) -> &Name {
        self.0.name()
    }

    /// What is published from now on has passed these hubs, see [`Options::passed`](super::Options::passed). Costs nothing where it has passed the same as before.
    pub fn set_passed(&self, passed: &Trail) {
        self.0.set_passed(passed);
    }

    /// Sends one frame. Waits while 64 KiB wait to be written, so that a slow uplink slows the source down instead of
    /// filling a buffer with frames that age: capture the next one after this returns.
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has not sent anything.
    ///
    /// # Errors
    /// Returns the payload, and says why. It may be about an earlier frame of this publisher.
    pub async fn send(&self, frame: Frame) -> Result<(), SendError<Bytes>> {
        let mut envelope = self.0.envelope(frame.codec, frame.unix_micros);
        if frame.keyframe {
            envelope.header.flags = Flags::KEYFRAME;
        }
        self.0.send(LIVE, &envelope, frame.payload).await
    }
}
