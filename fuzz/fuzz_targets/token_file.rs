//! Any text is a token file or is refused; one that is read is written and read the same, and lets in only who is in it.

#![no_main]

use std::time::{Duration, UNIX_EPOCH};

use libfuzzer_sys::fuzz_target;

// The daemon is a program and no library; these parts of it stand alone.
#[allow(dead_code, missing_docs)]
#[path = "../../crates/daemon/src/token/file.rs"]
mod file;
#[allow(dead_code, missing_docs)]
#[path = "../../crates/daemon/src/token/secret.rs"]
mod secret;

use file::File;
use secret::Secret;

fuzz_target!(|text: &str| {
    // A peer's token is read by the same hands.
    if let Some(secret) = Secret::parse(text) {
        assert_eq!(secret.expose(), text);
    }
    let Ok(mut file) = File::parse(text) else { return };
    let written = file.to_text().expect("what was read can be written");
    assert_eq!(File::parse(&written).expect("what was written can be read"), file);
    let before = file.tokens.len();
    file.forget(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    assert!(file.tokens.len() <= before);
});
