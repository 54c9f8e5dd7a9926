//! Two subscribers behind a line that carries less than both want.

use std::time::Duration;

use nyx_core::{Bitrate, ByteSize};
use nyx_netem::path::Conditions;

use super::lab::{Lab, Scene};
use super::peers::Rate;
use super::{Args, Error};
use crate::table::aligned;

/// What the line carries.
const RATE: Bitrate = Bitrate::from_bytes_per_second(1_000_000);

/// One way, so 50 KB are under way in a round trip.
const DELAY: Duration = Duration::from_millis(25);

/// What may wait before the line: two round trips.
const QUEUE: ByteSize = ByteSize::new(100_000);

/// What each is to have at least and at most.
const AIM: std::ops::RangeInclusive<f64> = 0.3..=0.7;

/// Who subscribes together, and how TCP treats congestion. A namespace may be allowed few ways: NewReno is always among them. The last is what
/// TCP makes of itself, for comparison.
const PAIRS: [Pair; 5] = [
    Pair { names: ["udp", "udp"], schemes: ["udp", "udp"], congestion: None, has_aim: true },
    Pair { names: ["udp", "tcp (reno)"], schemes: ["udp", "nyx"], congestion: Some("reno"), has_aim: true },
    Pair { names: ["udp", "tcp (bbr)"], schemes: ["udp", "nyx"], congestion: Some("bbr"), has_aim: true },
    Pair { names: ["udp", "tcp (cubic)"], schemes: ["udp", "nyx"], congestion: Some("cubic"), has_aim: true },
    Pair { names: ["tcp (reno)", "tcp"], schemes: ["nyx", "nyx"], congestion: Some("reno"), has_aim: false },
];

/// Of these a quick check makes do with.
const SMOKE: usize = 2;

struct Pair {
    names: [&'static str; 2],
    schemes: [&'static str; 2],
    congestion: Option<&'static str>,
    has_aim: bool,
}

/// Measures all pairs and prints the table.
///
/// # Errors
/// When a process fails, or a subscriber receives nothing.
pub(super) async fn run(args: &Args) -> Result<(), Error> {
    let mut lines = vec![["8 Mbit/s for two", "Mbit/s", "and", "share", "aim"].map(str::to_owned)];
    for pair in PAIRS.iter().take(if args.smoke { SMOKE } else { PAIRS.len() }) {
        match Lab::build(args, &scene(pair)).await {
            Ok(lab) => lines.push(measure(args, pair, lab).await?),
            Err(why) => println!("{} beside {}: left out, {why}", pair.names[0], pair.names[1]),
        }
    }
    println!("A line of 8 Mbit/s, {} ms each way, before which {QUEUE} may wait:", DELAY.as_millis());
    aligned(&mut std::io::stdout().lock(), &lines, 1).map_err(Error::from)
}

async fn measure(args: &Args, pair: &Pair, lab: Lab) -> Result<[String; 5], Error> {
    let [one, other]: [Rate; 2] = lab.measure("--count", pair.schemes, args.window()).await?;
    let [one, other] = [one, other].map(|rate| rate.bytes_per_second * 8.0 / 1e6);
    if one == 0.0 || other == 0.0 {
        return Err(Error::from(std::io::Error::other("a subscriber received nothing")));
    }
    let share = one / (one + other);
    let verdict = if AIM.contains(&share) { "PASS" } else { "SHORT" };
    let aim = if pair.has_aim { format!("{verdict}, 0.3 to 0.7") } else { String::new() };
    let name = format!("{} beside {}", pair.names[0], pair.names[1]);
    Ok([name, format!("{one:.2}"), format!("{other:.2}"), format!("{share:.2}"), aim])
}

fn scene(pair: &Pair) -> Scene {
    let mut up = Conditions::default();
    up.delay = DELAY;
    let mut down = up.clone();
    (down.rate, down.buffer) = (Some(RATE), QUEUE);
    Scene { down, up, publisher: "--flood", congestion: pair.congestion }
}
