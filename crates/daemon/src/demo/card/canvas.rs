//! Pixels, and the little that is drawn with them.

use font8x8::legacy::BASIC_LEGACY;

use super::{HEIGHT, WIDTH};

/// Red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Color(pub(super) u8, pub(super) u8, pub(super) u8);

/// An RGB picture of the card's size. What is drawn outside of it is not drawn.
#[derive(Clone)]
pub(super) struct Canvas {
    pixels: Vec<u8>,
}

impl Canvas {
    pub(super) fn new() -> Self {
        Self { pixels: vec![0; 3 * WIDTH * HEIGHT] }
    }

    pub(super) fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    pub(super) fn copy_from(&mut self, other: &Self) {
        self.pixels.copy_from_slice(&other.pixels);
    }

    /// Lays `color` over a pixel; at `alpha` 255 nothing shines through.
    pub(super) fn blend(&mut self, x: usize, y: usize, color: Color, alpha: u8) {
        if x >= WIDTH || y >= HEIGHT {
            return;
        }
        let at = 3 * (y * WIDTH + x);
        for (below, above) in self.pixels[at..at + 3].iter_mut().zip([color.0, color.1, color.2]) {
            let (alpha, below_part) = (u32::from(alpha), u32::from(*below));
            *below = ((u32::from(above) * alpha + below_part * (255 - alpha) + 127) / 255) as u8;
        }
    }

    pub(super) fn blend_rect(
        &mut self,
        x: usize,
        y: usize,
        width: usize,
        height: usize,
        color: Color,
        alpha: u8,
    ) {
        for y in y..y + height {
            for x in x..x + width {
                self.blend(x, y, color, alpha);
            }
        }
    }

    pub(super) fn rect(&mut self, x: usize, y: usize, width: usize, height: usize, color: Color) {
        self.blend_rect(x, y, width, height, color, 255);
    }

    /// Writes ASCII, each pixel of the font `scale` pixels wide.
    pub(super) fn text(&mut self, x: usize, y: usize, scale: usize, color: Color, text: &str) {
        for (place, letter) in text.chars().enumerate() {
            let glyph = BASIC_LEGACY.get(letter as usize).unwrap_or(&BASIC_LEGACY[usize::from(b'?')]);
            for (row, bits) in glyph.iter().enumerate() {
                for column in (0..8).filter(|column| bits >> column & 1 == 1) {
                    let left = x + (place * 8 + column) * scale;
                    self.rect(left, y + row * scale, scale, scale, color);
                }
            }
        }
    }
}

/// The width of a text in pixels.
pub(super) fn text_width(text: &str, scale: usize) -> usize {
    text.chars().count() * 8 * scale
}

pub(super) const WHITE: Color = Color(240, 244, 250);

pub(super) const PALE: Color = Color(168, 182, 208);

pub(super) const MINT: Color = Color(94, 234, 190);

pub(super) const AMBER: Color = Color(255, 184, 76);
