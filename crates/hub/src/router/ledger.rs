//! What became of requests, by service.

use std::collections::HashMap;
use std::time::Duration;

use nyx_protocol::control::Status;
use nyx_protocol::topic::Name;
use nyx_stream::metrics::Histogram;

/// Services that are counted each for itself, the first that were served; all others share a row. What a peer asks for and nobody
/// ever served makes no row, so peers can't decide how many there are.
const NAMES_MAX: usize = 256;

/// Where what has no row of its own is counted.
pub(super) const OTHERS: usize = 0;

/// Rows stay when a service goes, so that totals only grow.
pub(super) struct Ledger {
    places: HashMap<Name, usize>,
    rows: Vec<Row>,
}

/// Totals of a service.
#[derive(Default)]
pub(super) struct Row {
    /// `None`: of all that have no row of their own.
    pub(super) name: Option<Name>,
    pub(super) requests: u64,
    outcomes: [u64; STATUSES.len()],
    /// Microseconds until a server had answered.
    pub(super) times: Histogram,
}

const STATUSES: [Status; 10] = [
    Status::Ok,
    Status::Failed,
    Status::NoServer,
    Status::Deadline,
    Status::Overloaded,
    Status::ServerGone,
    Status::Cancelled,
    Status::BadRequest,
    Status::Forbidden,
    Status::AnswerLost,
];

impl Default for Ledger {
    fn default() -> Self {
        Self { places: HashMap::new(), rows: vec![Row::default()] }
    }
}

impl Ledger {
    /// The row of a service that is served.
    pub(super) fn open(&mut self, name: &Name) -> usize {
        let known = self.find(name.as_str());
        if known != OTHERS || self.places.len() >= NAMES_MAX {
            return known;
        }
        let place = self.rows.len();
        self.rows.push(Row { name: Some(name.clone()), ..Row::default() });
        self.places.insert(name.clone(), place);
        place
    }

    /// The row of what somebody asks for.
    pub(super) fn find(&self, name: &str) -> usize {
        self.places.get(name).copied().unwrap_or(OTHERS)
    }

    pub(super) fn asked(&mut self, row: usize) {
        self.rows[row].requests += 1;
    }

    /// A request is over.
    pub(super) fn over(&mut self, row: usize, status: Status) {
        if let Some(place) = STATUSES.iter().position(|known| *known == status) {
            self.rows[row].outcomes[place] += 1;
        }
    }

    /// A server has answered, after so long.
    pub(super) fn answered(&self, row: usize, after: Duration) {
        self.rows[row].times.record(u64::try_from(after.as_micros()).unwrap_or(u64::MAX));
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter()
    }
}

impl Row {
    pub(super) fn outcomes(&self) -> Vec<(Status, u64)> {
        STATUSES.into_iter().zip(self.outcomes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_served_makes_no_row() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.find("anything"), OTHERS);
        let places: Vec<_> = (0..NAMES_MAX + 5)
            .map(|number| ledger.open(&Name::new(&format!("s/{number}")).unwrap()))
            .collect();
        assert_eq!((ledger.rows().count(), places[NAMES_MAX]), (NAMES_MAX + 1, OTHERS));
        assert_eq!(ledger.open(&Name::new("s/3").unwrap()), places[3]);
        ledger.asked(OTHERS);
        ledger.over(OTHERS, Status::NoServer);
        let others = ledger.rows().next().unwrap();
        assert_eq!((others.requests, others.outcomes()[2]), (1, (Status::NoServer, 1)));
    }
}
