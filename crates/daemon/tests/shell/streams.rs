//! Stdin, stdout and stderr as people use them, and what is not answered.

use std::fs::File;
use std::sync::mpsc;

use super::common::daemon::PATIENCE;
use super::*;

fn full() -> File {
    File::options().write(true).open("/dev/full").expect("a device that is always full")
}

fn hub_with_a_document() -> Daemon {
    let hub = Daemon::start();
    assert_done(&publish(hub.native, &["s"], "{\"a\":1}\n"));
    hub
}

#[test]
fn that_stderr_takes_nothing_changes_no_exit_code() {
    let hub = Daemon::start();
    let mut command = nyx(hub.native, &["pub", "a", "/no/such/file"]);
    assert_eq!(command.stderr(full()).status().expect("nyx ends").code(), Some(1));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = nyx(hub.native, &["pub", "a", "/no/such/file"]);
    assert_eq!(command.stderr(writer).status().expect("nyx ends").code(), Some(1));
}
