//! How urgent things are that share a connection.

/// How urgent a topic or a request is.
///
/// ```
/// use nyx_core::Lane;
///
/// assert_eq!(Lane::ALL.map(Lane::weight), [4, 2, 1]);
/// assert_eq!(Lane::ALL.map(Lane::name), ["high", "medium", "low"]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Small and urgent: audio and state.
    High,
    /// Events.
    Medium,
    /// Large: frames.
    Low,
}

impl Lane {
    /// All lanes, most urgent first.
    pub const ALL: [Self; 3] = [Self::High, Self::Medium, Self::Low];

    /// Its share when all have something to send: 4, 2, 1.
    pub const fn weight(self) -> i64 {
        match self {
            Self::High => 4,
            Self::Medium => 2,
            Self::Low => 1,
        }
    }

    /// The lane's name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}
