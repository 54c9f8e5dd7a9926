//! `-` in the place of a file: stdin or stdout as one.

use std::fs::File;
use std::io;
use std::path::Path;

/// Whether this means stdin or stdout.
pub(crate) fn is_meant(path: &Path) -> bool {
    path == Path::new("-")
}

/// Stdin, without a buffer in between.
#[cfg(unix)]
pub(crate) fn stdin() -> io::Result<File> {
    use std::os::fd::AsFd as _;

    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}

/// Stdout, without a buffer in between.
#[cfg(unix)]
pub(crate) fn stdout() -> io::Result<File> {
    use std::os::fd::AsFd as _;

    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

/// Stdin, without a buffer in between.
#[cfg(windows)]
pub(crate) fn stdin() -> io::Result<File> {
    use std::os::windows::io::AsHandle as _;

    Ok(io::stdin().as_handle().try_clone_to_owned()?.into())
}

/// Stdout, without a buffer in between.
#[cfg(windows)]
pub(crate) fn stdout() -> io::Result<File> {
    use std::os::windows::io::AsHandle as _;

    Ok(io::stdout().as_handle().try_clone_to_owned()?.into())
}
