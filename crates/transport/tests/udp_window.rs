//! What a connection over datagrams has of a line that others use as well, what it leaves to them, and how long it makes them wait. In virtual
//! time: each run is like the other.

mod bottleneck {
    pub(crate) mod flows;
    pub(crate) mod line;
}

use std::time::Duration;

use bottleneck::flows::Flow;
use bottleneck::line::Line;

/// The line that most of this is about: 8 Mbit/s and 50 ms, so 50 KB in a round trip.
const RATE: u64 = 1_000_000;
const ROUND_TRIP: Duration = Duration::from_millis(50);

fn line(buffer: f64) -> Line {
    Line::new(RATE, ROUND_TRIP, buffer)
}

/// What is left to a round trip where waits of more than half of it, and ten milliseconds, count as long.
const SHORT: Duration = Duration::from_millis(35);

#[test]
fn alone_it_fills_the_line_and_keeps_the_queue_short_however_much_room_there_is() {
    for buffer in [2.0, 8.0] {
        let mut line = line(buffer);
        line.join(Flow::udp);
        line.run(5);
        let [share] = line.shares(15)[..] else { panic!() };
        assert!(share > 0.94, "{share:.2} of the line");
        assert!(line.queue() < SHORT, "a buffer of {buffer}: {:?}", line.queue());
    }
}

#[test]
fn two_that_begin_together_have_about_as_much() {
    let mut line = line(2.0);
    line.join(Flow::udp);
    line.join(Flow::udp);
    line.run(5);
    let [one, other] = line.shares(30)[..] else { panic!() };
    assert!((0.35..0.65).contains(&one) && one + other > 0.94, "{one:.2} and {other:.2}");
    assert!(line.queue() < SHORT, "{:?}", line.queue());
}

#[test]
fn one_that_comes_late_gets_its_share_though_it_never_saw_the_line_empty() {
    for buffer in [1.0, 4.0] {
        let mut line = line(buffer);
        line.join(Flow::udp);
        line.run(10);
        line.join(Flow::udp);
        line.run(40);
        let [one, other] = line.shares(30)[..] else { panic!() };
        assert!((0.3..0.7).contains(&one) && one + other > 0.94, "{one:.2} and {other:.2}");
        // Two overshoot by more than one.
        assert!(line.queue() < SHORT * 4 / 3, "a buffer of {buffer}: {:?}", line.queue());
    }
}

#[test]
fn beside_tcp_both_have_their_share_whichever_came_first() {
    for (buffer, tcp) in [(1.0, Flow::new_reno as fn(_) -> _), (1.0, Flow::cubic), (2.0, Flow::cubic)] {
        for is_first in [true, false] {
            let mut line = line(buffer);
            let (first, second) =
                if is_first { (Flow::udp as fn(_) -> _, tcp) } else { (tcp, Flow::udp as _) };
            line.join(first);
            line.run(5);
            line.join(second);
            line.run(10);
            let shares = line.shares(40);
            let [udp, tcp] = if is_first { [shares[0], shares[1]] } else { [shares[1], shares[0]] };
            // NewReno beside Cubic has a third and less.
            assert!(udp > 0.3 && tcp > 0.2, "a buffer of {buffer}: {udp:.2} and {tcp:.2} for TCP");
            assert!(udp + tcp > 0.94, "{udp:.2} and {tcp:.2}");
        }
    }
}

#[test]
fn once_tcp_has_gone_the_queue_is_short_again() {
    let mut line = line(4.0);
    line.join(Flow::udp);
    line.run(5);
    line.join(Flow::cubic);
    line.run(20);
    assert!(line.queue() > 2 * SHORT, "TCP fills it: {:?}", line.queue());
    line.leave();
    line.run(25);
    let [share] = line.shares(10)[..] else { panic!() };
    assert!(share > 0.9 && line.queue() < SHORT, "{share:.2} of the line, {:?}", line.queue());
}

#[test]
fn a_radio_s_losses_are_no_reason_to_leave() {
    // NewReno has 1.22 / sqrt(5 %) = 5.5 datagrams in a round trip here, a sixth of the line.
    let mut line = Line::with_loss(RATE, ROUND_TRIP, 2.0, "5%");
    line.join(Flow::udp);
    line.run(5);
    let [share] = line.shares(15)[..] else { panic!() };
    assert!(share > 0.7, "{share:.2} of the line");
}
