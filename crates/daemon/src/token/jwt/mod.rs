//! JWTs (RFC 7519): signed by who issues them, and worth what they say.
//!
//! A token has to expire, be signed with the algorithm that its key is configured for, and name issuer and audience where these
//! are configured. What it allows stands in the claim `nyx`: `{"publish": ["camera/**"], "subscribe": ["chat/*"]}`.

mod key;
mod provider;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation, decode_header};
use nyx_protocol::topic::Pattern;
use serde::{Deserialize, Serialize};

use super::book::BadToken;
use super::file::PATTERNS_MAX;

pub(crate) use key::{Algo, BadKey};

/// How far a clock that issues tokens may be ahead of ours. Of how long they last nothing is added.
const AHEAD: Duration = Duration::from_secs(10);

/// Who issues tokens, and how one knows.
#[derive(Clone, Debug)]
pub(crate) struct Issuer {
    key: DecodingKey,
    kid: Option<String>,
    validation: Validation,
}

/// What a token must say besides being signed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    /// The key's name in the token's header, where it has one.
    pub(crate) kid: Option<String>,
    pub(crate) issuer: Option<String>,
    pub(crate) audience: Option<String>,
}

/// What a token says.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
pub(crate) struct Claims {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sub: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) jti: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) iss: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) aud: Option<serde_json::Value>,
    /// Seconds since the Unix epoch, which may have a fraction.
    pub(crate) exp: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nbf: Option<f64>,
    #[serde(default)]
    pub(crate) nyx: Grant,
}

/// The claim `nyx`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grant {
    #[serde(default)]
    pub(crate) publish: Vec<String>,
    #[serde(default)]
    pub(crate) subscribe: Vec<String>,
}

impl Grant {
    /// The patterns, if they are.
    pub(crate) fn patterns(&self) -> Result<[Vec<Pattern>; 2], BadToken> {
        let parse = |texts: &[String]| {
            if texts.len() > PATTERNS_MAX {
                return Err(BadToken::Claims);
            }
            texts.iter().map(|text| Pattern::new(text).map_err(|_| BadToken::Claims)).collect()
        };
        Ok([parse(&self.publish)?, parse(&self.subscribe)?])
    }
}

impl Issuer {
    /// From the text of its key's file.
    pub(crate) fn new(algo: Algo, key_file: &[u8], terms: Terms) -> Result<Self, BadKey> {
        Ok(Self::with_key(algo, key::verifying(algo, key_file)?, terms))
    }

    fn with_key(algo: Algo, key: DecodingKey, terms: Terms) -> Self {
        provider::install();
        let Terms { kid, issuer, audience } = terms;
        let mut validation = Validation::new(algo.wire());
        // Times are compared below, with the time that we are given.
        (validation.validate_exp, validation.validate_nbf, validation.leeway) = (false, false, 0);
        let mut required = vec!["exp"];
        if let Some(issuer) = issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        match audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                required.push("aud");
            }
            None => validation.validate_aud = false,
        }
        validation.set_required_spec_claims(&required);
        Self { key, kid, validation }
    }

    /// What a token says, if this issuer has signed it and it holds at `now`.
    fn read(&self, token: &str, now: SystemTime) -> Result<Claims, BadToken> {
        let claims = jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation);
        let claims = claims.map_err(|error| bad(error.kind()))?.claims;
        let at =
            |seconds: f64| Duration::try_from_secs_f64(seconds).ok().and_then(|d| UNIX_EPOCH.checked_add(d));
        let expires = at(claims.exp).ok_or(BadToken::Claims)?;
        if expires <= now {
            return Err(BadToken::Expired);
        }
        if let Some(begins) = claims.nbf
            && at(begins).ok_or(BadToken::Claims)? > now + AHEAD
        {
            return Err(BadToken::NotYet);
        }
        Ok(claims)
    }
}

/// What a token says, if one of the issuers has signed it and it holds at `now`.
pub(crate) fn read(issuers: &[Issuer], token: &str, now: SystemTime) -> Result<Claims, BadToken> {
    let header = decode_header(token).map_err(|_| BadToken::Malformed)?;
    let mut why = BadToken::Algorithm;
    for issuer in issuers.iter().filter(|issuer| issuer.validation.algorithms.contains(&header.alg)) {
        let is_named = header.kid.is_none() || issuer.kid.is_none() || header.kid == issuer.kid;
        match if is_named { issuer.read(token, now) } else { Err(BadToken::Unknown) } {
            Ok(claims) => return Ok(claims),
            // What the others say of it means less than what its own issuer does.
            Err(BadToken::Signature) if !matches!(why, BadToken::Algorithm | BadToken::Unknown) => {}
            Err(BadToken::Unknown) if why != BadToken::Algorithm => {}
            Err(error) => why = error,
        }
    }
    Err(why)
}

fn bad(kind: &ErrorKind) -> BadToken {
    match kind {
        ErrorKind::InvalidSignature => BadToken::Signature,
        ErrorKind::InvalidIssuer => BadToken::Issuer,
        ErrorKind::InvalidAudience => BadToken::Audience,
        ErrorKind::MissingRequiredClaim(claim) if claim == "iss" => BadToken::Issuer,
        ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => BadToken::Audience,
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => BadToken::Algorithm,
        ErrorKind::InvalidToken | ErrorKind::Base64(_) | ErrorKind::Utf8(_) => BadToken::Malformed,
        _ => BadToken::Claims,
    }
}

/// Signs tokens.
pub(crate) struct Signer {
    algo: Algo,
    key: EncodingKey,
}

impl Signer {
    /// From the text of its key's file.
    pub(crate) fn new(algo: Algo, key_file: &[u8]) -> Result<Self, BadKey> {
        provider::install();
        let (key, _) = key::signing(algo, key_file)?;
        Ok(Self { algo, key })
    }

    pub(crate) fn sign(
        &self,
        claims: &Claims,
        kid: Option<String>,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let header = Header { kid, ..Header::new(self.algo.wire()) };
        jsonwebtoken::encode(&header, claims, &self.key)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
    use proptest::prelude::*;

    use super::*;

    const SECRET: &[u8] = b"a secret that has more than enough bytes for the hash\n";

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn claims() -> Claims {
        let nyx = Grant { publish: vec!["a/**".to_owned()], subscribe: Vec::new() };
        let (sub, jti) = (Some("ann".to_owned()), Some("7".to_owned()));
        Claims { sub, jti, iss: None, aud: None, exp: 2000.0, nbf: None, nyx }
    }

    fn sign(claims: &Claims) -> String {
        Signer::new(Algo::HS256, SECRET).unwrap().sign(claims, None).unwrap()
    }

    fn issuer(terms: Terms) -> [Issuer; 1] {
        [Issuer::new(Algo::HS256, SECRET, terms).unwrap()]
    }

    #[test]
    fn a_good_token_says_what_it_said() {
        let (private, public) = key::tests::ed25519();
        for (algo, signing, verifying) in
            [(Algo::HS256, SECRET, SECRET), (Algo::EdDSA, &private[..], &public[..])]
        {
            let token = Signer::new(algo, signing).unwrap().sign(&claims(), None).unwrap();
            let issuers = [Issuer::new(algo, verifying, Terms::default()).unwrap()];
            assert_eq!(read(&issuers, &token, at(1000)), Ok(claims()));
        }
    }

    #[test]
    fn times_are_kept() {
        let issuers = issuer(Terms::default());
        let judge = |claims: &Claims, now| read(&issuers, &sign(claims), at(now)).map(drop);
        assert_eq!(judge(&claims(), 1999), Ok(()));
        assert_eq!(judge(&claims(), 2000), Err(BadToken::Expired));
        let later = Claims { nbf: Some(1500.0), ..claims() };
        assert_eq!(judge(&later, 1480), Err(BadToken::NotYet));
        assert_eq!(judge(&later, 1490), Ok(()));
        for exp in [f64::MAX, -1.0] {
            assert!(judge(&Claims { exp, ..claims() }, 1000).is_err(), "{exp}");
        }
    }

    #[test]
    fn issuer_and_audience_are_asked_for_where_they_are_configured() {
        let terms = Terms {
            kid: None,
            issuer: Some("https://id.example".to_owned()),
            audience: Some("nyx".to_owned()),
        };
        let issuers = issuer(terms);
        let judge = |iss: Option<&str>, aud: Option<serde_json::Value>| {
            let claims = Claims { iss: iss.map(str::to_owned), aud, ..claims() };
            read(&issuers, &sign(&claims), at(1000)).map(drop)
        };
        let right = Some("https://id.example");
        assert_eq!(judge(right, Some("nyx".into())), Ok(()));
        assert_eq!(judge(right, Some(serde_json::json!(["web", "nyx"]))), Ok(()));
        assert_eq!(judge(right, Some("web".into())), Err(BadToken::Audience));
        assert_eq!(judge(right, None), Err(BadToken::Audience));
        assert_eq!(judge(Some("https://evil.example"), Some("nyx".into())), Err(BadToken::Issuer));
        assert_eq!(judge(None, Some("nyx".into())), Err(BadToken::Issuer));
    }

    #[test]
    fn no_other_algorithm_and_no_other_key_will_do() {
        let (private, public) = key::tests::ed25519();
        let issuers = [Issuer::new(Algo::EdDSA, &public, Terms::default()).unwrap()];
        // The classic confusion: the public key, which everybody has, as a secret. We would not sign so.
        let forger = Signer { algo: Algo::HS256, key: EncodingKey::from_secret(&public).unwrap() };
        let forged = forger.sign(&claims(), None).unwrap();
        assert_eq!(read(&issuers, &forged, at(1000)), Err(BadToken::Algorithm));
        let (other, _) = key::tests::ed25519();
        let forged = Signer::new(Algo::EdDSA, &other).unwrap().sign(&claims(), None).unwrap();
        assert_eq!(read(&issuers, &forged, at(1000)), Err(BadToken::Signature));
        let good = Signer::new(Algo::EdDSA, &private).unwrap().sign(&claims(), None).unwrap();
        let body = good.split('.').nth(1).unwrap();
        let none = BASE64.encode(r#"{"alg":"none","typ":"JWT"}"#);
        assert_eq!(read(&issuers, &format!("{none}.{body}."), at(1000)), Err(BadToken::Malformed));
    }

    #[test]
    fn the_key_that_a_token_names_is_the_one_that_is_asked() {
        let named = |kid: &str, secret: &[u8]| {
            let terms = Terms { kid: Some(kid.to_owned()), ..Terms::default() };
            Issuer::new(Algo::HS256, secret, terms).unwrap()
        };
        let issuers = [named("old", b"another secret, as long as it has to be"), named("new", SECRET)];
        let sign = |kid: Option<&str>| {
            let signer = Signer::new(Algo::HS256, SECRET).unwrap();
            signer.sign(&claims(), kid.map(str::to_owned)).unwrap()
        };
        assert!(read(&issuers, &sign(Some("new")), at(1000)).is_ok());
        assert!(read(&issuers, &sign(None), at(1000)).is_ok());
        assert_eq!(read(&issuers, &sign(Some("old")), at(1000)), Err(BadToken::Signature));
        assert_eq!(read(&issuers, &sign(Some("gone")), at(1000)), Err(BadToken::Unknown));
    }

    proptest! {
        #[test]
        fn any_text_is_refused(text in ".{0,200}") {
            prop_assert!(read(&issuer(Terms::default()), &text, at(1000)).is_err());
        }

        #[test]
        fn a_token_of_which_a_character_is_another_is_refused(at_char in 0usize..1000, by in "[A-Za-z0-9_.-]") {
            let good = sign(&claims());
            let place = at_char % good.len();
            let mut bad = good.clone();
            bad.replace_range(place..=place, &by);
            prop_assume!(bad != good);
            prop_assert!(read(&issuer(Terms::default()), &bad, at(1000)).is_err());
        }
    }
}
