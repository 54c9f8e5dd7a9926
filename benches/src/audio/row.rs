//! A line of the table.

use super::sound::On;

/// What was measured, and what it should have been.
pub(super) struct Row {
    what: String,
    measured: String,
    aim: &'static str,
    /// `None` where there is no aim.
    reached: Option<bool>,
}

impl Row {
    pub(super) fn new(
        what: impl Into<String>,
        measured: impl Into<String>,
        aim: &'static str,
        reached: bool,
    ) -> Self {
        Self { what: what.into(), measured: measured.into(), aim, reached: Some(reached) }
    }

    /// A figure that stands beside others.
    pub(super) fn beside(what: impl Into<String>, measured: impl Into<String>) -> Self {
        Self { what: what.into(), measured: measured.into(), aim: "", reached: None }
    }

    pub(super) const fn is_short(&self) -> bool {
        matches!(self.reached, Some(false))
    }

    pub(super) fn cells(self, on: On) -> [String; 5] {
        let verdict = match self.reached {
            Some(true) => "PASS",
            Some(false) => "SHORT",
            None => "",
        };
        [self.what, on.name().to_owned(), self.measured, self.aim.to_owned(), verdict.to_owned()]
    }
}
