//! Topic names and the patterns that select them.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// The most bytes that a name or pattern may have.
pub const MAX_LEN: usize = 255;

/// A topic's name: segments of UTF-8 separated by `/`, none empty, without control characters and `*`. Cheap to clone.
///
/// ```
/// use nyx_protocol::topic::Name;
///
/// assert!(Name::new("game/world").is_ok());
/// assert!(Name::new("game//world").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

impl Name {
    /// Checks a name.
    ///
    /// # Errors
    /// Says what the name lacks.
    pub fn new(name: &str) -> Result<Self, NameError> {
        check(name)?;
        if name.contains('*') {
            return Err(NameError::Wildcard);
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name is one of the hub's own, under `$`.
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with('$')
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::new(name)
    }
}

/// Selects topics: like a name, but a segment may be `*` (any one segment) or `**` (any number of them, also none).
///
/// Wildcards do not match a first segment that starts with `$`: the hub's own topics are named in full.
///
/// ```
/// use nyx_protocol::topic::{Name, Pattern};
///
/// let pattern = Pattern::new("game/**/hp").unwrap();
/// assert!(pattern.matches(&Name::new("game/entity/7/hp").unwrap()));
/// assert!(pattern.matches(&Name::new("game/hp").unwrap()));
/// assert!(!pattern.matches(&Name::new("game/hp/max").unwrap()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern(Arc<str>);

impl Pattern {
    /// Checks a pattern.
    ///
    /// # Errors
    /// Says what the pattern lacks.
    pub fn new(pattern: &str) -> Result<Self, NameError> {
        check(pattern)?;
        if pattern.split('/').any(|segment| segment.contains('*') && segment != "*" && segment != "**") {
            return Err(NameError::PartialWildcard);
        }
        Ok(Self(pattern.into()))
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the pattern selects this topic. Of what lies between two `**` each segment of the name may be where it begins; anything else is looked at
    /// once.
    pub fn matches(&self, name: &Name) -> bool {
        if name.is_reserved() && self.0.starts_with('*') {
            return false;
        }
        let name = name.as_str();
        let Some((before, last)) = self.0.rsplit_once("**") else { return strip(&self.0, name) == Some("") };
        let (mut between, last) = (before.split("**").map(trim), trim(last));
        let Some(mut rest) = strip(between.next().unwrap_or_default(), name) else { return false };
        if !last.is_empty() {
            let start = rest.rmatch_indices('/').nth(last.matches('/').count());
            let start = start.map_or(0, |(slash, _)| slash + 1);
            if strip(last, &rest[start..]) != Some("") {
                return false;
            }
            rest = trim(&rest[..start]);
        }
        // Each as far in front as it can be: the next ones have the more room.
        between.all(|part| {
            while strip(part, rest).is_none() {
                let Some((_, after)) = rest.split_once('/') else { return false };
                rest = after;
            }
            rest = strip(part, rest).unwrap_or_default();
            true
        })
    }
}

/// What is left of `name` behind the segments of `part`, which has no `**`, if it begins with these.
fn strip<'a>(part: &str, name: &'a str) -> Option<&'a str> {
    let mut rest = name;
    for (place, text) in part.split('*').enumerate() {
        if place > 0 {
            let segment = rest.find('/').unwrap_or(rest.len());
            rest = rest.get(segment..).filter(|_| segment > 0)?;
        }
        rest = rest.strip_prefix(text)?;
    }
    match rest.strip_prefix('/') {
        Some(after) if !part.is_empty() => Some(after),
        _ => Some(rest).filter(|rest| rest.is_empty() || part.is_empty()),
    }
}

fn trim(part: &str) -> &str {
    part.trim_matches('/')
}

impl Pattern {
    /// Whether there may be a topic that both select. It never misses one; for a `$` behind a wildcard it may see one that
    /// is not there. O(segments of the one × segments of the other).
    ///
    /// ```
    /// use nyx_protocol::topic::Pattern;
    ///
    /// let mine = Pattern::new("game/*/hp").unwrap();
    /// assert!(mine.overlaps(&Pattern::new("**").unwrap()));
    /// assert!(!mine.overlaps(&Pattern::new("chat/**").unwrap()));
    /// ```
    pub fn overlaps(&self, other: &Self) -> bool {
        let hidden = |a: &Self, b: &Self| a.0.starts_with('$') && b.0.starts_with('*');
        if hidden(self, other) || hidden(other, self) {
            return false;
        }
        let ours: Vec<&str> = self.0.split('/').collect();
        let theirs: Vec<&str> = other.0.split('/').collect();
        // Row by row from the ends: whether the rest of ours from `i` and of theirs from `j` have a name in common.
        let mut below = vec![false; theirs.len() + 1];
        for i in (0..=ours.len()).rev() {
            let mut row = vec![false; theirs.len() + 1];
            for j in (0..=theirs.len()).rev() {
                row[j] = match (ours.get(i), theirs.get(j)) {
                    (None, None) => true,
                    (Some(&"**"), there) => below[j] || (there.is_some() && row[j + 1]),
                    (here, Some(&"**")) => row[j + 1] || (here.is_some() && below[j]),
                    (Some(&here), Some(&there)) => {
                        (here == there || here == "*" || there == "*") && below[j + 1]
                    }
                    _ => false,
                };
            }
            below = row;
        }
        below[0]
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl std::str::FromStr for Pattern {
    type Err = NameError;

    fn from_str(pattern: &str) -> Result<Self, NameError> {
        Self::new(pattern)
    }
}

/// What is wrong with a topic name or pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// It is empty, or has an empty segment.
    #[error("a topic has no empty segment: write `a/b`, not `/a`, `a//b` or `a/`")]
    EmptySegment,
    /// It has over 255 bytes.
    #[error("a topic has at most 255 bytes")]
    TooLong,
    /// It has a control character.
    #[error("a topic has no control characters")]
    ControlCharacter,
    /// A name has a wildcard.
    #[error("a topic's name has no `*`: wildcards belong in patterns")]
    Wildcard,
    /// A wildcard shares its segment with other characters.
    #[error("`*` and `**` stand for whole segments: write `a/*`, not `a*`")]
    PartialWildcard,
}

fn check(text: &str) -> Result<(), NameError> {
    if text.len() > MAX_LEN {
        return Err(NameError::TooLong);
    }
    if text.split('/').any(str::is_empty) {
        return Err(NameError::EmptySegment);
    }
    if text.chars().any(char::is_control) {
        return Err(NameError::ControlCharacter);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::new(pattern).unwrap().matches(&Name::new(name).unwrap())
    }

    #[test]
    fn bad_names_say_what_is_wrong() {
        for (name, error) in [
            ("", NameError::EmptySegment),
            ("/a", NameError::EmptySegment),
            ("a/", NameError::EmptySegment),
            ("a\nb", NameError::ControlCharacter),
            ("a/*", NameError::Wildcard),
            (&"x".repeat(256), NameError::TooLong),
        ] {
            assert_eq!(Name::new(name), Err(error), "{name:?}");
        }
        assert_eq!(Pattern::new("a*/b"), Err(NameError::PartialWildcard));
        assert!(Name::new(&"x".repeat(255)).is_ok());
    }

    #[test]
    fn names_and_patterns_fill_a_column() {
        let (name, pattern) = (Name::new("a/b").unwrap(), Pattern::new("a/*").unwrap());
        assert_eq!(format!("{name:<5}|{pattern:>5}|{name}"), "a/b  |  a/*|a/b");
    }

    #[test]
    fn wildcards_select() {
        for (pattern, name, expected) in [
            ("a/b", "a/b", true),
            ("a/*", "a/b", true),
            ("a/*", "a", false),
            ("a/*", "a/b/c", false),
            ("**", "a/b/c", true),
            ("a/**", "a", true),
            ("**/c", "a/b/c", true),
            ("**/b/**/d", "a/b/c/b/d", true),
            ("**/b/*/d", "a/b/c/b/d", false),
            ("**", "$nyx/stats", false),
            ("*/stats", "$nyx/stats", false),
            ("$nyx/*", "$nyx/stats", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn patterns_overlap_where_a_topic_is_selected_by_both() {
        for (one, other, expected) in [
            ("a/b", "a/b", true),
            ("a/*", "*/b", true),
            ("a/**", "**/z", true),
            ("a/*", "a/b/**", true),
            ("a/*/c", "a/b", false),
            ("a/**", "b/**", false),
            ("**", "$nyx/stats", false),
            ("$nyx/*", "$nyx/stats", true),
        ] {
            let [one, other] = [one, other].map(|pattern| Pattern::new(pattern).unwrap());
            assert_eq!(one.overlaps(&other), expected, "{one} and {other}");
            assert_eq!(other.overlaps(&one), expected, "{other} and {one}");
        }
    }

    fn by_recursion(pattern: &[&str], name: &[&str]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((&"**", rest)), _) => {
                by_recursion(rest, name) || (!name.is_empty() && by_recursion(pattern, &name[1..]))
            }
            (Some((want, pattern)), Some((have, name))) => {
                (*want == "*" || want == have) && by_recursion(pattern, name)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_its_definition(
            pattern in prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "*", "**"]), 1..8),
            name in prop::collection::vec(prop::sample::select(vec!["a", "b", "ab"]), 1..8),
        ) {
            prop_assert_eq!(matches(&pattern.join("/"), &name.join("/")), by_recursion(&pattern, &name));
        }

        /// Over two letters, what a common name would need is at most as long as both patterns together.
        #[test]
        fn overlap_is_a_common_name(
            one in prop::collection::vec(prop::sample::select(vec!["a", "b", "*", "**"]), 1..4),
            other in prop::collection::vec(prop::sample::select(vec!["a", "b", "*", "**"]), 1..4),
        ) {
            let (one, other) = (one.join("/"), other.join("/"));
            let names = (1..=6).flat_map(|len| (0..1_u32 << len).map(move |bits| {
                (0..len).map(|bit| if bits >> bit & 1 == 0 { "a" } else { "b" }).collect::<Vec<_>>().join("/")
            }));
            let common = names.into_iter().any(|name| matches(&one, &name) && matches(&other, &name));
            let overlaps = Pattern::new(&one).unwrap().overlaps(&Pattern::new(&other).unwrap());
            prop_assert_eq!(overlaps, common, "{} and {}", one, other);
        }
    }
}
