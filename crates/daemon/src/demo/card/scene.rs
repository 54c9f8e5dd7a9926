//! What is on the card and where.

use super::canvas::{self, Canvas, Color, text_width};
use super::{HEIGHT, WIDTH};

/// All that is the same in every frame.
pub(super) fn backdrop() -> Canvas {
    let mut canvas = Canvas::new();
    ground(&mut canvas);
    heading(&mut canvas);
    bars(&mut canvas);
    scope(&mut canvas);
    canvas.rect(0, TRACK_Y, WIDTH, TRACK_HEIGHT, RAIL);
    for tenth in 1..10 {
        canvas.rect(tenth * WIDTH / 10, TRACK_Y, 1, TRACK_HEIGHT, GRID);
    }
    canvas
}

/// The two dots between hours, minutes and seconds.
pub(super) fn colon(canvas: &mut Canvas, x: usize, y: usize) {
    for (shift, dot_y) in [(4, y + 19), (2, y + 43)] {
        canvas.blend_rect(x + shift, dot_y, 6, 6, canvas::MINT, 230);
    }
}

/// Night blue, lighter towards the bottom, with a fine grid.
fn ground(canvas: &mut Canvas) {
    for y in 0..HEIGHT {
        let shade = |from: usize, to: usize| (from + (to - from) * y / HEIGHT) as u8;
        canvas.rect(0, y, WIDTH, 1, Color(shade(9, 20), shade(13, 27), shade(27, 52)));
    }
    for x in (0..WIDTH).step_by(GRID_STEP) {
        canvas.blend_rect(x, 0, 1, HEIGHT, GRID, 120);
    }
    for y in (0..HEIGHT).step_by(GRID_STEP) {
        canvas.blend_rect(0, y, WIDTH, 1, GRID, 120);
    }
}

fn heading(canvas: &mut Canvas) {
    canvas.text(TEXT_X, 10, 2, canvas::WHITE, "NYX");
    canvas.text(TEXT_X + text_width("NYX ", 2), 14, 1, canvas::PALE, "test card");
    let size = "640 x 360";
    canvas.text(WIDTH - TEXT_X - text_width(size, 1), 14, 1, canvas::PALE, size);
}

/// Eight bars, the same in reverse and thin, and a ramp from black to white.
fn bars(canvas: &mut Canvas) {
    let width = WIDTH / BARS.len();
    for (place, color) in BARS.iter().enumerate() {
        canvas.rect(place * width, BARS_Y, width, BARS_HEIGHT, *color);
        canvas.rect((BARS.len() - 1 - place) * width, BARS_Y + BARS_HEIGHT, width, STRIP_HEIGHT, *color);
    }
    for x in 0..WIDTH {
        let gray = (x * 255 / (WIDTH - 1)) as u8;
        canvas.rect(x, BARS_Y + BARS_HEIGHT + STRIP_HEIGHT, 1, STRIP_HEIGHT, Color(gray, gray, gray));
    }
}

/// The face under the sweep: a dark disc, rings, a cross and ticks.
fn scope(canvas: &mut Canvas) {
    let radius = f32::from(RADAR_RADIUS);
    let (center_x, center_y) = RADAR_CENTER;
    let reach = RADAR_RADIUS as usize + 10;
    for y in center_y - reach..=center_y + reach {
        for x in center_x - reach..=center_x + reach {
            let (dx, dy) = (x as f32 - center_x as f32, y as f32 - center_y as f32);
            let away = dx.hypot(dy);
            let disc = (radius + 0.5 - away).clamp(0.0, 1.0);
            canvas.blend(x, y, FACE, (235.0 * disc) as u8);
            let ring = |at: f32| (1.1 - (away - at).abs()).clamp(0.0, 1.0);
            let rings = 0.5 * ring(radius / 3.0).max(ring(radius * 2.0 / 3.0));
            let cross = if dx.abs().min(dy.abs()) < 0.5 { 0.4 * disc } else { 0.0 };
            let turns = dy.atan2(dx) / std::f32::consts::TAU * 60.0;
            let beside = (turns - turns.round()).abs() / 60.0 * std::f32::consts::TAU * away;
            let length = if (turns.round() as i32).rem_euclid(5) == 0 { 7.0 } else { 3.0 };
            let tick = (away > radius + 2.0 && away < radius + 2.0 + length && beside < 0.8) as u8 as f32;
            let line = rings.max(cross).max(ring(radius)).max(0.7 * tick);
            canvas.blend(x, y, RIM, (255.0 * line) as u8);
        }
    }
}

/// The left edge of everything that is written.
pub(super) const TEXT_X: usize = 24;

/// The upper left corner of the clock.
pub(super) const CLOCK: (usize, usize) = (22, 178);

pub(super) const COLON_WIDTH: usize = 16;

pub(super) const DATE_Y: usize = 266;

pub(super) const NUMBER_Y: usize = 292;

pub(super) const RADAR_CENTER: (usize, usize) = (536, 242);

pub(super) const RADAR_RADIUS: i16 = 64;

pub(super) const TRACK_Y: usize = 326;

pub(super) const TRACK_HEIGHT: usize = 8;

pub(super) const CELLS_Y: usize = 341;

pub(super) const CELLS_HEIGHT: usize = 14;

const BARS_Y: usize = 36;

const BARS_HEIGHT: usize = 88;

const STRIP_HEIGHT: usize = 14;

const GRID_STEP: usize = 20;

/// White at full scale, the others at three quarters, so that a limited range shows.
const BARS: [Color; 8] = [
    Color(235, 235, 235),
    Color(191, 191, 0),
    Color(0, 191, 191),
    Color(0, 191, 0),
    Color(191, 0, 191),
    Color(191, 0, 0),
    Color(0, 0, 191),
    Color(12, 12, 12),
];

const GRID: Color = Color(44, 58, 96);

const RAIL: Color = Color(22, 30, 52);

const FACE: Color = Color(6, 20, 24);

const RIM: Color = Color(52, 120, 112);
