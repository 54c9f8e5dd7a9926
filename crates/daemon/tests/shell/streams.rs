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

#[test]
fn an_interrupt_ends_the_wait_for_a_hub_that_does_not_answer() {
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = silent.local_addr().expect("an address");
    for args in [&["pub", "a"][..], &["sub", "a"], &["request", "a", "b"]] {
        let child =
            nyx(address, args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("nyx starts");
        let connection = silent.accept().expect("it connects");
        let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(interrupted.expect("kill runs").success());
        // Were it not heeded, this would say that the hub did not answer in time.
        assert_fails(&child.wait_with_output().expect("nyx ends"), 3, "stopped before");
        drop(connection);
    }
}
