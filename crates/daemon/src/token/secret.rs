//! Bearer secrets: how they are written, and what is kept of them.
//!
//! A secret is 256 bits from the system's generator. Of it only the SHA-256 is kept: whoever reads the token file learns nothing
//! that lets him in. A slow hash with a salt is for passwords, which are few and can be guessed; nobody guesses one of 2^256, so
//! a fast one is as safe, and a peer can't make the hub work by sending wrong ones.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use subtle::ConstantTimeEq as _;

/// What every secret begins with, so that scanners of sources and logs can find it.
pub(crate) const PREFIX: &str = "nyx_";

const SECRET_BYTES: usize = 32;

/// Of the id, in characters of five bits. 60 bits: two of a million tokens are hardly ever alike, and minting looks.
const ID_LEN: usize = 12;

/// Digits, and letters that nobody mistakes for others (Crockford's base 32).
const ID_ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The public part of a secret, by which it is found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id(String);

impl Id {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Id {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let good = text.len() == ID_LEN && text.bytes().all(|byte| ID_ALPHABET.contains(&byte));
        if good { Ok(Self(text.to_owned())) } else { Err(BadId) }
    }
}

/// A text is no id of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadId;

impl fmt::Display for BadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an id has {ID_LEN} digits and lower-case letters, as `nyx token list` shows it")
    }
}

impl std::error::Error for BadId {}

/// What is kept of a secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hash([u8; 32]);

impl Hash {
    /// Of the whole text of a secret.
    fn of(text: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        Self(hash)
    }

    /// Whether it is that of `secret`. Takes the same time wherever they differ.
    pub(crate) fn is_of(&self, secret: &Secret) -> bool {
        self.0.ct_eq(&Self::of(&secret.text).0).into()
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Hash {
    type Err = BadHash;

    fn from_str(text: &str) -> Result<Self, BadHash> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(BadHash);
        }
        let mut hash = [0; 32];
        for (place, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).map_err(|_| BadHash)?;
        }
        Ok(Self(hash))
    }
}

/// A text is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadHash;

impl fmt::Display for BadHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a SHA-256 has 64 hexadecimal digits")
    }
}

impl std::error::Error for BadHash {}

/// A secret as its bearer has it: `nyx_`, the id, `_`, and 43 characters.
pub(crate) struct Secret {
    id: Id,
    text: String,
}

impl Secret {
    /// A new one.
    pub(crate) fn generate() -> Result<Self, NoRandomness> {
        let random = SystemRandom::new();
        let (mut id, mut secret) = ([0; ID_LEN], [0; SECRET_BYTES]);
        random.fill(&mut id).map_err(|_| NoRandomness)?;
        random.fill(&mut secret).map_err(|_| NoRandomness)?;
        let id = Id(id.iter().map(|byte| char::from(ID_ALPHABET[usize::from(byte % 32)])).collect());
        let text = format!("{PREFIX}{id}_{}", BASE64.encode(secret));
        Ok(Self { id, text })
    }

    /// Reads what a peer sent. `None`: it is not written as a secret is, and may be something else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let whole = BASE64.decode(secret).is_ok_and(|bytes| bytes.len() == SECRET_BYTES);
        whole.then_some(())?;
        Some(Self { id: id.parse().ok()?, text: text.to_owned() })
    }

    pub(crate) const fn id(&self) -> &Id {
        &self.id
    }

    pub(crate) fn hash(&self) -> Hash {
        Hash::of(&self.text)
    }

    /// The text itself, for its bearer alone.
    pub(crate) fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({}, hidden)", self.id)
    }
}

/// The system gives no random numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoRandomness;

impl fmt::Display for NoRandomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the system gives no random numbers: no secret was made")
    }
}

impl std::error::Error for NoRandomness {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_back_and_found_by_its_hash() {
        let secret = Secret::generate().unwrap();
        let read = Secret::parse(secret.expose()).unwrap();
        assert_eq!(read.id(), secret.id());
        assert!(secret.hash().is_of(&read));
        assert!(!secret.hash().is_of(&Secret::generate().unwrap()));
        assert_eq!(secret.hash().to_string().parse(), Ok(secret.hash()));
    }

    #[test]
    fn what_is_no_secret_is_none() {
        let good = Secret::generate().unwrap().expose().to_owned();
        let cut = &good[..good.len() - 1];
        let other_id = good.replacen(&good[4..16], "UPPERCASE000", 1);
        for text in ["", "nyx_", "nyx__", cut, &format!("{good}A"), &other_id, &good[4..]] {
            assert!(Secret::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::generate().unwrap();
        assert!(!format!("{secret:?}").contains(&secret.expose()[17..]));
    }
}
