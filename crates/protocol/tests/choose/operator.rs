//! What an operator says goes.

use nyx_core::Instant;
use nyx_protocol::choose::{Candidate, Chooser, Codec, Config, Form, Link, Offer, Pin, Reason};
use nyx_protocol::compress::Level;

use crate::simulation::{Trace, adaptive_with, candidates};
use crate::traces;

const SLOW: Link = Link { drain: Some(500_000), unsent: 0 };

fn game() -> Trace {
    let updates = traces::game_world(1, 150, 60, 3, false);
    Trace::new("game world", &updates[..100], &updates[100..])
}

fn pinned(pin: Pin) -> (Vec<Candidate>, f64) {
    let mut chooser = Chooser::new(candidates(), Config::default()).unwrap();
    chooser.set_pin(pin);
    let ours = adaptive_with(chooser, &game(), &|_| SLOW);
    (ours.chosen, ours.trials)
}

#[test]
fn off_means_no_compression_but_still_deltas() {
    let (chosen, trials) = pinned("off".parse().unwrap());
    assert!(chosen.iter().all(|candidate| candidate.codec == Codec::Raw));
    assert_eq!((chosen[0].form, chosen[49].form), (Form::Full, Form::Delta));
    assert_eq!(trials, 0.0, "no CPU is spent on finding out");
}

#[test]
fn a_pinned_codec_is_used_wherever_it_can_be() {
    let (chosen, trials) = pinned("level 3".parse().unwrap());
    assert!(chosen.iter().all(|candidate| candidate.codec == Codec::Level(Level::DEFAULT)));
    assert_eq!(trials, 0.0);
    let (chosen, _) = pinned("prefix".parse().unwrap());
    assert_eq!(chosen[0].codec, Codec::Raw, "there is nothing before the first");
    assert!(chosen[1..].iter().all(|candidate| candidate.codec == Codec::Prefix));
}

#[test]
fn pins_and_the_kill_switch_act_at_once_and_are_logged() {
    let mut chooser = Chooser::new(candidates(), Config::default()).unwrap();
    let offer = Offer { delta: Some(600), ..Offer::new(20_000) };
    let choose = |chooser: &mut Chooser| chooser.choose(Instant::ZERO, &offer, &SLOW).candidate();
    assert_ne!(choose(&mut chooser), Candidate::PLAIN);

    chooser.set_killed(Instant::ZERO, true);
    assert_eq!((choose(&mut chooser), chooser.current()), (Candidate::PLAIN, Candidate::PLAIN));
    chooser.set_killed(Instant::ZERO, false);
    chooser.set_killed(Instant::ZERO, false);
    assert_ne!(choose(&mut chooser), Candidate::PLAIN);

    chooser.set_pin(Pin::Off);
    assert_eq!(choose(&mut chooser).codec, Codec::Raw);
    let reasons: Vec<_> = chooser.log().map(|entry| entry.reason).collect();
    let [Reason::Faster { .. }, Reason::Killed(true), Reason::Killed(false), Reason::Pinned(Pin::Off)] =
        reasons[..]
    else {
        panic!("{reasons:?}")
    };
}

#[test]
fn the_log_speaks_in_sentences_with_numbers() {
    let mut chooser = Chooser::new(candidates(), Config::default()).unwrap();
    let link = Link { unsent: 1500, ..SLOW };
    let _ = chooser.choose(Instant::ZERO, &Offer::new(20_000), &link);
    let text = chooser.log().next().unwrap().to_string();
    assert_eq!(
        text,
        "full level 1 instead of full raw: 20000 bytes take 14.0ms instead of 40.0ms; \
         it saves 178.1 bytes per µs of CPU, the link drains 0.5, 1500 bytes are unsent"
    );
}

#[test]
fn what_is_not_there_for_a_while_is_given_up_and_single_misses_are_not() {
    let mut chooser = Chooser::new(candidates(), Config::default()).unwrap();
    let (with, without) = (Offer { delta: Some(600), ..Offer::new(20_000) }, Offer::new(20_000));
    let mut form = |offer| chooser.choose(Instant::ZERO, offer, &SLOW).candidate().form;
    for _ in 0..5 {
        assert_eq!((form(&with), form(&without)), (Form::Delta, Form::Full));
    }
    assert!((0..20).all(|_| form(&without) == Form::Full));
    let reasons: Vec<_> = chooser.log().map(|entry| entry.reason).collect();
    assert!(matches!(reasons[..], [Reason::Faster { .. }, Reason::Unavailable]), "{reasons:?}");
}
