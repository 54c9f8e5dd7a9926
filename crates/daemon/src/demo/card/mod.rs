//! A test card with a clock: what a frame topic is for.

mod canvas;
mod date;
mod digits;
mod radar;
mod scene;

use jpeg_encoder::{ColorType, Encoder};

use canvas::{Canvas, Color};
use date::Date;
use digits::Digits;
use radar::Radar;

/// A picture of 640 x 360 that tells its number, and when it was rendered, to people and to programs.
///
/// The wall clock shows the age of a frame to whoever has a clock beside it, the sweep shows stutter, and the row of
/// cells at the bottom is the frame's number in binary, highest bit first, white for one, large enough to
/// survive any JPEG. Rendering and encoding take a few milliseconds.
pub(crate) struct Card {
    /// What never changes.
    backdrop: Canvas,
    frame: Canvas,
    hours_to_seconds: Digits,
    milliseconds: Digits,
    radar: Radar,
}

impl Card {
    /// A card without a frame on it.
    pub(crate) fn new() -> Self {
        let backdrop = scene::backdrop();
        Self {
            frame: backdrop.clone(),
            backdrop,
            hours_to_seconds: Digits::new(36, 68),
            milliseconds: Digits::new(23, 43),
            radar: Radar::new(scene::RADAR_RADIUS),
        }
    }

    /// Renders a frame and returns its pixels, RGB, row by row. `unix_micros` is the wall clock.
    pub(crate) fn render(&mut self, frame_no: u64, unix_micros: u64) -> &[u8] {
        self.frame.copy_from(&self.backdrop);
        self.draw_clock(unix_micros);
        let (x, y) = scene::RADAR_CENTER;
        let turn = unix_micros % SWEEP_MICROS * (1 << 16) / SWEEP_MICROS;
        self.radar.draw(&mut self.frame, x, y, turn as u16);
        self.draw_track(unix_micros);
        self.draw_number(frame_no);
        self.frame.pixels()
    }

    /// The frame that was rendered last, as JPEG of this quality, 1 to 100.
    pub(crate) fn jpeg(&self, quality: u8) -> Vec<u8> {
        let mut jpeg = Vec::with_capacity(JPEG_BYTES);
        Encoder::new(&mut jpeg, quality.clamp(1, 100))
            .encode(self.frame.pixels(), WIDTH as u16, HEIGHT as u16, ColorType::Rgb)
            .expect("a picture of constant size fits JPEG, and memory takes every byte");
        jpeg
    }

    fn draw_clock(&mut self, unix_micros: u64) {
        let date = Date::from_unix_micros(unix_micros);
        let (mut x, y) = scene::CLOCK;
        for (place, pair) in [date.hour, date.minute, date.second].into_iter().enumerate() {
            if place > 0 {
                scene::colon(&mut self.frame, x, y);
                x += scene::COLON_WIDTH;
            }
            x += self.hours_to_seconds.draw(&mut self.frame, x, y, pair, 2, canvas::MINT);
        }
        let lower = y + self.hours_to_seconds.height() - self.milliseconds.height();
        self.milliseconds.draw(&mut self.frame, x + 8, lower, date.millisecond, 3, canvas::AMBER);

        let day = format!("{:04}-{:02}-{:02} UTC", date.year, date.month, date.day);
        self.frame.text(scene::TEXT_X, scene::DATE_Y, 2, canvas::PALE, &day);
    }

    /// A block that crosses the width once a second, and the tail that it draws.
    fn draw_track(&mut self, unix_micros: u64) {
        let head = (unix_micros % 1_000_000 * WIDTH as u64 / 1_000_000) as usize;
        for behind in 0..TRACK_TAIL {
            let x = (head + WIDTH - behind) % WIDTH;
            let alpha = if behind < 6 { 255 } else { 200 * (TRACK_TAIL - behind) / TRACK_TAIL };
            self.frame.blend_rect(x, scene::TRACK_Y, 1, scene::TRACK_HEIGHT, canvas::AMBER, alpha as u8);
        }
    }

    /// The frame's number in decimal and, its low 32 bits, as cells.
    fn draw_number(&mut self, frame_no: u64) {
        let number = format!("frame {frame_no:07}");
        self.frame.text(scene::TEXT_X, scene::NUMBER_Y, 2, canvas::PALE, &number);
        for cell in 0..CELLS {
            let lit = frame_no >> (CELLS - 1 - cell) & 1 == 1;
            let color = if lit { canvas::WHITE } else { Color(14, 20, 36) };
            self.frame.rect(
                cell * CELL_WIDTH + 1,
                scene::CELLS_Y,
                CELL_WIDTH - 2,
                scene::CELLS_HEIGHT,
                color,
            );
        }
    }
}

/// Pixels of a row.
pub(crate) const WIDTH: usize = 640;

/// Rows of a frame.
pub(crate) const HEIGHT: usize = 360;

/// The sweep goes round in two seconds: at 30 fps it moves 6 degrees in a frame, which the eye can follow.
const SWEEP_MICROS: u64 = 2_000_000;

/// Columns of the block's tail.
const TRACK_TAIL: usize = 120;

const CELLS: usize = 32;

const CELL_WIDTH: usize = WIDTH / CELLS;

/// More than a frame at quality 90 has.
const JPEG_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-02-03 04:05:06.789 UTC.
    const MICROS: u64 = 1_770_091_506_789_000;

    #[test]
    fn a_frame_depends_on_its_number_and_time_alone() {
        let (mut one, mut two) = (Card::new(), Card::new());
        two.render(1, 2);
        assert_eq!(one.render(77, MICROS), two.render(77, MICROS));
        assert_eq!(one.jpeg(80), two.jpeg(80));
        let one = one.render(77, MICROS).to_vec();
        assert_ne!(one, two.render(78, MICROS));
        assert_ne!(one, two.render(77, MICROS + 1_000));
    }

    #[test]
    fn the_jpeg_is_whole_and_of_the_right_size() {
        let mut card = Card::new();
        card.render(1, MICROS);
        for quality in [0, 1, 80, 100, 255] {
            let jpeg = card.jpeg(quality);
            assert!(jpeg.starts_with(&[0xFF, 0xD8]) && jpeg.ends_with(&[0xFF, 0xD9]), "{quality}");
            assert_eq!(dimensions(&jpeg), Some((640, 360)), "{quality}");
        }
    }

    #[test]
    fn a_frame_weighs_what_a_video_frame_does() {
        let mut card = Card::new();
        card.render(123_456, MICROS);
        let bytes = card.jpeg(85).len();
        assert!((20_000..60_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn the_cells_spell_the_number() {
        let mut card = Card::new();
        for frame_no in [0, 1, 0xA5A5_0F0F, 0xFFFF_FFFF, (1 << 40) + 5] {
            let pixels = card.render(frame_no, MICROS);
            let row = scene::CELLS_Y + scene::CELLS_HEIGHT / 2;
            let bits = (0..CELLS).map(|cell| pixels[3 * (row * WIDTH + cell * CELL_WIDTH + CELL_WIDTH / 2)]);
            let number = bits.fold(0_u64, |number, red| number << 1 | u64::from(red > 127));
            assert_eq!(number, frame_no & 0xFFFF_FFFF);
        }
    }

    #[test]
    fn no_time_or_number_is_too_large() {
        let mut card = Card::new();
        card.render(u64::MAX, u64::MAX);
        card.render(0, 0);
    }

    /// Width and height in the start-of-frame segment.
    fn dimensions(jpeg: &[u8]) -> Option<(u16, u16)> {
        let mut rest = jpeg.get(2..)?;
        loop {
            let [0xFF, marker, high, low] = *rest.first_chunk::<4>()? else { return None };
            if matches!(marker, 0xC0..=0xC2) {
                let half = |at: usize| Some(u16::from_be_bytes([*rest.get(at)?, *rest.get(at + 1)?]));
                return Some((half(7)?, half(5)?));
            }
            rest = rest.get(2 + usize::from(u16::from_be_bytes([high, low]))..)?;
        }
    }
}
