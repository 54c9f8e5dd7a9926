//! Another rate, another number of channels.

pub mod channels;
#[cfg(feature = "resample")]
mod resample;

use std::time::Duration;

use thiserror::Error;

use crate::format::{Format, InvalidFormat};
use channels::Map;
#[cfg(feature = "resample")]
use resample::Resampler;

/// What a capture's configuration asks for and can't have.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RequestError {
    /// Rate or channels are out of bounds.
    #[error(transparent)]
    Format(#[from] InvalidFormat),
    /// Another rate than the device's was asked for, and this build can't resample. Build with the feature `resample`, or take the device's rate.
    #[error(
        "the device delivers {device} Hz and {wanted} Hz are wanted: build with the feature `resample`, or take what the device delivers"
    )]
    NoResampler {
        /// Frames a second of the device.
        device: u32,
        /// Frames a second that were asked for.
        wanted: u32,
    },
    /// The two rates have no practical ratio. Choose a usual one.
    #[error("{device} Hz can't be resampled to {wanted} Hz: choose a usual rate such as 48000")]
    Ratio {
        /// Frames a second of the device.
        device: u32,
        /// Frames a second that were asked for.
        wanted: u32,
    },
}

/// Maps channels first, so that fewer have to be resampled; unless there get to be more.
pub(crate) struct Converter {
    format: Format,
    map: Option<Map>,
    #[cfg(feature = "resample")]
    resampler: Option<Resampler>,
    #[cfg(feature = "resample")]
    mapped: Vec<f32>,
}

impl Converter {
    /// `None` where nothing has to be done.
    pub(crate) fn new(
        device: Format,
        sample_rate: Option<u32>,
        channels: Option<u16>,
    ) -> Result<Option<Self>, RequestError> {
        let rate = sample_rate.unwrap_or(device.sample_rate());
        let format = Format::new(rate, channels.unwrap_or(device.channels()).into())?;
        if format == device {
            return Ok(None);
        }
        let map =
            (format.channels() != device.channels()).then(|| Map::new(device.channels(), format.channels()));
        Self::with_map(device, format, map).map(Some)
    }

    #[cfg(feature = "resample")]
    fn with_map(device: Format, format: Format, map: Option<Map>) -> Result<Self, RequestError> {
        let (from, to) = (device.sample_rate(), format.sample_rate());
        let resampler = (from != to).then(|| Resampler::new(from, format)).transpose()?;
        Ok(Self { format, map, resampler, mapped: Vec::with_capacity(MAPPED) })
    }

    #[cfg(not(feature = "resample"))]
    fn with_map(device: Format, format: Format, map: Option<Map>) -> Result<Self, RequestError> {
        let (device, wanted) = (device.sample_rate(), format.sample_rate());
        if device != wanted {
            return Err(RequestError::NoResampler { device, wanted });
        }
        Ok(Self { format, map })
    }

    /// What comes out.
    pub(crate) const fn format(&self) -> Format {
        self.format
    }

    /// Appends what `samples` become to `out`. A resampler keeps some back until more comes.
    #[cfg(feature = "resample")]
    pub(crate) fn convert(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        let Some(resampler) = &mut self.resampler else {
            return self.map.iter().for_each(|map| map.apply(samples, out));
        };
        match &self.map {
            Some(map) => {
                self.mapped.clear();
                map.apply(samples, &mut self.mapped);
                resampler.push(&self.mapped, out);
            }
            None => resampler.push(samples, out),
        }
    }

    /// Appends what is kept back: nothing follows, or nothing that joins it.
    #[cfg(feature = "resample")]
    pub(crate) fn finish(&mut self, out: &mut Vec<f32>) {
        self.resampler.iter_mut().for_each(|resampler| resampler.finish(out));
    }

    /// Appends what is kept back, which is nothing.
    #[cfg(not(feature = "resample"))]
    #[expect(clippy::unused_self, reason = "it has something to do with the feature `resample`")]
    pub(crate) const fn finish(&mut self, _: &mut Vec<f32>) {}

    /// Appends what `samples` become to `out`.
    #[cfg(not(feature = "resample"))]
    pub(crate) fn convert(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        self.map.iter().for_each(|map| map.apply(samples, out));
    }

    /// By how much later a sound is in what comes out.
    #[cfg(feature = "resample")]
    pub(crate) fn delay(&self) -> Duration {
        self.resampler.as_ref().map_or(Duration::ZERO, Resampler::delay)
    }

    /// By how much later a sound is in what comes out.
    #[cfg(not(feature = "resample"))]
    #[expect(clippy::unused_self, reason = "it has something to say with the feature `resample`")]
    pub(crate) const fn delay(&self) -> Duration {
        Duration::ZERO
    }
}

/// Samples that a feed converts at a time.
#[cfg(feature = "resample")]
const MAPPED: usize = 16_384;
