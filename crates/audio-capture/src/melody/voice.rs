//! What a note sounds like: a soft bell.

use super::SAMPLE_RATE;
use super::score::Note;

/// Adds what of `note` falls into the frames of `mix`, the first of which is `first_frame`.
pub(super) fn add(mix: &mut [[f64; 2]], first_frame: u64, note: &Note) {
    let skip = usize::try_from(note.first_frame.saturating_sub(first_frame)).unwrap_or(usize::MAX);
    let start = first_frame.saturating_sub(note.first_frame);
    let turns_per_frame = note.hertz / f64::from(SAMPLE_RATE);
    for (frame, [left, right]) in (start..note.frames).zip(mix.iter_mut().skip(skip)) {
        let sample = note.gain * envelope(frame, note) * timbre(frame as f64 * turns_per_frame, frame, note);
        *left += sample * (1.0 - note.pan);
        *right += sample * note.pan;
    }
}

/// From silence by a smooth step to the peak, from there by a cube to silence.
fn envelope(frame: u64, note: &Note) -> f64 {
    let left = remaining(frame, note);
    let decay = left * left * left;
    let rise = frame as f64 / note.attack as f64;
    if rise < 1.0 { decay * rise * rise * (3.0 - 2.0 * rise) } else { decay }
}

/// The fundamental and two partials, the higher the sooner gone.
fn timbre(turns: f64, frame: u64, note: &Note) -> f64 {
    let left = remaining(frame, note);
    let left_squared = left * left;
    sine(turns)
        + 0.35 * left_squared * sine(2.0 * turns)
        + 0.12 * left_squared * left_squared * sine(4.0 * turns)
}

/// The share of the note that is still to come.
fn remaining(frame: u64, note: &Note) -> f64 {
    1.0 - frame as f64 / note.frames as f64
}

/// The sine of an angle in turns, by its Taylor series to the ninth power: 4e-6 off at the worst.
///
/// The library's own may differ in its last bit from one machine to the next; sums and products don't.
fn sine(turns: f64) -> f64 {
    let turn = turns - turns.round();
    let quarter = if turn.abs() > 0.25 { 0.5_f64.copysign(turn) - turn } else { turn };
    let angle = quarter * std::f64::consts::TAU;
    let square = angle * angle;
    angle * (1.0 - square / 6.0 * (1.0 - square / 20.0 * (1.0 - square / 42.0 * (1.0 - square / 72.0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sine_is_a_sine() {
        for step in -4_000..4_000 {
            let turns = f64::from(step) / 777.0;
            let error = (sine(turns) - (turns * std::f64::consts::TAU).sin()).abs();
            assert!(error < 5e-6, "{turns}: {error}");
        }
    }

    #[test]
    fn a_note_starts_and_ends_in_silence() {
        let note = Note { first_frame: 0, frames: 1_000, hertz: 440.0, gain: 1.0, pan: 0.5, attack: 100 };
        assert_eq!(envelope(0, &note), 0.0);
        assert!(envelope(999, &note) < 1e-8);
        assert!(envelope(100, &note) > 0.7);
    }
}
