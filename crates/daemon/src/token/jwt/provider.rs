//! The cryptography of JWTs, by ring: TLS has it in the program already.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind, Result};
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey};
use ring::signature::{ED25519, Ed25519KeyPair, RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm};
use ring::{hmac, signature as ring_signature};

/// Makes it the one that is used. It may be said again.
pub(super) fn install() {
    static PROVIDER: CryptoProvider = CryptoProvider {
        signer_factory: signer,
        verifier_factory: verifier,
        // For JWKs, which nothing here makes or reads.
        key_utils: KeyUtils::new_unimplemented(),
    };
    // Whoever was first has installed the same.
    let _ = PROVIDER.install_default();
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    let bytes = key.try_get_as_bytes()?;
    Ok(match (algorithm, key.family()) {
        (Algorithm::HS256, AlgorithmFamily::Hmac) => {
            Box::new(Hs256(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
        }
        (Algorithm::EdDSA, AlgorithmFamily::Ed) => {
            Box::new(Public { algorithm: *algorithm, by: &ED25519, key: bytes.to_vec() })
        }
        (Algorithm::RS256, AlgorithmFamily::Rsa) => {
            Box::new(Public { algorithm: *algorithm, by: &RSA_PKCS1_2048_8192_SHA256, key: bytes.to_vec() })
        }
        _ => return Err(unsupported()),
    })
}

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    let bytes = key.as_bytes();
    Ok(match (algorithm, key.family()) {
        (Algorithm::HS256, AlgorithmFamily::Hmac) => {
            Box::new(Hs256(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
        }
        (Algorithm::EdDSA, AlgorithmFamily::Ed) => {
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(bytes);
            Box::new(Ed25519(pair.map_err(|_| Error::from(ErrorKind::InvalidEddsaKey))?))
        }
        _ => return Err(unsupported()),
    })
}

fn unsupported() -> Error {
    ErrorKind::UnsupportedAlgorithm.into()
}

struct Hs256(hmac::Key);

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, signature::Error> {
        Ok(hmac::sign(&self.0, message).as_ref().to_vec())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], tag: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        // In constant time.
        hmac::verify(&self.0, message, tag).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

struct Ed25519(Ed25519KeyPair);

impl Signer<Vec<u8>> for Ed25519 {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, signature::Error> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

impl JwtSigner for Ed25519 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

/// A public key, and what verifies by it.
struct Public {
    algorithm: Algorithm,
    by: &'static dyn VerificationAlgorithm,
    key: Vec<u8>,
}

impl Verifier<Vec<u8>> for Public {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        let key = ring_signature::UnparsedPublicKey::new(self.by, &self.key);
        key.verify(message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Public {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
