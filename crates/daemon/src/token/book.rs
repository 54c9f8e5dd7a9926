//! All that lets somebody in: tokens of the file, issuers of JWTs, and what was revoked.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nyx_hub::access::Permissions;

use super::file::{Entry, File};
use super::jwt::{self, Issuer};
use super::secret::{Id, Secret};

/// Bytes of a token. A JWT with a few hundred patterns fits; a request's head must, too.
pub(crate) const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// What is known at one moment. A value: the file is read by others, and the time is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    tokens: HashMap<Id, Entry>,
    revoked: HashSet<String>,
    issuers: Arc<[Issuer]>,
}

/// Who bears a good token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bearer {
    /// The token, in logs and for revocation: `token ID` or `jwt JTI`.
    pub(crate) subject: String,
    /// What its owner calls it, for logs.
    pub(crate) name: String,
    pub(crate) permissions: Permissions,
    pub(crate) expires: Option<SystemTime>,
}

/// Why a token is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadToken {
    Missing,
    Malformed,
    Unknown,
    Expired,
    NotYet,
    Revoked,
    Algorithm,
    Signature,
    Issuer,
    Audience,
    Claims,
}

impl BadToken {
    pub(crate) const ALL: [Self; 11] = [
        Self::Missing,
        Self::Malformed,
        Self::Unknown,
        Self::Expired,
        Self::NotYet,
        Self::Revoked,
        Self::Algorithm,
        Self::Signature,
        Self::Issuer,
        Self::Audience,
        Self::Claims,
    ];

    /// In logs and metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::Revoked => "revoked",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Claims => "claims",
        }
    }
}

/// For the peer. What only the hub's owner can mend is told in the log alone.
impl fmt::Display for BadToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "this hub asks for a token: set NYX_TOKEN, or get one with `nyx token mint`",
            Self::Expired => "the token has expired: get a new one",
            Self::NotYet => "the token is not valid yet: check both clocks",
            Self::Revoked => "the token was revoked: get a new one",
            Self::Malformed => "what was sent is no token: it begins with `nyx_`, or is a JWT",
            _ => "this hub does not take the token: check that it is whole, and for this hub",
        })
    }
}

impl std::error::Error for BadToken {}

impl Book {
    pub(crate) fn new(file: File, issuers: Arc<[Issuer]>) -> Self {
        let tokens = file.tokens.into_iter().map(|entry| (entry.id.clone(), entry)).collect();
        let revoked = file.revoked.into_iter().map(|revoked| revoked.jti).collect();
        Self { tokens, revoked, issuers }
    }

    /// The same issuers with another file.
    pub(crate) fn with_file(&self, file: File) -> Self {
        Self::new(file, self.issuers.clone())
    }

    /// Tokens of the file.
    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whose the token is.
    pub(crate) fn bearer(&self, token: &str, now: SystemTime) -> Result<Bearer, BadToken> {
        if token.is_empty() {
            return Err(BadToken::Missing);
        }
        if token.len() > TOKEN_BYTES_MAX {
            return Err(BadToken::Malformed);
        }
        match Secret::parse(token) {
            Some(secret) => self.bearer_of_secret(&secret, now),
            None => self.bearer_of_jwt(token, now),
        }
    }

    fn bearer_of_secret(&self, secret: &Secret, now: SystemTime) -> Result<Bearer, BadToken> {
        let entry = self.tokens.get(secret.id()).filter(|entry| entry.sha256.is_of(secret));
        let entry = entry.ok_or(BadToken::Unknown)?;
        let expires = entry.expires.map(|time| time.0);
        if expires.is_some_and(|at| at <= now) {
            return Err(BadToken::Expired);
        }
        Ok(Bearer {
            subject: subject_of(&entry.id),
            name: entry.name.clone(),
            permissions: Permissions::new(entry.publish.clone(), entry.subscribe.clone()),
            expires,
        })
    }

    fn bearer_of_jwt(&self, token: &str, now: SystemTime) -> Result<Bearer, BadToken> {
        let claims = jwt::read(&self.issuers, token, now)?;
        if claims.jti.as_ref().is_some_and(|jti| self.revoked.contains(jti)) {
            return Err(BadToken::Revoked);
        }
        let [publish, subscribe] = claims.nyx.patterns()?;
        let name = claims.sub.unwrap_or_default();
        let subject = claims.jti.map_or_else(|| format!("jwt of {name}"), |jti| subject_of_jwt(&jti));
        let expires = Duration::try_from_secs_f64(claims.exp).map_err(|_| BadToken::Claims)?;
        Ok(Bearer {
            subject,
            name,
            permissions: Permissions::new(publish, subscribe),
            expires: UNIX_EPOCH.checked_add(expires),
        })
    }

    /// The subjects that lose by going over to `next`: whose token is gone, or has another content.
    pub(crate) fn losers(&self, next: &Self) -> HashSet<String> {
        let changed = self.tokens.iter().filter(|(id, entry)| next.tokens.get(id) != Some(entry));
        let revoked = next.revoked.difference(&self.revoked).map(|jti| subject_of_jwt(jti));
        changed.map(|(id, _)| subject_of(id)).chain(revoked).collect()
    }
}

fn subject_of(id: &Id) -> String {
    format!("token {id}")
}

fn subject_of_jwt(jti: &str) -> String {
    format!("jwt {jti}")
}

#[cfg(test)]
mod tests {
    use nyx_protocol::topic::{Name, Pattern};

    use super::*;
    use crate::token::file::{Revoked, Time};
    use crate::token::jwt::{Algo, Claims, Grant, Signer, Terms};

    const SECRET: &[u8] = b"a secret that has more than enough bytes for the hash";

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn token() -> (Secret, Entry) {
        let secret = Secret::generate().unwrap();
        let entry = Entry {
            id: secret.id().clone(),
            name: "one".to_owned(),
            sha256: secret.hash(),
            publish: vec![Pattern::new("a").unwrap()],
            subscribe: Vec::new(),
            created: None,
            expires: Some(Time(at(2000))),
        };
        (secret, entry)
    }

    fn book(tokens: Vec<Entry>, revoked: &[&str]) -> Book {
        let revoked = revoked.iter().map(|jti| Revoked { jti: (*jti).to_owned(), until: None }).collect();
        let issuer = Issuer::new(Algo::HS256, SECRET, Terms::default()).unwrap();
        Book::new(File { tokens, revoked }, Arc::new([issuer]))
    }

    fn jwt(jti: &str) -> String {
        let nyx = Grant { publish: Vec::new(), subscribe: vec!["b/*".to_owned()] };
        let jti = Some(jti.to_owned());
        let claims = Claims { sub: None, jti, iss: None, aud: None, exp: 2000.0, nbf: None, nyx };
        Signer::new(Algo::HS256, SECRET).unwrap().sign(&claims, None).unwrap()
    }

    #[test]
    fn a_secret_of_the_file_lets_in_until_it_expires() {
        let (secret, entry) = token();
        let book = book(vec![entry.clone()], &[]);
        let bearer = book.bearer(secret.expose(), at(1000)).unwrap();
        assert_eq!((bearer.name.as_str(), bearer.expires), ("one", Some(at(2000))));
        assert!(bearer.permissions.may_publish(&Name::new("a").unwrap()));
        assert_eq!(book.bearer(secret.expose(), at(2000)), Err(BadToken::Expired));
        // The id is not secret: with another secret it is worth nothing.
        let other = Secret::generate().unwrap();
        let forged = other.expose().replacen(other.id().as_str(), entry.id.as_str(), 1);
        assert_eq!(book.bearer(&forged, at(1000)), Err(BadToken::Unknown));
        assert_eq!(book.bearer(other.expose(), at(1000)), Err(BadToken::Unknown));
        assert_eq!(book.bearer("", at(1000)), Err(BadToken::Missing));
        assert_eq!(book.bearer("garbage", at(1000)), Err(BadToken::Malformed));
        assert_eq!(book.bearer(&"x".repeat(TOKEN_BYTES_MAX + 1), at(1000)), Err(BadToken::Malformed));
    }

    #[test]
    fn a_jwt_lets_in_unless_it_was_revoked() {
        let before = book(Vec::new(), &[]);
        let after = book(Vec::new(), &["7"]);
        let bearer = before.bearer(&jwt("7"), at(1000)).unwrap();
        assert!(bearer.permissions.may_subscribe(&Name::new("b/c").unwrap()));
        assert_eq!(after.bearer(&jwt("7"), at(1000)), Err(BadToken::Revoked));
        assert!(after.bearer(&jwt("8"), at(1000)).is_ok());
        assert_eq!(before.losers(&after), HashSet::from([bearer.subject]));
    }

    #[test]
    fn whose_token_is_gone_or_changed_loses_and_nobody_else() {
        let tokens: Vec<_> = (0..3).map(|_| token().1).collect();
        let before = book(tokens.clone(), &[]);
        let less = Entry { publish: Vec::new(), ..tokens[1].clone() };
        let after = before.with_file(File { tokens: vec![tokens[0].clone(), less], revoked: Vec::new() });
        let losers = before.losers(&after);
        assert_eq!(losers, tokens[1..].iter().map(|entry| subject_of(&entry.id)).collect());
        assert!(before.losers(&before.clone()).is_empty());
    }
}
