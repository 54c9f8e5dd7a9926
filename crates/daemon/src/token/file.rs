//! The token file: TOML, written by `nyx token` and followed by `nyx serve`.
//!
//! ```toml
//! [[token]]
//! id = "k3v9d2m8q1xz"
//! name = "camera 3"
//! sha256 = "…"                   # of the secret, which is nowhere else
//! publish = ["camera/3/**"]
//! subscribe = []
//! created = "2026-11-28T19:00:00Z"
//! expires = "2027-11-28T19:00:00Z"
//!
//! [[revoked]]                      # a JWT that is not to be taken any more
//! jti = "7d1f"
//! until = "2026-12-01T00:00:00Z" # when it expires by itself
//! ```

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nyx_protocol::topic::Pattern;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::secret::{Hash, Id};

/// Bytes that a file may have: some ten thousand tokens.
pub(crate) const FILE_BYTES_MAX: usize = 8 << 20;

/// Tokens, and revoked JWTs, of one file.
pub(crate) const TOKENS_MAX: usize = 20_000;

/// Patterns of one token, each way. Each topic that is announced is matched with all of them.
pub(crate) const PATTERNS_MAX: usize = 256;

/// What stands on top of a file that is written.
const HEAD: &str =
    "# Tokens of a Nyx hub, written by `nyx token`. The secrets themselves are not in here.\n\n";

/// All that a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    #[serde(default, rename = "token", skip_serializing_if = "Vec::is_empty")]
    pub(crate) tokens: Vec<Entry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) revoked: Vec<Revoked>,
}

/// One token.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    #[serde(with = "text")]
    pub(crate) id: Id,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    #[serde(with = "text")]
    pub(crate) sha256: Hash,
    #[serde(default, with = "texts")]
    pub(crate) publish: Vec<Pattern>,
    #[serde(default, with = "texts")]
    pub(crate) subscribe: Vec<Pattern>,
    pub(crate) created: Option<Time>,
    pub(crate) expires: Option<Time>,
}

/// A JWT that is not to be taken any more.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Revoked {
    pub(crate) jti: String,
    pub(crate) until: Option<Time>,
}

/// A moment, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(pub(crate) SystemTime);

impl Time {
    /// So long after `now`; `None` where that can't be written.
    pub(crate) fn after(now: SystemTime, time: Duration) -> Option<Self> {
        /// The year 10000, in seconds of the Unix epoch.
        const UNWRITABLE: Duration = Duration::from_secs(253_402_300_800);
        now.checked_add(time).filter(|at| *at < UNIX_EPOCH + UNWRITABLE).map(Self)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_seconds(self.0).fmt(f)
    }
}

impl FromStr for Time {
    type Err = humantime::TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        humantime::parse_rfc3339(text).map(Self)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer)
    }
}

/// What is wrong with a token file. Whoever wrote it erred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadFile(pub(crate) String);

impl fmt::Display for BadFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadFile {}

impl File {
    /// Reads a file's text.
    pub(crate) fn parse(text: &str) -> Result<Self, BadFile> {
        if text.len() > FILE_BYTES_MAX {
            return Err(BadFile(format!(
                "the file has over {FILE_BYTES_MAX} bytes: remove what has expired"
            )));
        }
        let file: Self = toml::from_str(text).map_err(|error| BadFile(error.to_string()))?;
        file.check()?;
        Ok(file)
    }

    fn check(&self) -> Result<(), BadFile> {
        if self.tokens.len() > TOKENS_MAX || self.revoked.len() > TOKENS_MAX {
            return Err(BadFile(format!("there are over {TOKENS_MAX} tokens: remove what has expired")));
        }
        let mut ids = HashSet::new();
        for Entry { id, publish, subscribe, .. } in &self.tokens {
            if !ids.insert(id) {
                return Err(BadFile(format!("two tokens have the id {id}: remove one")));
            }
            if publish.len() > PATTERNS_MAX || subscribe.len() > PATTERNS_MAX {
                return Err(BadFile(format!("token {id} has over {PATTERNS_MAX} patterns: use wildcards")));
            }
        }
        Ok(())
    }

    /// The file's text.
    pub(crate) fn to_text(&self) -> Result<String, BadFile> {
        self.check()?;
        let body = toml::to_string(self).map_err(|error| BadFile(error.to_string()))?;
        Ok(format!("{HEAD}{body}"))
    }

    /// Forgets what ended before `now`.
    pub(crate) fn forget(&mut self, now: SystemTime) {
        let ended = |time: Option<Time>| time.is_some_and(|time| time.0 <= now);
        self.tokens.retain(|token| !ended(token.expires));
        self.revoked.retain(|revoked| !ended(revoked.until));
    }
}

/// Values that stand in the file as text.
mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| de::Error::custom(format_args!("`{text}`: {error}")))
    }
}

/// The same, several.
mod texts {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<T: Display, S: Serializer>(
        values: &[T],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<T>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let parse =
            |text: String| text.parse().map_err(|error| de::Error::custom(format_args!("`{text}`: {error}")));
        texts.into_iter().map(parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;
    use crate::token::secret::Secret;

    fn entry() -> Entry {
        let secret = Secret::generate().unwrap();
        Entry {
            id: secret.id().clone(),
            name: "a \"camera\"".to_owned(),
            sha256: secret.hash(),
            publish: vec![Pattern::new("camera/3/**").unwrap()],
            subscribe: Vec::new(),
            created: None,
            expires: Some(Time(UNIX_EPOCH + Duration::from_secs(1_800_000_000))),
        }
    }

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let revoked = vec![Revoked { jti: "7d1f".to_owned(), until: None }];
        let file = File { tokens: vec![entry(), entry()], revoked };
        let text = file.to_text().unwrap();
        assert_eq!(File::parse(&text), Ok(file), "{text}");
        assert_eq!(File::parse(""), Ok(File::default()));
    }

    #[test]
    fn what_has_ended_is_forgotten() {
        let mut file =
            File { tokens: vec![entry(), Entry { expires: None, ..entry() }], revoked: Vec::new() };
        file.forget(UNIX_EPOCH + Duration::from_secs(1_799_999_999));
        assert_eq!(file.tokens.len(), 2);
        file.forget(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        assert_eq!(file.tokens.len(), 1);
    }

    #[test]
    fn bad_files_say_what_is_wrong() {
        let good = File { tokens: vec![entry()], revoked: Vec::new() }.to_text().unwrap();
        let twice = format!("{good}\n{}", &good[good.find("[[token]]").unwrap()..]);
        for (text, what) in [
            (twice, "two tokens have the id"),
            (good.replace("camera/3/**", "camera//3"), "camera//3"),
            (good.replace("sha256 = \"", "sha256 = \"x"), "64 hexadecimal digits"),
            (good.replace("expires = \"2027", "expires = \"soon"), "soon"),
            (good.replace("publish", "publsih"), "publsih"),
            ("tokens = 3".to_owned(), "tokens"),
        ] {
            let error = File::parse(&text).unwrap_err().to_string();
            assert!(error.contains(what), "{what} in {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,400}") {
            let _ = File::parse(&text);
        }

        #[test]
        fn a_file_that_is_damaged_is_refused_or_says_something(at in 0usize..400, by in any::<char>()) {
            let good = File { tokens: vec![entry()], revoked: Vec::new() }.to_text().unwrap();
            let mut text: Vec<char> = good.chars().collect();
            let place = at % text.len();
            text[place] = by;
            if let Ok(file) = File::parse(&text.into_iter().collect::<String>()) {
                prop_assert_eq!(File::parse(&file.to_text().unwrap()), Ok(file));
            }
        }
    }
}
