//! Seven-segment digits, slanted, with a glow.

use super::canvas::{Canvas, Color};

/// The ten digits at one size, as coverage.
pub(super) struct Digits {
    width: usize,
    height: usize,
    lit: [Vec<u8>; 10],
    /// All seven segments, which show faintly when they are off.
    off: Vec<u8>,
}

impl Digits {
    /// Digits in cells of so many pixels.
    pub(super) fn new(width: usize, height: usize) -> Self {
        let lit = SEGMENTS.map(|segments| coverage(width, height, segments));
        Self { width, height, lit, off: coverage(width, height, 0b111_1111) }
    }

    pub(super) fn height(&self) -> usize {
        self.height
    }

    /// Draws the last `places` digits of a number with the upper left corner there, and returns their width.
    pub(super) fn draw(
        &self,
        canvas: &mut Canvas,
        x: usize,
        y: usize,
        number: u64,
        places: u32,
        color: Color,
    ) -> usize {
        let mut width = 0;
        for place in (0..places).rev() {
            let digit = number / 10_u64.pow(place) % 10;
            self.cell(canvas, x + width, y, &self.off, color, OFF_PART);
            self.cell(canvas, x + width, y, &self.lit[digit as usize], color, 256);
            width += self.width + self.width / 6;
        }
        width
    }

    fn cell(&self, canvas: &mut Canvas, left: usize, top: usize, coverage: &[u8], color: Color, part: u32) {
        for (at, alpha) in coverage.iter().enumerate().filter(|(_, alpha)| **alpha > 0) {
            let alpha = (u32::from(*alpha) * part / 256) as u8;
            canvas.blend(left + at % self.width, top + at / self.width, color, alpha);
        }
    }
}

/// How much of each pixel of the cell the segments cover, 0 to 255.
fn coverage(width: usize, height: usize, segments: u8) -> Vec<u8> {
    let thickness = height as f32 / 11.0;
    let slant = SLANT * height as f32;
    let (left, right) = (thickness + 1.0, width as f32 - thickness - 1.0 - slant);
    let (top, bottom) = (thickness + 1.0, height as f32 - thickness - 1.0);
    let middle = (top + bottom) / 2.0;
    let gap = thickness * 0.62;
    // From the top clockwise, then the middle; each a line from one point to the other.
    let lines = [
        ((left + gap, top), (right - gap, top)),
        ((right, top + gap), (right, middle - gap)),
        ((right, middle + gap), (right, bottom - gap)),
        ((left + gap, bottom), (right - gap, bottom)),
        ((left, middle + gap), (left, bottom - gap)),
        ((left, top + gap), (left, middle - gap)),
        ((left + gap, middle), (right - gap, middle)),
    ];
    let pixel = |at: usize| {
        let y = (at / width) as f32 + 0.5;
        let x = (at % width) as f32 + 0.5 - slant * (1.0 - y / height as f32);
        let lit = lines.iter().enumerate().filter(|(segment, _)| segments >> segment & 1 == 1);
        let away = lit.map(|(_, (from, to))| distance((x, y), *from, *to)).fold(f32::INFINITY, f32::min);
        let core = (thickness / 2.0 + 0.5 - away).clamp(0.0, 1.0);
        let glow = 0.22 * (1.0 - (away - thickness / 2.0) / (1.6 * thickness)).clamp(0.0, 1.0).powi(2);
        (255.0 * core.max(glow)) as u8
    };
    (0..width * height).map(pixel).collect()
}

/// From a point to a line between two others.
fn distance((x, y): (f32, f32), (from_x, from_y): (f32, f32), (to_x, to_y): (f32, f32)) -> f32 {
    let (dx, dy) = (to_x - from_x, to_y - from_y);
    let along = (((x - from_x) * dx + (y - from_y) * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
    (x - from_x - along * dx).hypot(y - from_y - along * dy)
}

/// Which segments each digit lights, the top one in the lowest bit.
const SEGMENTS: [u8; 10] = [
    0b011_1111, 0b000_0110, 0b101_1011, 0b100_1111, 0b110_0110, 0b110_1101, 0b111_1101, 0b000_0111,
    0b111_1111, 0b110_1111,
];

/// How far the top leans over, as a part of the height.
const SLANT: f32 = 0.07;

/// What a segment that is off shows, of 256.
const OFF_PART: u32 = 18;
