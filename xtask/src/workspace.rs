//! Where the project is, and how its cargo is called.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use cargo_metadata::{Metadata, MetadataCommand, Package};

use crate::{bench, suites};

/// The folder of the workspace's manifest.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// The cargo that runs this task, so that everything is built by one toolchain, started in the workspace's root.
pub(crate) fn cargo<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.current_dir(root()).args(args);
    command
}

/// Has a release build leave out link-time optimisation, for what only has to work: linking takes several times as long with it
/// as without.
pub(crate) fn without_lto(command: &mut Command) -> &mut Command {
    command.env("CARGO_PROFILE_RELEASE_LTO", "off")
}

/// Builds programs of the daemon's and the benches' packages in release mode, without link-time optimisation. Features are those of both
/// packages together whichever is built, so that no dependency is built twice.
pub(crate) fn build_programs<'a>(bins: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = cargo(["build", "--release", "-p", suites::PACKAGE, "-p", bench::PACKAGE]);
    bins.into_iter().for_each(|bin| _ = command.args(["--bin", bin]));
    without_lto(&mut command);
    command
}

/// Where cargo puts a program that is built in release mode.
pub(crate) fn program(bin: &str) -> anyhow::Result<PathBuf> {
    Ok(target_directory()?.join("release").join(bin))
}

/// A command of the nightly toolchain, which alone has sanitizers, started in the workspace's root.
pub(crate) fn nightly(args: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.current_dir(root()).args(["run", "nightly"]).args(args);
    command
}

/// Whether this is continuous integration, where what can't run is a failure.
pub(crate) fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|ci| !matches!(ci.as_str(), "" | "0" | "false"))
}

/// Where cargo puts what it builds. Tasks that build with other flags have a folder of their own in it, since flags that change
/// make cargo build everything anew.
pub(crate) fn target_directory() -> anyhow::Result<PathBuf> {
    Ok(metadata()?.target_directory.into_std_path_buf())
}

/// What cargo knows about the workspace and everything it depends on.
pub(crate) fn metadata() -> anyhow::Result<Metadata> {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .features(cargo_metadata::CargoOpt::AllFeatures)
        .exec()
        .context("cargo metadata failed; does `cargo check` work?")
}

/// The workspace's package of that name.
pub(crate) fn package<'a>(metadata: &'a Metadata, name: &str) -> anyhow::Result<&'a Package> {
    metadata
        .workspace_packages()
        .into_iter()
        .find(|package| package.name == name)
        .with_context(|| format!("the workspace has no package `{name}`"))
}
