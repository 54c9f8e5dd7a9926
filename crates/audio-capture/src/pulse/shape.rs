//! In which form samples are asked for.

use pulseaudio::protocol::{ChannelMap, ChannelPosition as At, SampleFormat, SampleSpec};

use crate::format::Encoding;

/// Rate and channels as the device has them, and its samples too where they are of a sort that we read: then the server has nothing to
/// convert, and leaves the rate of a device that was idle alone. Of all others (µ-law, big-endian, 32 bits) it makes floats.
///
/// Channels are asked for in the order of WAVE, in which files and conversions have them. Devices have their own: the centre of ALSA's 5.1 comes fifth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape {
    pub(super) spec: SampleSpec,
    pub(super) map: ChannelMap,
    pub(super) encoding: Encoding,
}

impl Shape {
    /// What to ask of a source of this form.
    pub(super) fn of(spec: &SampleSpec, map: &ChannelMap) -> Self {
        let (format, encoding) = match spec.format {
            SampleFormat::S16Le => (SampleFormat::S16Le, Encoding::S16Le),
            SampleFormat::S24Le => (SampleFormat::S24Le, Encoding::S24Le),
            _ => (SampleFormat::Float32Le, Encoding::F32Le),
        };
        Self { spec: SampleSpec { format, ..*spec }, map: in_wave_order(map), encoding }
    }
}

/// The same channels in another order. Two of one name the server would mix, so these stay as they are.
fn in_wave_order(map: &ChannelMap) -> ChannelMap {
    let mut positions: Vec<_> = map.into_iter().collect();
    let has_twins = positions.iter().enumerate().any(|(index, at)| positions[..index].contains(at));
    if has_twins {
        return *map;
    }
    // The others stay as they are among each other.
    positions.sort_by_key(|at| WAVE.iter().position(|known| known == at).unwrap_or(WAVE.len()));
    ChannelMap::new(positions)
}

/// By the bits of `dwChannelMask` in `WAVEFORMATEXTENSIBLE`.
const WAVE: [At; 18] = [
    At::FrontLeft,
    At::FrontRight,
    At::FrontCenter,
    At::Lfe,
    At::RearLeft,
    At::RearRight,
    At::FrontLeftOfCenter,
    At::FrontRightOfCenter,
    At::RearCenter,
    At::SideLeft,
    At::SideRight,
    At::TopCenter,
    At::TopFrontLeft,
    At::TopFrontCenter,
    At::TopFrontRight,
    At::TopRearLeft,
    At::TopRearCenter,
    At::TopRearRight,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(positions: &[At]) -> Vec<At> {
        in_wave_order(&ChannelMap::new(positions.iter().copied())).into_iter().collect()
    }

    #[test]
    fn the_surround_of_alsa_comes_in_the_order_of_wave() {
        let alsa = [At::FrontLeft, At::FrontRight, At::RearLeft, At::RearRight, At::FrontCenter, At::Lfe];
        assert_eq!(ordered(&alsa), WAVE[..6]);
    }

    #[test]
    fn channels_without_a_place_stay_in_their_order_and_twins_where_they_are() {
        assert_eq!(ordered(&[At::Aux1, At::Aux0, At::FrontLeft]), [At::FrontLeft, At::Aux1, At::Aux0]);
        let twins = [At::FrontRight, At::FrontLeft, At::FrontLeft];
        assert_eq!(ordered(&twins), twins);
    }

    #[test]
    fn what_we_do_not_read_is_asked_for_as_floats() {
        let of = |format| {
            let spec = SampleSpec { format, channels: 2, sample_rate: 96_000 };
            let shape = Shape::of(&spec, &ChannelMap::stereo());
            (shape.spec.format, shape.encoding, shape.spec.sample_rate)
        };
        assert_eq!(of(SampleFormat::S24Le), (SampleFormat::S24Le, Encoding::S24Le, 96_000));
        for format in [SampleFormat::Ulaw, SampleFormat::S32Be, SampleFormat::S24In32Le, SampleFormat::U8] {
            assert_eq!(of(format), (SampleFormat::Float32Le, Encoding::F32Le, 96_000));
        }
    }
}
