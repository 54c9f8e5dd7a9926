//! Keys of JWTs, as they stand in files.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde::Deserialize;

/// How a JWT is signed. Others are not taken, and `none` is no algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Algo {
    /// HMAC with SHA-256: who can verify can also sign.
    HS256,
    /// Ed25519.
    EdDSA,
    /// RSA with SHA-256, 2048 to 8192 bits.
    RS256,
}

impl std::str::FromStr for Algo {
    type Err = BadAlgo;

    fn from_str(text: &str) -> Result<Self, BadAlgo> {
        [Self::HS256, Self::EdDSA, Self::RS256]
            .into_iter()
            .find(|algo| format!("{algo:?}").eq_ignore_ascii_case(text))
            .ok_or(BadAlgo)
    }
}

/// A text names no algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadAlgo;

impl fmt::Display for BadAlgo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("say EdDSA, HS256 or RS256")
    }
}

impl std::error::Error for BadAlgo {}

impl Algo {
    pub(crate) const fn wire(self) -> Algorithm {
        match self {
            Self::HS256 => Algorithm::HS256,
            Self::EdDSA => Algorithm::EdDSA,
            Self::RS256 => Algorithm::RS256,
        }
    }
}

/// What is wrong with a key. Whoever configured it erred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadKey {
    /// Fewer bytes than the hash has: RFC 7518, section 3.2.
    ShortSecret,
    /// A key of another kind: who knows a public one could sign with it.
    NoSecret,
    /// Bits of an RSA key, which are too few or too many.
    Bits(usize),
    NoPublicKey(Algo),
    NoPrivateKey(Algo),
    /// This program does not sign with it.
    VerifiesOnly(Algo),
}

impl fmt::Display for BadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShortSecret => f.write_str(
                "a secret for HS256 has at least 32 bytes: make one with `head -c 48 /dev/urandom | base64`",
            ),
            Self::NoSecret => f.write_str(
                "the file is a PEM file, and no secret for HS256: say EdDSA or RS256 for its key, or make a secret with \
                 `head -c 48 /dev/urandom | base64`",
            ),
            Self::Bits(bits) => {
                write!(f, "a key for RS256 has 2048 to 8192 bits, and the one in the file has {bits}: make a new pair")
            }
            Self::NoPublicKey(algo) => write!(
                f,
                "the file has no public key for {algo:?}: it begins with `-----BEGIN PUBLIC KEY-----`, as \
                 `openssl pkey -pubout` writes it"
            ),
            Self::NoPrivateKey(algo) => write!(
                f,
                "the file has no private key for {algo:?}: it begins with `-----BEGIN PRIVATE KEY-----`, as \
                 `openssl genpkey -algorithm ed25519` writes it"
            ),
            Self::VerifiesOnly(algo) => {
                write!(f, "{algo:?} is verified here and not signed: sign with HS256 or EdDSA, or elsewhere")
            }
        }
    }
}

impl std::error::Error for BadKey {}

/// A key that verifies, from the text of its file.
pub(crate) fn verifying(algo: Algo, file: &[u8]) -> Result<DecodingKey, BadKey> {
    match algo {
        Algo::HS256 => DecodingKey::from_secret(secret(file)?).map_err(|_| BadKey::ShortSecret),
        Algo::EdDSA => {
            let der = pem(file, "PUBLIC KEY").ok_or(BadKey::NoPublicKey(algo))?;
            let key = der.strip_prefix(ED25519_SPKI).filter(|key| key.len() == 32);
            key.map(DecodingKey::from_ed_der).ok_or(BadKey::NoPublicKey(algo))
        }
        Algo::RS256 => {
            let key = match pem(file, "RSA PUBLIC KEY") {
                Some(key) => key,
                None => {
                    let der = pem(file, "PUBLIC KEY");
                    der.as_deref().and_then(rsa_of).map(<[u8]>::to_vec).ok_or(BadKey::NoPublicKey(algo))?
                }
            };
            let bits = rsa_bits(&key).ok_or(BadKey::NoPublicKey(algo))?;
            // What ring takes; others would be found out with the first token, whose signature would be blamed.
            if !(2048..=8192).contains(&bits) {
                return Err(BadKey::Bits(bits));
            }
            Ok(DecodingKey::from_rsa_der(&key))
        }
    }
}

/// A key that signs, and the one that verifies what it signed.
pub(crate) fn signing(algo: Algo, file: &[u8]) -> Result<(EncodingKey, DecodingKey), BadKey> {
    match algo {
        Algo::HS256 => {
            let key = EncodingKey::from_secret(secret(file)?).map_err(|_| BadKey::ShortSecret)?;
            Ok((key, verifying(algo, file)?))
        }
        Algo::EdDSA => {
            let der = pem(file, "PRIVATE KEY").ok_or(BadKey::NoPrivateKey(algo))?;
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der);
            let pair = pair.map_err(|_| BadKey::NoPrivateKey(algo))?;
            Ok((EncodingKey::from_ed_der(&der), DecodingKey::from_ed_der(pair.public_key().as_ref())))
        }
        Algo::RS256 => Err(BadKey::VerifiesOnly(algo)),
    }
}

/// The file's bytes without the line's end that editors add.
fn secret(file: &[u8]) -> Result<&[u8], BadKey> {
    let secret = file.trim_ascii();
    if secret.starts_with(b"-----BEGIN ") {
        return Err(BadKey::NoSecret);
    }
    if secret.len() < 32 { Err(BadKey::ShortSecret) } else { Ok(secret) }
}

/// What the first block of this label holds (RFC 7468).
fn pem(file: &[u8], label: &str) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(file).ok()?;
    let (_, after) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = after.split_once(&format!("-----END {label}-----"))?;
    let body: String = body.split_ascii_whitespace().collect();
    BASE64.decode(body).ok()
}

/// What stands before the 32 bytes of an Ed25519 key in a `SubjectPublicKeyInfo` (RFC 8410, section 4).
const ED25519_SPKI: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// `rsaEncryption` and its parameters, NULL (RFC 3279, section 2.3.1).
const RSA_ALGORITHM: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

/// The `RSAPublicKey` in a `SubjectPublicKeyInfo`: that is what ring takes.
fn rsa_of(spki: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const BIT_STRING: u8 = 0x03;
    let (info, _) = der(spki, SEQUENCE)?;
    let (algorithm, rest) = der(info, SEQUENCE)?;
    (algorithm == RSA_ALGORITHM).then_some(())?;
    let (bits, _) = der(rest, BIT_STRING)?;
    bits.strip_prefix(&[0])
}

/// Bits of the modulus of an `RSAPublicKey` (RFC 8017, appendix A.1.1).
fn rsa_bits(key: &[u8]) -> Option<usize> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 0x02;
    let (numbers, _) = der(key, SEQUENCE)?;
    let (modulus, rest) = der(numbers, INTEGER)?;
    der(rest, INTEGER)?;
    let modulus = &modulus[modulus.iter().position(|byte| *byte != 0)?..];
    Some(8 * modulus.len() - modulus[0].leading_zeros() as usize)
}

/// The content of the element of this tag at the front, and what follows it (X.690, definite lengths).
fn der(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let [found, first, rest @ ..] = bytes else { return None };
    (*found == tag).then_some(())?;
    let (length, rest) = match *first {
        short @ 0..=0x7f => (usize::from(short), rest),
        long @ 0x81..=0x83 => {
            let (length, rest) = rest.split_at_checked(usize::from(long - 0x80))?;
            (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
pub(crate) mod tests {
    use ring::rand::SystemRandom;

    use super::*;

    pub(crate) fn to_pem(label: &str, der: &[u8]) -> Vec<u8> {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64.encode(der)).into_bytes()
    }

    /// A private key and its public one.
    pub(crate) fn ed25519() -> (Vec<u8>, Vec<u8>) {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        let public = [ED25519_SPKI, pair.public_key().as_ref()].concat();
        (to_pem("PRIVATE KEY", pkcs8.as_ref()), to_pem("PUBLIC KEY", &public))
    }

    #[test]
    fn keys_of_another_kind_are_refused() {
        let (private, public) = ed25519();
        assert!(verifying(Algo::EdDSA, &public).is_ok());
        assert_eq!(verifying(Algo::RS256, &public).err(), Some(BadKey::NoPublicKey(Algo::RS256)));
        assert_eq!(verifying(Algo::EdDSA, &private).err(), Some(BadKey::NoPublicKey(Algo::EdDSA)));
        assert_eq!(verifying(Algo::HS256, b"short\n").err(), Some(BadKey::ShortSecret));
        assert_eq!(signing(Algo::RS256, &private).err(), Some(BadKey::VerifiesOnly(Algo::RS256)));
        assert!(signing(Algo::EdDSA, &private).is_ok());
    }

    #[test]
    fn a_public_key_is_no_secret() {
        for key in [ed25519().1, to_pem("RSA PUBLIC KEY", &[7; 270]), [&b"\n "[..], &ed25519().1].concat()] {
            assert_eq!(verifying(Algo::HS256, &key).err(), Some(BadKey::NoSecret));
            assert_eq!(signing(Algo::HS256, &key).err(), Some(BadKey::NoSecret));
        }
    }

    #[test]
    fn an_rsa_key_that_verifies_nothing_is_refused_at_the_start() {
        let rsa = |modulus: &[u8]| {
            let element = |tag, content: &[u8]| {
                let length = (content.len() as u16).to_be_bytes();
                [&[tag, 0x82][..], &length, content].concat()
            };
            let numbers = [element(0x02, modulus), element(0x02, &[1, 0, 1])].concat();
            verifying(Algo::RS256, &to_pem("RSA PUBLIC KEY", &element(0x30, &numbers))).err()
        };
        assert_eq!(rsa(&[&[0, 0xff][..], &[7; 255]].concat()), None);
        assert_eq!(rsa(&[&[0, 0x7f][..], &[7; 255]].concat()), Some(BadKey::Bits(2047)));
        assert_eq!(rsa(&[0xff; 128]), Some(BadKey::Bits(1024)));
        assert_eq!(rsa(&[0; 256]), Some(BadKey::NoPublicKey(Algo::RS256)));
        let garbage = verifying(Algo::RS256, &to_pem("RSA PUBLIC KEY", b"ABC")).err();
        assert_eq!(garbage, Some(BadKey::NoPublicKey(Algo::RS256)));
    }

    #[test]
    fn a_public_rsa_key_is_found_in_its_envelope() {
        let body = [7; 270];
        let bits = [&[0x03, 0x82, 0x01, 0x0f, 0x00][..], &body].concat();
        let algorithm = [&[0x30, 13][..], RSA_ALGORITHM].concat();
        let inner = [algorithm, bits].concat();
        let length = (inner.len() as u16).to_be_bytes();
        let spki = [&[0x30, 0x82][..], &length, &inner].concat();
        assert_eq!(rsa_of(&spki), Some(&body[..]));
        (0..spki.len()).for_each(|cut| assert_eq!(rsa_of(&spki[..cut]), None, "{cut}"));
    }
}
