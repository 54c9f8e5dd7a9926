//! The log of refusals. Whoever floods the door must not flood the disk as well.

use std::fmt::Display;
use std::net::IpAddr;

use nyx_core::clock::Monotonic;

use crate::exit::Outcome;
use crate::sparing::Sparing;

/// Tells who was refused what, a few times a second; the others are counted, and their number stands in the next line.
pub(crate) struct Audit(Sparing);

impl Audit {
    pub(super) fn new(clock: &Monotonic) -> Outcome<Self> {
        Sparing::new(clock).map(Self)
    }

    /// `subject` bears a token, or is empty; `what` was refused.
    pub(crate) fn refuse(&self, peer: IpAddr, subject: &str, what: impl Display) {
        if let Some(others) = self.0.note() {
            // Quoted: a subject may come from a JWT, and a topic from anybody.
            let (subject, what) = (cut(subject), what.to_string());
            tracing::warn!(%peer, ?subject, refused = ?cut(&what), others, "refused");
        }
    }

    /// Refusals since the start.
    pub(crate) fn refused(&self) -> u64 {
        self.0.came()
    }

    /// Those that no line tells.
    pub(crate) fn untold(&self) -> u64 {
        self.0.untold()
    }
}

/// Bytes of what a peer may have chosen in one line: more than any good topic, host or id has.
const TEXT_MAX: usize = 300;

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_a_little_of_it_told() {
        let audit = Audit::new(&Monotonic::new()).unwrap();
        (0..1000).for_each(|_| audit.refuse(IpAddr::from([198, 51, 100, 7]), "", "x"));
        assert_eq!(audit.refused(), 1000);
        assert!(audit.untold() >= 900, "{}", audit.untold());
    }

    #[test]
    fn what_a_peer_chose_makes_no_long_lines() {
        assert_eq!(cut("a host"), "a host");
        assert_eq!(cut(&"é".repeat(10_000)).len(), TEXT_MAX);
        assert_eq!(cut(&format!("x{}", "é".repeat(10_000))).len(), TEXT_MAX - 1);
    }
}
