//! A round scope with a sweep.

use super::canvas::{self, Canvas, Color};

/// A disc whose pixels know where they stand, so that a frame needs no trigonometry.
pub(super) struct Radar {
    pixels: Vec<Pixel>,
}

struct Pixel {
    x: i16,
    y: i16,
    /// Clockwise from twelve, a turn being 65,536.
    angle: u16,
    /// The light that it gives when the sweep has just passed.
    gain: u8,
    /// Whether it is part of an echo, which is seen longer.
    echo: bool,
}

impl Radar {
    /// A scope of so many pixels from the centre to the rim.
    pub(super) fn new(radius: i16) -> Self {
        let pixels = (-radius..=radius)
            .flat_map(|y| (-radius..=radius).map(move |x| (x, y)))
            .filter_map(|(x, y)| Pixel::at(x, y, radius))
            .collect();
        Self { pixels }
    }

    /// Draws the light with the sweep at `turn` and the centre there.
    pub(super) fn draw(&self, canvas: &mut Canvas, x: usize, y: usize, turn: u16) {
        for pixel in &self.pixels {
            let behind = u32::from(turn.wrapping_sub(pixel.angle));
            let fade = |length: u32| length.saturating_sub(behind) * 255 / length;
            let light = if pixel.echo { fade(ECHO_LENGTH) } else { fade(TAIL_LENGTH).pow(2) / 255 };
            let alpha = light * u32::from(pixel.gain) / 255;
            if alpha > 0 {
                let color = if pixel.echo { ECHO } else { canvas::MINT };
                canvas.blend(
                    x.wrapping_add_signed(pixel.x.into()),
                    y.wrapping_add_signed(pixel.y.into()),
                    color,
                    alpha as u8,
                );
            }
        }
    }
}

impl Pixel {
    fn at(x: i16, y: i16, radius: i16) -> Option<Self> {
        let (dx, dy, radius) = (f32::from(x), f32::from(y), f32::from(radius));
        let rim = (radius - dx.hypot(dy)).clamp(0.0, 1.0);
        let turns = dx.atan2(-dy) / std::f32::consts::TAU;
        let near = |(ex, ey, size): &(f32, f32, f32)| size + 0.5 - (dx - ex * radius).hypot(dy - ey * radius);
        let echo = ECHOES.iter().map(near).fold(0.0, f32::max).min(1.0);
        let gain = if echo > 0.0 { 255.0 * echo } else { 190.0 * rim };
        let angle = (turns.rem_euclid(1.0) * 65_536.0) as u32 as u16;
        (rim > 0.0).then_some(Self { x, y, angle, gain: gain as u8, echo: echo > 0.0 })
    }
}

/// The tail of the sweep: three eighths of a turn.
const TAIL_LENGTH: u32 = 24_576;

/// How long an echo glows: most of a turn.
const ECHO_LENGTH: u32 = 52_000;

const ECHO: Color = Color(210, 255, 236);

/// Where echoes are, as parts of the radius, and their radii in pixels.
const ECHOES: [(f32, f32, f32); 5] =
    [(0.45, -0.38, 3.0), (-0.55, -0.2, 2.2), (-0.25, 0.6, 2.6), (0.3, 0.35, 1.8), (0.1, -0.72, 1.8)];
