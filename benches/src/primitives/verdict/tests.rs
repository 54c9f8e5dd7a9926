use super::super::aims::Aims;
use super::*;

fn rows(figures: &[(&str, &str, f64)]) -> Rows {
    let mut rows = Rows::new();
    for &(row, contender, nanos) in figures {
        let figure = Figure::of_runs([nanos]);
        rows.entry(row.to_owned()).or_default().insert(contender.to_owned(), figure);
    }
    rows
}

fn lines_of(figures: &[(&str, &str, f64)], aims: &str) -> Vec<Line> {
    let aims = Aims::parse(aims).expect("the aims are right");
    judge(&rows(figures), aims.of_suite("core"))
}

/// The only verdict: what became of it, in words, and on whose line it stands.
fn verdict(figures: &[(&str, &str, f64)], aim: &str) -> (Outcome, String, Option<String>) {
    let lines = lines_of(figures, &format!("[[core]]\nrow = \"queue\"\n{aim}"));
    let mut all = lines.into_iter().flat_map(|line| {
        let contender = line.contender;
        line.verdicts.into_iter().map(move |verdict| (verdict.outcome, verdict.aim, contender.clone()))
    });
    let verdict = all.next().expect("there is a verdict");
    assert_eq!(all.next(), None);
    verdict
}

const QUEUE: &[(&str, &str, f64)] = &[
    ("queue", "nyx", 10.0),
    ("queue", "nyx predictive", 5.0),
    ("queue", "ArrayQueue", 8.0),
    ("queue", "flume", 16.0),
    ("queue", "kanal", 20.0),
];

#[test]
fn a_ratio_is_to_the_fastest_of_the_named_peers_and_stands_there() {
    let (outcome, aim, peer) = verdict(QUEUE, "of = [\"kanal\", \"flume\"]\nat_most = 0.7");
    assert_eq!((outcome, peer.as_deref()), (Outcome::Pass, Some("flume")));
    assert_eq!(aim, "at most 0.7 of each: kanal, flume");
    assert_eq!(verdict(QUEUE, "of = [\"flume\"]\nat_most = 0.6").0, Outcome::Short);
}

#[test]
fn the_best_peer_is_never_our_own_and_not_one_excepted() {
    let (outcome, _, peer) = verdict(QUEUE, "of = \"best\"\nat_most = 1.0");
    assert_eq!((outcome, peer.as_deref()), (Outcome::Short, Some("ArrayQueue")));
    let (outcome, _, peer) = verdict(QUEUE, "of = \"best\"\nexcept = [\"ArrayQueue\"]\nat_most = 1.0");
    assert_eq!((outcome, peer.as_deref()), (Outcome::Pass, Some("flume")));
}

#[test]
fn a_variant_is_ours_however_its_name_goes_on() {
    let figures = [("queue", "nyx", 10.0), ("queue", "nyx, kernel", 2.0), ("queue", "nyxt", 4.0)];
    let (outcome, _, peer) = verdict(&figures, "of = \"best\"\nat_most = 1.0");
    assert_eq!((outcome, peer.as_deref()), (Outcome::Short, Some("nyxt")));
    let lines = lines_of(&figures, "");
    assert_eq!(lines.iter().map(|line| line.ratio).collect::<Vec<_>>(), [None, None, Some(2.5)]);
}

#[test]
fn an_aim_can_be_about_a_variant() {
    let (outcome, aim, on) = verdict(QUEUE, "contender = \"nyx predictive\"\nnanos_at_most = 5.0");
    assert_eq!(
        (outcome, aim.as_str(), on.as_deref()),
        (Outcome::Pass, "nyx predictive at most 5 ns", Some("nyx predictive"))
    );
    assert_eq!(verdict(QUEUE, "nanos_at_most = 5.0").0, Outcome::Short);
}

#[test]
fn a_row_is_held_against_another_of_ours() {
    let aims = "[[core]]\nrow = \"queue\"\nof_row = \"queue/one\"\nat_most = 1.1";
    let lines = lines_of(&[("queue", "nyx", 10.0), ("queue/one", "nyx", 8.0)], aims);
    let verdict = Verdict { outcome: Outcome::Short, aim: "1.25: at most 1.1 of queue/one".to_owned() };
    assert_eq!((lines[0].contender.as_deref(), &lines[0].verdicts[..]), (Some("nyx"), &[verdict][..]));
}

#[test]
fn what_is_missing_is_said() {
    let (outcome, aim, _) = verdict(QUEUE, "of = [\"flume\", \"rtrb\"]\nat_most = 1.0");
    assert_eq!((outcome, aim.as_str()), (Outcome::Pass, "at most 1 of each: flume, rtrb; without rtrb"));
    let (outcome, aim, _) = verdict(QUEUE, "of = [\"rtrb\"]\nat_most = 1.0");
    assert_eq!((outcome, aim.as_str()), (Outcome::Unknown, "no peer (at most 1 of rtrb)"));
    let (outcome, aim, on) = verdict(&[], "nanos_at_most = 5.0");
    assert_eq!((outcome, aim.as_str(), on), (Outcome::Unknown, "not measured (at most 5 ns)", None));
    let (outcome, aim, _) = verdict(QUEUE, "of_row = \"absent\"\nat_most = 1.0");
    assert_eq!((outcome, aim.as_str()), (Outcome::Unknown, "nothing to compare with (at most 1 of absent)"));
}

#[test]
fn rows_follow_the_aims_and_contenders_their_speed_after_us() {
    let figures = [
        ("a/unaimed", "nyx", 1.0),
        ("pool/free", "nyx", 1.0),
        ("pool/get", "opool", 5.0),
        ("pool/get", "bytes", 4.0),
        ("pool/get", "nyx", 9.0),
    ];
    let aims =
        "[[core]]\nrow = \"pool/get\"\nnanos_at_most = 9\n[[core]]\nrow = \"limiter\"\nnanos_at_most = 9";
    let order: Vec<_> = lines_of(&figures, aims).into_iter().map(|line| (line.row, line.contender)).collect();
    let expected = [
        ("pool/get", Some("nyx")),
        ("pool/get", Some("bytes")),
        ("pool/get", Some("opool")),
        ("pool/free", Some("nyx")),
        ("limiter", None),
        ("a/unaimed", Some("nyx")),
    ];
    assert_eq!(order, expected.map(|(row, contender)| (row.to_owned(), contender.map(str::to_owned))));
}

#[test]
fn every_peer_has_our_ratio_to_it() {
    let ratios: Vec<_> = lines_of(&QUEUE[..3], "").iter().map(|line| line.ratio).collect();
    assert_eq!(ratios, [None, None, Some(1.25)]);
}

#[test]
fn a_variant_whose_ratio_has_no_column_says_it() {
    let aims = "[[core]]\nrow = \"queue\"\nof = [\"kanal\"]\nat_most = 0.4\n\
        [[core]]\nrow = \"queue\"\ncontender = \"nyx predictive\"\nof = [\"kanal\"]\nat_most = 0.4";
    let lines = lines_of(QUEUE, aims);
    let kanal =
        lines.iter().find(|line| line.contender.as_deref() == Some("kanal")).expect("it was measured");
    let words: Vec<_> = kanal.verdicts.iter().map(|verdict| verdict.aim.as_str()).collect();
    assert_eq!(words, ["at most 0.4 of kanal", "0.25: nyx predictive at most 0.4 of kanal"]);
}
