//! Which notes there are: a function of the step's number alone.

use super::SAMPLE_RATE;

/// A note and how it is struck.
#[derive(Clone, Copy, Debug)]
pub(super) struct Note {
    pub(super) first_frame: u64,
    /// After so many frames it has died away.
    pub(super) frames: u64,
    pub(super) hertz: f64,
    /// Peak amplitude of the fundamental, of 1.
    pub(super) gain: f64,
    /// 0 is left, 1 is right.
    pub(super) pan: f64,
    /// Frames from silence to peak.
    pub(super) attack: u64,
}

/// The notes that sound somewhere in these frames, oldest first.
pub(super) fn sounding(first_frame: u64, frames: u64) -> impl Iterator<Item = Note> {
    let end = first_frame.saturating_add(frames);
    let oldest = (first_frame / STEP_FRAMES).saturating_sub(LONGEST_STEPS);
    (oldest..=end / STEP_FRAMES)
        .flat_map(|step| [bass(step), accompaniment(step), tune(step), echo(step)])
        .flatten()
        .filter(move |note| {
            note.first_frame < end && first_frame - note.first_frame.min(first_frame) < note.frames
        })
}

/// The chord's root, two octaves down, for the whole bar.
fn bass(step: u64) -> Option<Note> {
    let first = step.is_multiple_of(BAR_STEPS);
    first.then(|| note(step, chord(step)[0] - 24, 9, Strike { gain: 0.20, pan: 0.5, attack: 1_200 }))
}

/// The chord, broken up and down, wandering slowly from side to side.
fn accompaniment(step: u64) -> Option<Note> {
    let within = (step % BAR_STEPS) as usize;
    let [root, third, fifth] = chord(step);
    let semitone = [root, third, fifth, root + 12, third + 12, root + 12, fifth, third][within];
    let gain = if within == 0 { 0.085 } else { 0.065 };
    let pan = [0.25, 0.3, 0.35, 0.4, 0.45, 0.4, 0.35, 0.3][within];
    Some(note(step, semitone, 4, Strike { gain, pan, attack: 300 }))
}

/// A pentatonic line that goes in steps from one anchor to the next, and breathes at the end of each fourth bar.
fn tune(step: u64) -> Option<Note> {
    let half_bar = step / HALF_BAR_STEPS;
    let within = step % HALF_BAR_STEPS;
    let resting = half_bar % 8 == 7 || step < BAR_STEPS;
    let struck = within == 0 || hash(step) % 8 < 4;
    if resting || !struck {
        return None;
    }
    let anchor = |half_bar| (hash(half_bar ^ TUNE_SEED) % 9) as i64;
    let (from, to) = (anchor(half_bar), anchor(half_bar + 1));
    let degree = from + (to - from) * within as i64 / HALF_BAR_STEPS as i64;
    let (octave, degree) = (degree / 5, (degree % 5) as usize);
    let semitone = PENTATONIC[degree] + 12 * octave as i32 + 12;
    Some(note(step, semitone, 6, Strike { gain: 0.16, pan: 0.6, attack: 200 }))
}

/// The tune again, three steps later, softer and from the other side.
fn echo(step: u64) -> Option<Note> {
    let note = tune(step.checked_sub(ECHO_STEPS)?)?;
    let first_frame = note.first_frame + ECHO_STEPS * STEP_FRAMES;
    Some(Note { first_frame, gain: note.gain * 0.35, pan: 1.0 - note.pan, ..note })
}

struct Strike {
    gain: f64,
    pan: f64,
    attack: u64,
}

/// The note `semitone` above middle C at this step.
fn note(step: u64, semitone: i32, steps: u64, Strike { gain, pan, attack }: Strike) -> Note {
    let octave = 2_f64.powi(semitone.div_euclid(12));
    let hertz = MIDDLE_C * octave * SEMITONES[semitone.rem_euclid(12) as usize];
    Note {
        first_frame: step.wrapping_mul(STEP_FRAMES),
        frames: steps * STEP_FRAMES,
        hertz,
        gain,
        pan,
        attack,
    }
}

fn chord(step: u64) -> [i32; 3] {
    PROGRESSION[(step / BAR_STEPS % PROGRESSION.len() as u64) as usize]
}

/// The finalizer of SplitMix64: well mixed, and the same everywhere.
fn hash(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}

/// C, Am, F, G, Em, Am, Dm, G, in semitones above middle C.
const PROGRESSION: [[i32; 3]; 8] =
    [[0, 4, 7], [-3, 0, 4], [-7, -3, 0], [-5, -1, 2], [-8, -5, -1], [-3, 0, 4], [-10, -7, -3], [-5, -1, 2]];

const PENTATONIC: [i32; 5] = [0, 2, 4, 7, 9];

const MIDDLE_C: f64 = 261.625_565_300_598_6;

/// Equal temperament, written out because `powf` may differ in its last bit from one machine to the next.
const SEMITONES: [f64; 12] = [
    1.0,
    1.059_463_094_359_295_3,
    1.122_462_048_309_373,
    1.189_207_115_002_721,
    1.259_921_049_894_873_2,
    1.334_839_854_170_034_4,
    std::f64::consts::SQRT_2,
    1.498_307_076_876_681_5,
    1.587_401_051_968_199_4,
    1.681_792_830_507_429,
    1.781_797_436_280_678_5,
    1.887_748_625_363_386_8,
];

/// An eighth at 96 beats per minute.
const STEP_FRAMES: u64 = SAMPLE_RATE as u64 * 5 / 16;

const BAR_STEPS: u64 = 8;

const HALF_BAR_STEPS: u64 = 4;

const ECHO_STEPS: u64 = 3;

/// The bass, the longest note, sounds for so many steps.
const LONGEST_STEPS: u64 = 9;

/// Sets the tune apart from the rhythm, which hashes the same small numbers.
const TUNE_SEED: u64 = 0x006E_7978;
