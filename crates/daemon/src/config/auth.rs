//! Who may come in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use serde::Deserialize;

use crate::exit::{Failure, Outcome};
use crate::token::book::Book;
use crate::token::jwt::{Algo, Issuer, Terms};
use crate::token::store;

/// Who may come in. Without a token file and without issuers of JWTs, nobody is asked.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Auth {
    /// Written by `nyx token`, and followed while the hub runs.
    pub(crate) tokens: Option<PathBuf>,
    /// Who signs JWTs that are good here.
    jwt: Vec<Jwt>,
}

/// One issuer of JWTs.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Jwt {
    algorithm: Algo,
    /// The secret, or the public key.
    key: PathBuf,
    kid: Option<String>,
    issuer: Option<String>,
    audience: Option<String>,
}

/// Issuers that a token may have to be tried with. Each costs a signature to verify.
const ISSUERS_MAX: usize = 16;

impl Auth {
    /// Whether peers are asked for a token.
    pub(crate) fn is_on(&self) -> bool {
        self.tokens.is_some() || !self.jwt.is_empty()
    }

    /// Paths that are relative are relative to the configuration's folder.
    pub(super) fn resolve(&mut self, folder: &Path) {
        let keys = self.jwt.iter_mut().map(|jwt| &mut jwt.key);
        keys.chain(&mut self.tokens).for_each(|path| *path = folder.join(&*path));
    }

    /// What is known at the start. `None`: nobody is asked.
    pub(crate) fn book(&self) -> Outcome<Option<Book>> {
        if !self.is_on() {
            return Ok(None);
        }
        if self.jwt.len() > ISSUERS_MAX {
            return Err(Failure::usage(anyhow::anyhow!("auth.jwt has over {ISSUERS_MAX} issuers")));
        }
        let issuers = self.jwt.iter().map(Jwt::issuer).collect::<Outcome<Arc<[Issuer]>>>()?;
        let file = match &self.tokens {
            Some(path) => store::load(path).map_err(Failure::usage)?,
            None => Default::default(),
        };
        Ok(Some(Book::new(file, issuers)))
    }
}

impl Jwt {
    fn issuer(&self) -> Outcome<Issuer> {
        let Self { algorithm, key, kid, issuer, audience } = self;
        let name = || key.display().to_string();
        let file = std::fs::read(key).with_context(|| format!("can't read {}", name()));
        if *algorithm == Algo::HS256 && store::is_open_to_others(key, 4) {
            tracing::warn!("others can read {}, and sign what they like with it: chmod 600", name());
        }
        let terms = Terms { kid: kid.clone(), issuer: issuer.clone(), audience: audience.clone() };
        let made = file.and_then(|file| Issuer::new(*algorithm, &file, terms).with_context(name));
        made.map_err(Failure::usage)
    }
}
