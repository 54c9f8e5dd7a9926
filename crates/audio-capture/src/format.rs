//! What PCM bytes mean: rate, channels, encoding.

use std::time::Duration;

use nyx_core::Bitrate;
use thiserror::Error;

/// Sample rate and channel count, both known to be usable.
///
/// ```
/// use nyx_audio_capture::{Encoding, Format};
/// use std::time::Duration;
///
/// let cd = Format::new(44_100, 2)?;
/// assert_eq!(cd.frame_bytes(Encoding::S16Le), 4);
/// assert_eq!(cd.duration_of(441), Duration::from_millis(10));
/// assert_eq!(cd.frames_in(Duration::from_millis(20)), 882);
/// # Ok::<(), nyx_audio_capture::format::InvalidFormat>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Format {
    sample_rate: u32,
    channels: u16,
}

impl Format {
    /// A format of `sample_rate` frames per second and `channels` samples per frame.
    ///
    /// # Errors
    ///
    /// [`InvalidFormat`] when either is zero, the rate is above [`SAMPLE_RATE_MAX`] or the channels above
    /// [`CHANNELS_MAX`].
    pub fn new(sample_rate: u32, channels: u32) -> Result<Self, InvalidFormat> {
        let invalid = InvalidFormat { sample_rate, channels };
        let channels = u16::try_from(channels).map_err(|_| invalid)?;
        let usable = (1..=SAMPLE_RATE_MAX).contains(&sample_rate) && (1..=CHANNELS_MAX).contains(&channels);
        if usable { Ok(Self { sample_rate, channels }) } else { Err(invalid) }
    }

    /// Frames per second.
    pub const fn sample_rate(self) -> u32 {
        self.sample_rate
    }

    /// Samples per frame.
    pub const fn channels(self) -> u16 {
        self.channels
    }

    /// Bytes of one frame in this encoding.
    pub fn frame_bytes(self, encoding: Encoding) -> usize {
        usize::from(self.channels) * encoding.sample_bytes()
    }

    /// How long this many frames sound.
    pub fn duration_of(self, frames: u64) -> Duration {
        let nanos = u128::from(frames) * 1_000_000_000 / u128::from(self.sample_rate);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How many whole frames sound in this time.
    pub fn frames_in(self, time: Duration) -> u64 {
        let frames = time.as_nanos().saturating_mul(u128::from(self.sample_rate)) / 1_000_000_000;
        u64::try_from(frames).unwrap_or(u64::MAX)
    }

    /// What a stream of this format needs in real time.
    pub fn bitrate(self, encoding: Encoding) -> Bitrate {
        Bitrate::from_bytes_per_second(self.frame_bytes(encoding) as u64 * u64::from(self.sample_rate))
    }

    /// The format whose numbers are constants of this crate.
    pub(crate) const fn known(sample_rate: u32, channels: u16) -> Self {
        assert!(sample_rate > 0 && channels > 0);
        Self { sample_rate, channels }
    }
}

/// How a sample is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Signed 16-bit integer, little-endian.
    S16Le,
    /// Signed 24-bit integer in three bytes, little-endian.
    S24Le,
    /// 32-bit IEEE 754 float, little-endian, nominally -1.0 to 1.0.
    F32Le,
}

impl Encoding {
    /// Bytes of one sample.
    pub const fn sample_bytes(self) -> usize {
        match self {
            Self::S16Le => 2,
            Self::S24Le => 3,
            Self::F32Le => 4,
        }
    }
}

/// A sample rate and channel count that no source or file of ours has. Whoever declared them erred: use 1 Hz to
/// [`SAMPLE_RATE_MAX`] and 1 to [`CHANNELS_MAX`] channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "{sample_rate} Hz with {channels} channels is no usable audio format: use 1 to {SAMPLE_RATE_MAX} Hz and 1 to {CHANNELS_MAX} channels"
)]
pub struct InvalidFormat {
    /// Frames per second as declared.
    pub sample_rate: u32,
    /// Samples per frame as declared.
    pub channels: u32,
}

/// The highest sample rate in Hz: four times 192 kHz, the most that converters for sound do.
pub const SAMPLE_RATE_MAX: u32 = 768_000;

/// The most channels: what a MADI link carries.
pub const CHANNELS_MAX: u16 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_formats_are_refused_with_the_limits() {
        for (rate, channels) in
            [(0, 2), (48_000, 0), (SAMPLE_RATE_MAX + 1, 2), (48_000, 65), (48_000, 1 << 16)]
        {
            let error = Format::new(rate, channels).unwrap_err();
            assert!(error.to_string().contains("768000"), "{error}");
        }
        assert!(Format::new(SAMPLE_RATE_MAX, u32::from(CHANNELS_MAX)).is_ok());
    }

    #[test]
    fn bitrate_is_that_of_the_uncompressed_stream() {
        let format = Format::new(48_000, 2).unwrap();
        assert_eq!(format.bitrate(Encoding::S16Le).bits_per_second(), 1_536_000);
        assert_eq!(format.bitrate(Encoding::F32Le).bits_per_second(), 3_072_000);
    }

    #[test]
    fn no_number_of_frames_overflows() {
        let format = Format::new(1, 1).unwrap();
        assert_eq!(format.duration_of(u64::MAX), Duration::from_nanos(u64::MAX));
        assert_eq!(Format::new(SAMPLE_RATE_MAX, 1).unwrap().frames_in(Duration::MAX), u64::MAX);
    }
}
