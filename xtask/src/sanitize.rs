//! `cargo xtask sanitize`: the tests of the crates that manage memory, under AddressSanitizer and LeakSanitizer.

use std::process::Command;

use anyhow::Context;

use crate::report::Report;
use crate::workspace::{nightly, target_directory};

/// The pool, and what hands its buffers on.
const PACKAGES: &[&str] = &["nyx-core", "nyx-stream"];

/// Named, so that the sanitizer is built into the tests and their dependencies but not into build scripts.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Runs their tests and the examples in their documentation, and says whether all passed without an invalid access or a leak.
pub(crate) fn run() -> anyhow::Result<bool> {
    let mut report = Report::new("crate");
    for package in PACKAGES {
        report.run(package, &mut command(package)?).context("the sanitizer needs a nightly toolchain")?;
    }
    Ok(report.finish())
}

fn command(package: &str) -> anyhow::Result<Command> {
    let mut command = nightly(&["cargo", "test", "-p", package, "--all-features"]);
    command
        .args(["--target", TARGET, "--no-fail-fast"])
        .env("CARGO_TARGET_DIR", target_directory()?.join("asan"))
        .env("RUSTFLAGS", SANITIZER)
        .env("RUSTDOCFLAGS", SANITIZER)
        .env("ASAN_OPTIONS", OPTIONS)
        // Property tests take minutes without; checks of arithmetic and assertions stay.
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1");
    Ok(command)
}

const SANITIZER: &str = "-Zsanitizer=address";

/// A request for more memory than there is fails as it does without the sanitizer: a typed error is tested.
const OPTIONS: &str = "detect_leaks=1:allocator_may_return_null=1";
