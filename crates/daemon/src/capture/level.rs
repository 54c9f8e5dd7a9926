//! The level meter.

use std::fmt;

use nyx_audio_capture::silence::dbfs;

/// Follows the level of all channels together: the loudest sample and the power since it was last shown, and the loudest sample of late.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Level {
    peak: f32,
    squares: f64,
    samples: u64,
    held: f32,
    held_for: u32,
}

impl Level {
    pub(super) fn take(&mut self, samples: &[f32]) {
        for sample in samples {
            self.peak = self.peak.max(sample.abs());
            self.squares += f64::from(*sample).powi(2);
        }
        self.samples += samples.len() as u64;
    }

    /// What to show; the next begins anew.
    pub(super) fn show(&mut self) -> Shown {
        self.held_for += 1;
        if self.peak >= self.held || self.held_for > HELD_FOR {
            (self.held, self.held_for) = (self.peak, 0);
        }
        let rms = if self.samples > 0 { (self.squares / self.samples as f64).sqrt() as f32 } else { 0.0 };
        let shown = Shown { rms, peak: self.peak, held: self.held };
        *self = Self { held: self.held, held_for: self.held_for, ..Self::default() };
        shown
    }
}

/// A line for a terminal: a bar for the power with a mark for the held peak, and both in dB relative to full scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shown {
    rms: f32,
    peak: f32,
    held: f32,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (filled, mark) = (position(self.rms), position(self.held));
        let bar: String = (1..=WIDTH)
            .map(|at| match at {
                at if at == mark => '|',
                at if at <= filled => '#',
                _ => '-',
            })
            .collect();
        write!(f, "[{bar}] {:>6} dB, peak {:>6} dB", Decibels(self.rms), Decibels(self.peak))?;
        if self.peak >= 1.0 { f.write_str(" CLIPPED") } else { Ok(()) }
    }
}

struct Decibels(f32);

impl fmt::Display for Decibels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = dbfs(self.0);
        f.pad(&if level < FLOOR_DB { "-inf".to_owned() } else { format!("{level:.1}") })
    }
}

/// How far an amplitude reaches in the bar; 0: not at all.
fn position(amplitude: f32) -> usize {
    let share = (dbfs(amplitude) - FLOOR_DB) / -FLOOR_DB;
    (share.clamp(0.0, 1.0) * WIDTH as f32).round() as usize
}

/// Where the bar begins.
const FLOOR_DB: f32 = -60.0;

const WIDTH: usize = 40;

/// Updates for which a peak stays: at ten a second, long enough to be read.
const HELD_FOR: u32 = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_as_long_as_the_level_is_high() {
        let mut level = Level::default();
        level.take(&[0.1, -0.1]);
        let line = level.show().to_string();
        assert!(line.contains(" -20.0 dB, peak  -20.0 dB") && line.matches('#').count() == 26, "{line}");
        let line = level.show().to_string();
        assert!(line.contains("-inf") && line.contains('|') && !line.contains('#'), "{line}");
    }

    #[test]
    fn a_peak_is_held_and_then_let_go() {
        let mut level = Level::default();
        level.take(&[1.0]);
        assert!(level.show().to_string().ends_with("CLIPPED"));
        let held = (0..30).map(|_| level.show().held).take_while(|held| *held == 1.0).count();
        assert_eq!(held, 15);
    }
}
