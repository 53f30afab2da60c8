//! The bounds of a group.

use std::time::Duration;

use sockeye_limits as limits;

/// Bounds that tests make small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// [`limits::GROUP_WINDOW_EVENTS`].
    pub window_events: usize,
    /// [`limits::GROUP_WINDOW_BYTES`].
    pub window_bytes: usize,
    /// [`limits::GROUP_FAILURES`].
    pub failures: u32,
    /// [`limits::GROUP_PERSIST_TIME`].
    pub persist_time: Duration,
}

// ----------------------------------------------------------------------------------------------

impl Default for Settings {
    fn default() -> Self {
        Self {
            window_events: limits::GROUP_WINDOW_EVENTS,
            window_bytes: limits::GROUP_WINDOW_BYTES,
            failures: limits::GROUP_FAILURES,
            persist_time: limits::GROUP_PERSIST_TIME,
        }
    }
}
