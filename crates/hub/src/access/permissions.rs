//! Which topics somebody may publish and subscribe to.

use std::sync::Arc;

use nyx_protocol::topic::{Name, Pattern};

/// What somebody may publish and subscribe to. Cheap to clone. The default is nothing.
///
/// A wildcard does not reach the hub's own topics: who may see `$nyx/stats`, which names all topics and subscribers, has a
/// pattern that begins with `$nyx`.
///
/// ```
/// use nyx_hub::access::Permissions;
/// use nyx_protocol::topic::{Name, Pattern};
///
/// let camera = Permissions::new([Pattern::new("camera/3/**").unwrap()], []);
/// assert!(camera.may_publish(&Name::new("camera/3/left").unwrap()));
/// assert!(!camera.may_publish(&Name::new("camera/4").unwrap()));
/// assert!(!camera.may_subscribe(&Name::new("camera/3/left").unwrap()));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions(Reach);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Reach {
    Everything,
    Some { publish: Arc<[Pattern]>, subscribe: Arc<[Pattern]> },
}

impl Default for Reach {
    fn default() -> Self {
        Self::Some { publish: Arc::default(), subscribe: Arc::default() }
    }
}

impl Permissions {
    /// May publish topics that one of the first matches, and read topics that one of the second does.
    pub fn new(
        publish: impl IntoIterator<Item = Pattern>,
        subscribe: impl IntoIterator<Item = Pattern>,
    ) -> Self {
        let (publish, subscribe) = (publish.into_iter().collect(), subscribe.into_iter().collect());
        Self(Reach::Some { publish, subscribe })
    }

    /// May publish and read everything, the hub's own topics included.
    ///
    /// ```
    /// # use nyx_hub::access::Permissions;
    /// # use nyx_protocol::topic::Name;
    /// assert!(Permissions::everything().may_subscribe(&Name::new("$nyx/stats").unwrap()));
    /// ```
    pub const fn everything() -> Self {
        Self(Reach::Everything)
    }

    /// Whether this topic may be published.
    pub fn may_publish(&self, topic: &Name) -> bool {
        match &self.0 {
            Reach::Everything => true,
            Reach::Some { publish, .. } => publish.iter().any(|pattern| pattern.matches(topic)),
        }
    }

    /// Whether this topic may be read.
    pub fn may_subscribe(&self, topic: &Name) -> bool {
        match &self.0 {
            Reach::Everything => true,
            Reach::Some { subscribe, .. } => subscribe.iter().any(|pattern| pattern.matches(topic)),
        }
    }

    /// Whether some topic that `pattern` selects may be read, be there one or not.
    ///
    /// ```
    /// # use nyx_hub::access::Permissions;
    /// # use nyx_protocol::topic::Pattern;
    /// let pattern = |text| Pattern::new(text).unwrap();
    /// let viewer = Permissions::new([], [pattern("camera/**")]);
    /// assert!(viewer.may_subscribe_some(&pattern("**")));
    /// assert!(!viewer.may_subscribe_some(&pattern("game/*")));
    /// ```
    pub fn may_subscribe_some(&self, pattern: &Pattern) -> bool {
        match &self.0 {
            Reach::Everything => true,
            Reach::Some { subscribe, .. } => subscribe.iter().any(|granted| granted.overlaps(pattern)),
        }
    }
}
