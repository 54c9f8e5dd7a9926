//! Nobody gets in by a JWT that was not signed: neither by any text, nor by a good token of which a part is another.

#![no_main]

use std::time::{Duration, UNIX_EPOCH};

use libfuzzer_sys::fuzz_target;

// The daemon is a program and no library; these parts of it stand alone.
#[allow(dead_code, missing_docs)]
#[path = "../../crates/daemon/src/token/book.rs"]
mod book;
#[allow(dead_code, missing_docs)]
#[path = "../../crates/daemon/src/token/file.rs"]
mod file;
#[allow(dead_code, missing_docs)]
#[path = "../../crates/daemon/src/token/jwt/mod.rs"]
mod jwt;
#[allow(dead_code, missing_docs)]
#[path = "../../crates/daemon/src/token/secret.rs"]
mod secret;

use book::{Book, TOKEN_BYTES_MAX};
use file::File;
use jwt::{Algo, Claims, Grant, Issuer, Signer, Terms};

const SECRET: &[u8] = b"a secret that has more than enough bytes for the hash";

fuzz_target!(|input: (u16, &str)| {
    let (place, text) = input;
    let now = UNIX_EPOCH + Duration::from_secs(1000);
    let issuers = [Issuer::new(Algo::HS256, SECRET, Terms::default()).expect("a good secret")];
    let book = Book::new(File::default(), issuers.into());
    assert!(book.bearer(text, now).is_err());

    let nyx = Grant { publish: vec!["a/**".to_owned()], subscribe: Vec::new() };
    let claims = Claims { sub: None, jti: None, iss: None, aud: None, exp: 2000.0, nbf: None, nyx };
    let signer = Signer::new(Algo::HS256, SECRET).expect("a good secret");
    let good = signer.sign(&claims, None).expect("it can be signed");
    assert!(book.bearer(&good, now).is_ok());
    let place = usize::from(place) % good.len();
    let bad = format!("{}{text}{}", &good[..place], &good[place..]);
    let end = good.len().min(place + text.len());
    let other = format!("{}{text}{}", &good[..place], &good[end..]);
    for forged in [bad, other] {
        assert!(
            forged == good || forged.len() > TOKEN_BYTES_MAX || book.bearer(&forged, now).is_err(),
            "{forged}"
        );
    }
});
