//! The console's own decoders, second ones beside nyx-protocol's, against the same bytes.

use std::path::PathBuf;
use std::process::Command;

#[test]
fn the_decoders_of_the_page_agree_with_the_specification() {
    let folder =
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/console")).expect("the console's folder");
    let mut tests: Vec<PathBuf> = folder
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.to_string_lossy().ends_with(".test.mjs"))
        .collect();
    tests.sort();
    assert!(tests.len() >= 3, "{tests:?}");
    let output = Command::new("node").arg("--test").args(&tests).output().expect("node runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
