//! Measurements that are not made for criterion: whole processes, and counts.

use std::process::Command;

use crate::programs::{self, Program as Wanted};
use crate::report::Report;
use crate::suites;
use crate::workspace::{self, build_programs, cargo, is_ci};

use super::{Options, PACKAGE};

/// Every bench that is neither here nor a suite is one of criterion's.
pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "relay",
        bin: "relay",
        brief: &["--smoke"],
        measures_daemon: true,
        lto: true,
        wants: &[],
    },
    Program {
        name: "audio",
        bin: "audio",
        brief: &["--brief"],
        measures_daemon: true,
        lto: true,
        wants: &[],
    },
    Program {
        name: "requests",
        bin: "requests",
        brief: &["--smoke"],
        measures_daemon: true,
        lto: true,
        wants: &[],
    },
    Program {
        name: "datagrams",
        bin: "datagrams",
        brief: &["--smoke"],
        measures_daemon: true,
        lto: true,
        wants: &[IP, SOCAT],
    },
    Program {
        name: "protocol",
        bin: "protocol",
        brief: &["--ticks", "20", "--brief"],
        measures_daemon: false,
        lto: true,
        wants: &[],
    },
    Program {
        name: "unsent",
        bin: "unsent",
        brief: &["--smoke"],
        measures_daemon: false,
        lto: true,
        wants: &[],
    },
    // As long in brief: it takes seconds, and a count is as good on a busy machine. Without link-time optimisation, as they have it who
    // depend on one crate.
    Program {
        name: "counts",
        bin: "counted",
        brief: &[],
        measures_daemon: false,
        lto: false,
        wants: &[VALGRIND],
    },
];

const VALGRIND: Wanted = Wanted { name: "valgrind", debian: "valgrind" };
const IP: Wanted = Wanted { name: "ip", debian: "iproute2" };
const SOCAT: Wanted = Wanted { name: "socat", debian: "socat" };

/// A binary of the bench package.
pub(super) struct Program {
    pub(super) name: &'static str,
    bin: &'static str,
    /// The arguments that make it as short as it can be.
    brief: &'static [&'static str],
    /// Whether it starts the release `nyx`.
    measures_daemon: bool,
    /// Whether it is measured as it is shipped, with link-time optimisation.
    lto: bool,
    wants: &'static [Wanted],
}

impl Program {
    pub(super) fn run(&self, options: &Options, report: &mut Report) -> anyhow::Result<()> {
        if let Some(wants) = programs::missing(self.wants) {
            report.leave_out(self.name, wants, options.is_named() || is_ci());
            return Ok(());
        }
        let mut command = if self.is_measured_as_shipped(options) {
            if self.measures_daemon && !report.run(NYX, &mut shipped_daemon())? {
                return Ok(());
            }
            options.command("run", &["-p", PACKAGE, "--release"], &["--bin", self.bin])
        } else {
            if !report.run("build", &mut options.with_features(self.build()))? {
                return Ok(());
            }
            Command::new(workspace::program(self.bin)?)
        };
        if options.test {
            command.args(self.brief);
        }
        // Whether namespaces may be made is not for continuous integration to say: it is left out there, and not said to have passed.
        report.run_if_let(self.name, command.args(&options.args), options.is_named())
    }

    const fn is_measured_as_shipped(&self, options: &Options) -> bool {
        self.lto && !options.test
    }

    fn build(&self) -> Command {
        build_programs([self.bin].into_iter().chain(self.measures_daemon.then_some(NYX)))
    }
}

fn shipped_daemon() -> Command {
    cargo(["build", "--release", "-p", suites::PACKAGE, "--bin", NYX])
}

const NYX: &str = "nyx";
