//! What a client shows to be let in.

use std::fmt;
use std::sync::Arc;

/// A bearer secret or a JWT. Cheap to clone, and not printed.
///
/// ```
/// let mut config = nyx_client::Config::default();
/// config.token = Some(nyx_client::Token::new("nyx_k3v9d2m8q1xz_…"));
/// assert!(!format!("{config:?}").contains("k3v9"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<str>);

impl Token {
    /// As `nyx token mint` printed it, or as an issuer gave it. White space around it does not count.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self(text.as_ref().trim().into())
    }

    /// The token itself, for who has to pass it on.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}
