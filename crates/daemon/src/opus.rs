//! Opus, where this build has it.

#[cfg(feature = "opus")]
pub(crate) use nyx_audio_capture::opus::{Decoder, Encoder, OpusError as Error};
#[cfg(not(feature = "opus"))]
pub(crate) use without::{Decoder, Encoder, NoOpus as Error};

/// What stands in for it elsewhere: nothing that could be made.
#[cfg(not(feature = "opus"))]
mod without {
    use std::time::Duration;

    use nyx_audio_capture::Format;
    use nyx_core::Bitrate;
    use thiserror::Error;

    #[derive(Debug)]
    pub(crate) enum Encoder {}

    #[derive(Debug)]
    pub(crate) enum Decoder {}

    #[derive(Debug, Error)]
    #[error("this build of nyx has no Opus: build it with `--features opus`, or use PCM")]
    pub(crate) struct NoOpus;

    impl Encoder {
        pub(crate) const fn new(_: Format, _: usize, _: Bitrate) -> Result<Self, NoOpus> {
            Err(NoOpus)
        }

        pub(crate) const fn encode(&mut self, _: &[f32]) -> Result<Vec<u8>, NoOpus> {
            match *self {}
        }

        pub(crate) const fn delay(&self) -> Duration {
            match *self {}
        }
    }

    impl Decoder {
        pub(crate) const fn new(_: Format) -> Result<Self, NoOpus> {
            Err(NoOpus)
        }

        pub(crate) const fn decode(&mut self, _: &[u8], _: &mut Vec<f32>) -> Result<usize, NoOpus> {
            match *self {}
        }
    }
}
