//! The console's own decoder, a second one beside nyx-protocol's, against the same bytes.

use std::process::Command;

#[test]
fn the_decoder_of_the_page_agrees_with_the_specification() {
    let tests = concat!(env!("CARGO_MANIFEST_DIR"), "/console/wire.test.mjs");
    let output = Command::new("node").args(["--test", tests]).output().expect("node runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
