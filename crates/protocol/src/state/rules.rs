//! What a publisher leaves out of its documents: rules by path.

use std::collections::HashMap;
use std::time::Duration;

use nyx_core::Instant;

use super::value::Value;

/// What parts of a document are published less exactly, less often or not at all.
///
/// A path is map keys and list indices with dots between; `*` stands for any one of them, and `**` for any number.
/// Where several rules fit a part, all of them apply.
///
/// ```
/// use nyx_core::Instant;
/// use nyx_protocol::state::{Filter, Rules, Value};
///
/// let rules = Rules::default().quantise("entities.*.x", 0.01)?.ignore("entities.*.debug")?;
/// let mut filter = Filter::new(rules);
/// let entity = |x: f64| Value::map([("x", Value::F64(x)), ("debug", Value::from("..."))]);
/// let world = |x: f64| Value::map([("entities", Value::map([("7", entity(x))]))]);
///
/// let published = filter.admit(Instant::from_nanos(0), world(3.14159), None);
/// let expected = Value::map([("entities", Value::map([("7", Value::map([("x", Value::F64(3.14))]))]))]);
/// assert_eq!(published, expected);
/// // A step below the grid is no change.
/// assert_eq!(filter.admit(Instant::from_nanos(1), world(3.1423), Some(&published)), expected);
/// # Ok::<_, nyx_protocol::state::RulesError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules(Vec<Rule>);

#[derive(Debug, Clone, PartialEq)]
struct Rule {
    path: Vec<String>,
    action: Action,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Action {
    Ignore,
    Quantise(f64),
    Limit(Duration),
}

/// Why something is not a rule. Whoever wrote it erred.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// A path is empty, or has an empty segment. Write `entities.*.x`.
    #[error("a path is keys or indices with dots between, none of them empty")]
    Path,
    /// Numbers can only be rounded to multiples of a number above 0.
    #[error("{0} is not a step to round to: it must be above 0 and finite")]
    Step(f64),
    /// A rate limit needs a time above 0.
    #[error("a part can't change less often than every 0 s")]
    Interval,
}

impl Rules {
    /// Leaves out what is at `path`. An element of a list becomes null instead, so that the others keep their places.
    ///
    /// # Errors
    /// When the path is none.
    pub fn ignore(self, path: &str) -> Result<Self, RulesError> {
        self.with(path, Action::Ignore)
    }

    /// Rounds floats at `path` to multiples of `step`; steps such as 0.01 and 0.5 give decimals, which travel best.
    ///
    /// # Errors
    /// When the path is none, or the step is not above 0.
    pub fn quantise(self, path: &str, step: f64) -> Result<Self, RulesError> {
        if step.is_finite() && step > 0.0 {
            self.with(path, Action::Quantise(step))
        } else {
            Err(RulesError::Step(step))
        }
    }

    /// Lets what is at `path`, with all that is in it, change at most once in `interval`. It may go away at any time.
    ///
    /// # Errors
    /// When the path is none, or the interval is 0.
    pub fn limit(self, path: &str, interval: Duration) -> Result<Self, RulesError> {
        if interval.is_zero() { Err(RulesError::Interval) } else { self.with(path, Action::Limit(interval)) }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn with(mut self, path: &str, action: Action) -> Result<Self, RulesError> {
        let path: Vec<_> = path.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            return Err(RulesError::Path);
        }
        self.0.push(Rule { path, action });
        Ok(self)
    }
}

/// [`Rules`], and when what they limit last changed.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    rules: Rules,
    /// When each part that is limited last changed, by rule and path.
    changed: HashMap<(usize, String), Instant>,
    due: Option<Instant>,
}

impl Filter {
    /// Nothing has been published yet.
    pub fn new(rules: Rules) -> Self {
        Self { rules, changed: HashMap::new(), due: None }
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What is to be published of `value`, where `published` is what was before. It costs a walk over the parts that
    /// a rule may fit, and memory for each part that is limited.
    pub fn admit(&mut self, now: Instant, mut value: Value, published: Option<&Value>) -> Value {
        if self.rules.is_empty() {
            return value;
        }
        self.due = None;
        let changed = std::mem::take(&mut self.changed);
        let mut walk = Walk {
            rules: &self.rules.0,
            now,
            before: changed,
            after: HashMap::new(),
            due: None,
            path: String::new(),
        };
        walk.part(&mut value, published, &Places::start(&self.rules.0));
        (self.changed, self.due) = (walk.after, walk.due);
        value
    }

    /// When [`admit`](Self::admit) is to be asked again with the same value, since it kept something of it back; `None`
    /// if it kept nothing.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }
}

/// How far into the path of each rule a part of the document lies; rules that can't fit it are left out.
struct Places(Vec<(usize, usize)>);

impl Places {
    fn start(rules: &[Rule]) -> Self {
        let mut places = Self(Vec::new());
        (0..rules.len()).for_each(|rule| places.add(rules, rule, 0));
        places
    }

    fn add(&mut self, rules: &[Rule], rule: usize, at: usize) {
        if self.0.contains(&(rule, at)) {
            return;
        }
        self.0.push((rule, at));
        // Any number may be none.
        if rules[rule].path.get(at).is_some_and(|segment| segment == "**") {
            self.add(rules, rule, at + 1);
        }
    }

    fn inside(&self, rules: &[Rule], key: &str) -> Self {
        let mut places = Self(Vec::new());
        for &(rule, at) in &self.0 {
            match rules[rule].path.get(at).map(String::as_str) {
                Some("**") => places.add(rules, rule, at),
                Some(segment) if segment == "*" || segment == key => places.add(rules, rule, at + 1),
                _ => {}
            }
        }
        places
    }

    /// The rules that fit the part itself.
    fn fitting(&self, rules: &[Rule]) -> impl Iterator<Item = (usize, Action)> {
        self.0
            .iter()
            .filter(|(rule, at)| *at == rules[*rule].path.len())
            .map(|(rule, _)| (*rule, rules[*rule].action))
    }
}

struct Walk<'a> {
    rules: &'a [Rule],
    now: Instant,
    before: HashMap<(usize, String), Instant>,
    after: HashMap<(usize, String), Instant>,
    due: Option<Instant>,
    path: String,
}

impl Walk<'_> {
    /// Makes a part what is to be published of it; tells whether anything is.
    fn part(&mut self, value: &mut Value, published: Option<&Value>, places: &Places) -> bool {
        if places.0.is_empty() {
            return true;
        }
        let rules = self.rules;
        for (_, action) in places.fitting(rules) {
            match (action, &mut *value) {
                (Action::Ignore, _) => return false,
                (Action::Quantise(step), Value::F64(x)) => *x = rounded(*x, step),
                _ => {}
            }
        }
        match value {
            Value::Map(entries) => entries.retain(|key, value| {
                self.inside(key, value, published.and_then(|published| published.get(key)), places)
            }),
            Value::List(values) => {
                let published = published.and_then(Value::as_list).unwrap_or_default();
                for (index, value) in values.iter_mut().enumerate() {
                    if !self.inside(&index.to_string(), value, published.get(index), places) {
                        *value = Value::Null;
                    }
                }
            }
            _ => {}
        }
        for (rule, action) in places.fitting(rules) {
            if let Action::Limit(interval) = action {
                self.limit(rule, interval, value, published);
            }
        }
        true
    }

    fn inside(&mut self, key: &str, value: &mut Value, published: Option<&Value>, places: &Places) -> bool {
        let length = self.path.len();
        self.path.push('.');
        self.path.push_str(key);
        let is_published = self.part(value, published, &places.inside(self.rules, key));
        self.path.truncate(length);
        is_published
    }

    fn limit(&mut self, rule: usize, interval: Duration, value: &mut Value, published: Option<&Value>) {
        let place = (rule, self.path.clone());
        let last = self.before.get(&place).copied();
        let next = last.map(|last| last + interval).filter(|next| *next > self.now);
        match (published, next) {
            (Some(published), _) if published == value => self.after.extend(last.map(|last| (place, last))),
            (Some(published), Some(next)) => {
                value.clone_from(published);
                self.due = Some(self.due.map_or(next, |due| due.min(next)));
                self.after.extend(last.map(|last| (place, last)));
            }
            _ => drop(self.after.insert(place, self.now)),
        }
    }
}

/// The nearest multiple of `step`, as the nearest float to it where the step is a whole part of 1.
fn rounded(x: f64, step: f64) -> f64 {
    let inverse = (1.0 / step).round();
    let is_part = inverse >= 1.0 && (1.0 / inverse).to_bits() == step.to_bits();
    let near = if is_part { (x * inverse).round() / inverse } else { (x / step).round() * step };
    // Beyond the grid's reach there is nothing to round; and no float should become a negative zero.
    if near.is_finite() { near + 0.0 } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    fn document(a: i64, b: i64) -> Value {
        Value::map([("a", Value::map([("n", a)])), ("b", Value::map([("n", b)]))])
    }

    #[test]
    fn a_limited_part_changes_once_in_its_interval_and_says_when_again() {
        let rules = Rules::default().limit("*.n", Duration::from_millis(100)).unwrap();
        let mut filter = Filter::new(rules);
        let first = filter.admit(at(0), document(1, 1), None);
        let second = filter.admit(at(50), document(2, 1), Some(&first));
        assert_eq!((&second, filter.due()), (&document(1, 1), Some(at(100))));
        let third = filter.admit(at(100), document(2, 1), Some(&second));
        assert_eq!((&third, filter.due()), (&document(2, 1), None));
        // The other has not changed for long enough; what goes away goes at once.
        let fourth = filter.admit(at(150), document(3, 4), Some(&third));
        assert_eq!((&fourth, filter.due()), (&document(2, 4), Some(at(200))));
        let empty = Value::map::<&str, Value>([]);
        assert_eq!(filter.admit(at(151), empty.clone(), Some(&fourth)), empty);
        assert!(filter.changed.is_empty());
    }

    #[test]
    fn a_part_is_limited_with_all_that_is_in_it() {
        let mut filter = Filter::new(Rules::default().limit("a", Duration::from_secs(1)).unwrap());
        let first = filter.admit(at(0), document(1, 1), None);
        assert_eq!(filter.admit(at(10), document(2, 2), Some(&first)), document(1, 2));
    }

    #[test]
    fn paths_fit_one_segment_or_any_number() {
        let rules = Rules::default().ignore("**.secret").unwrap().ignore("list.1").unwrap();
        let inner = || Value::map([("secret", 1), ("open", 2)]);
        let value = Value::map([
            ("secret", Value::from(1)),
            ("deep", Value::map([("er", inner())])),
            ("list", Value::list([1, 2, 3])),
        ]);
        let expected = Value::map([
            ("deep", Value::map([("er", Value::map([("open", 2)]))])),
            ("list", Value::list([Value::from(1), Value::Null, Value::from(3)])),
        ]);
        assert_eq!(Filter::new(rules).admit(at(0), value, None), expected);
    }

    #[test]
    fn floats_are_rounded_to_decimals() {
        for (x, step, expected) in [
            (0.294_9, 0.01, 0.29),
            (-0.001, 0.01, 0.0),
            (7.3, 0.5, 7.5),
            (17.0, 5.0, 15.0),
            (1e300, 0.01, 1e300),
            (2.7, 3.0, 3.0),
        ] {
            assert_eq!(rounded(x, step).to_bits(), f64::to_bits(expected), "{x} by {step}");
        }
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        assert_eq!(Rules::default().ignore("a..b"), Err(RulesError::Path));
        assert_eq!(Rules::default().quantise("a", 0.0), Err(RulesError::Step(0.0)));
        assert_eq!(Rules::default().limit("a", Duration::ZERO), Err(RulesError::Interval));
    }
}
