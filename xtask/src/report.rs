//! Runs commands one after the other and prints, at the end, what became of each.

use std::fmt;
use std::io;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::Context;

/// The results so far.
pub(crate) struct Report {
    /// What a row is, for the heading.
    what: &'static str,
    rows: Vec<Row>,
    /// Where all that is said goes.
    stdout: bool,
}

/// A command that has ended, and what it said.
pub(crate) struct Captured {
    said: String,
    row: Row,
}

struct Row {
    name: String,
    outcome: Outcome,
}

enum Outcome {
    Passed(Duration),
    Failed(Duration),
    /// Not run, and what it would have needed.
    LeftOut {
        wants: String,
        required: bool,
    },
}

impl Outcome {
    fn of(status: ExitStatus, elapsed: Duration) -> Self {
        if status.success() { Self::Passed(elapsed) } else { Self::Failed(elapsed) }
    }
}

impl Report {
    pub(crate) const fn new(what: &'static str) -> Self {
        Self { what, rows: Vec::new(), stdout: true }
    }

    /// A report that leaves stdout to what comes after it, and has the commands' output on stderr as well.
    pub(crate) const fn on_stderr(what: &'static str) -> Self {
        Self { what, rows: Vec::new(), stdout: false }
    }

    /// Runs the command to its end, with its output on ours, and says whether it succeeded.
    ///
    /// A command that fails is a row of the report; one that can't be started is an error.
    pub(crate) fn run(&mut self, name: &str, command: &mut Command) -> anyhow::Result<bool> {
        let (status, elapsed) = self.watch(name, command)?;
        self.rows.push(Row { name: name.to_owned(), outcome: Outcome::of(status, elapsed) });
        Ok(status.success())
    }

    /// The same for a command that may find that the machine does not let it do its work, and says so by [`LEFT_OUT`]. It counts as failed
    /// then when it is required.
    pub(crate) fn run_if_let(
        &mut self,
        name: &str,
        command: &mut Command,
        required: bool,
    ) -> anyhow::Result<()> {
        let (status, elapsed) = self.watch(name, command)?;
        let outcome = if status.code() == Some(LEFT_OUT) {
            Outcome::LeftOut { wants: "says above what it needs".to_owned(), required }
        } else {
            Outcome::of(status, elapsed)
        };
        self.rows.push(Row { name: name.to_owned(), outcome });
        Ok(())
    }

    fn watch(&self, name: &str, command: &mut Command) -> anyhow::Result<(ExitStatus, Duration)> {
        self.say(format_args!("\n==> {name}: {}\n", Shown(command)));
        if !self.stdout {
            command.stdout(io::stderr());
        }
        let start = now();
        let status = command.status().with_context(|| format!("can't start {:?}", command.get_program()))?;
        Ok((status, start.elapsed()))
    }

    /// Runs the command to its end and keeps its output, for commands of which several run at once.
    ///
    /// As with [`run`](Self::run), one that fails is no error.
    pub(crate) fn capture(name: &str, command: &mut Command) -> anyhow::Result<Captured> {
        let head = format!("\n==> {name}: {}\n", Shown(command));
        let start = now();
        let output = command.output().with_context(|| format!("can't start {:?}", command.get_program()))?;
        let outcome = Outcome::of(output.status, start.elapsed());
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(Captured { said: format!("{head}{}", said.concat()), row: Row { name: name.to_owned(), outcome } })
    }

    /// Prints what such a command said, and notes what became of it.
    pub(crate) fn add(&mut self, captured: Captured) {
        self.say(format_args!("{}", captured.said));
        self.rows.push(captured.row);
    }

    /// Notes something that can't run here. It counts as failed when it is required.
    pub(crate) fn leave_out(&mut self, name: &str, wants: String, required: bool) {
        self.rows.push(Row { name: name.to_owned(), outcome: Outcome::LeftOut { wants, required } });
    }

    /// Prints the table, what was left out, and the counts on a line of their own. Says whether nothing failed.
    pub(crate) fn finish(self) -> bool {
        self.say(format_args!("\n{self}"));
        self.failed() == 0
    }

    fn say(&self, text: fmt::Arguments<'_>) {
        if self.stdout { print!("{text}") } else { eprint!("{text}") }
    }

    fn passed(&self) -> usize {
        self.rows.iter().filter(|row| matches!(row.outcome, Outcome::Passed(_))).count()
    }

    fn failed(&self) -> usize {
        let failed =
            |row: &&Row| matches!(row.outcome, Outcome::Failed(_) | Outcome::LeftOut { required: true, .. });
        self.rows.iter().filter(failed).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.name.len()).chain([self.what.len()]).max().unwrap_or(0);
        writeln!(f, "{:width$}  result    time", self.what)?;
        for Row { name, outcome } in &self.rows {
            match outcome {
                Outcome::Passed(time) => writeln!(f, "{name:width$}  passed    {:.1} s", time.as_secs_f64()),
                Outcome::Failed(time) => writeln!(f, "{name:width$}  FAILED    {:.1} s", time.as_secs_f64()),
                Outcome::LeftOut { required: true, .. } => writeln!(f, "{name:width$}  MISSING   -"),
                Outcome::LeftOut { required: false, .. } => writeln!(f, "{name:width$}  left out  -"),
            }?;
        }
        self.fmt_left_out(f)?;
        writeln!(f, "\n{} passed, {} failed", self.passed(), self.failed())
    }
}

impl Report {
    fn fmt_left_out(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut heading = "\nThis machine lacks what these want, so they did not run:\n";
        for row in &self.rows {
            if let Outcome::LeftOut { wants, .. } = &row.outcome {
                writeln!(f, "{heading}  {} {wants}", row.name)?;
                heading = "";
            }
        }
        Ok(())
    }
}

/// What a measurement exits with where the machine does not let it do its work, as tests do under Automake. `benches/src/datagrams` has the same.
const LEFT_OUT: i32 = 77;

/// A command as one would type it.
struct Shown<'a>(&'a Command);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = std::path::Path::new(self.0.get_program());
        write!(f, "{}", program.file_stem().unwrap_or_default().to_string_lossy())?;
        self.0.get_args().try_for_each(|arg| write!(f, " {}", arg.to_string_lossy()))
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a step took is this program's to measure")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(rows: impl IntoIterator<Item = (&'static str, Outcome)>) -> Report {
        let rows = rows.into_iter().map(|(name, outcome)| Row { name: name.to_owned(), outcome }).collect();
        Report { what: "suite", rows, stdout: true }
    }

    fn left_out(required: bool) -> Outcome {
        Outcome::LeftOut { wants: "needs `x`: on Debian, `apt-get install y`".to_owned(), required }
    }

    #[test]
    fn the_last_line_counts() {
        let second = Duration::from_secs(1);
        let report = report([("a", Outcome::Passed(second)), ("b", Outcome::Failed(second))]);
        assert!(report.to_string().ends_with("\n1 passed, 1 failed\n"));
        assert!(!report.finish());
    }

    #[test]
    fn what_was_left_out_is_named_with_its_package_and_counts_as_neither() {
        let text = report([("browser", left_out(false))]).to_string();
        assert!(text.contains("  browser needs `x`: on Debian, `apt-get install y`\n"));
        assert!(text.ends_with("\n0 passed, 0 failed\n"));
    }

    #[test]
    #[cfg(unix)]
    fn what_finds_that_it_cannot_run_has_not_passed() {
        let mut report = Report::on_stderr("bench");
        let shell = |script| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            command
        };
        for (name, script, required) in
            [("ran", "exit 0", true), ("lacks", "exit 77", false), ("was named", "exit 77", true)]
        {
            report.run_if_let(name, &mut shell(script), required).expect("there is a shell");
        }
        let text = report.to_string();
        assert!(text.contains("\n  lacks says above what it needs\n"), "{text}");
        assert!(text.ends_with("\n1 passed, 1 failed\n"), "{text}");
    }

    #[test]
    fn what_was_left_out_but_required_has_failed() {
        assert!(report([("browser", left_out(true))]).to_string().ends_with("\n0 passed, 1 failed\n"));
    }
}
