//! Which hubs an item has passed on its way, so that hubs which forward to each other don't send it round without end.

use std::sync::Arc;

use thiserror::Error;

/// The hubs that an item has passed, in this order. Cheap to clone, and empty for nearly all items: then nothing is allocated.
///
/// A hub does not take in what has passed it already; so what is forwarded comes to each hub once, whatever forwards to what. Of a document its
/// latest content may have come by several ways at once. Then a hub counts as passed where it was on each of them: who has not all of it gets
/// it. And since the longest of the ways counts, what two hubs write against each other ends after [`HOPS_MAX`](Self::HOPS_MAX) hops as well.
///
/// ```
/// use nyx_protocol::trail::Trail;
///
/// let here = Trail::default();
/// assert!(here.is_empty());
/// let far = here.through(7).through(8);
/// assert!(far.has_passed(7) && !far.has_passed(9));
/// assert_eq!(far.hubs(), [7, 8]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Trail(Option<Arc<[u64]>>);

impl Trail {
    /// Hubs that an item may pass. Ways of more than a few are hardly meant.
    pub const HOPS_MAX: usize = 16;

    /// One that a peer tells of.
    ///
    /// # Errors
    /// When it is longer than any should be. The peer erred, or hubs forward in a circle.
    pub fn new(hubs: &[u64]) -> Result<Self, TooManyHops> {
        match hubs.len() {
            0 => Ok(Self(None)),
            1..=Self::HOPS_MAX => Ok(Self(Some(hubs.into()))),
            _ => Err(TooManyHops),
        }
    }

    /// The hubs. 0 is one that is not to be told any more, but was passed.
    pub fn hubs(&self) -> &[u64] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Whether it begins at this hub.
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether `hub` was passed. No hub is number 0.
    pub fn has_passed(&self, hub: u64) -> bool {
        hub != 0 && self.hubs().contains(&hub)
    }

    /// The same with one hub more.
    pub fn through(&self, hub: u64) -> Self {
        Self(Some(self.hubs().iter().copied().chain([hub]).collect()))
    }

    /// That of something that has come both ways.
    ///
    /// ```
    /// use nyx_protocol::trail::Trail;
    ///
    /// let (left, right) = (Trail::new(&[1, 2]).unwrap(), Trail::new(&[3, 4, 2]).unwrap());
    /// assert_eq!(left.merged(&right).hubs(), [0, 0, 2]);
    /// assert_eq!(left.merged(&Trail::default()).hubs(), [0, 0]);
    /// ```
    pub fn merged(&self, other: &Self) -> Self {
        if self == other {
            return self.clone();
        }
        let (long, short) =
            if self.hubs().len() < other.hubs().len() { (other, self) } else { (self, other) };
        let kept = long.hubs().iter().map(|hub| if short.has_passed(*hub) { *hub } else { 0 });
        Self(Some(kept.collect()))
    }
}

impl PartialEq for Trail {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other) || one == other,
            _ => false,
        }
    }
}

impl Eq for Trail {}

/// Something has passed more hubs than [`HOPS_MAX`](Trail::HOPS_MAX).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("this has passed over {max} hubs: see which of them forward in a circle", max = Trail::HOPS_MAX)]
pub struct TooManyHops;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_has_an_end() {
        let mut trail = Trail::default();
        for hub in 1..=16 {
            trail = trail.through(hub);
            assert_eq!(Trail::new(trail.hubs()).as_ref(), Ok(&trail));
        }
        assert_eq!(Trail::new(trail.through(17).hubs()), Err(TooManyHops));
    }

    #[test]
    fn what_came_by_several_ways_has_passed_what_they_share_and_gets_no_younger() {
        let [none, one, two] = [&[][..], &[1], &[2, 1]].map(|hubs| Trail::new(hubs).unwrap());
        assert_eq!(one.merged(&two), two.merged(&one));
        assert_eq!(one.merged(&two).hubs(), [0, 1]);
        assert_eq!(none.merged(&none), none);
        assert!(!none.merged(&two).has_passed(1) && !none.merged(&two).has_passed(0));
        assert_eq!(none.merged(&two).through(3).hubs(), [0, 0, 3]);
    }
}
