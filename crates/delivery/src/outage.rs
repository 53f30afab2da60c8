//! A log that cannot be read: since when, and when it is tried again.

use std::time::Duration;

use sockeye_limits as limits;
use sockeye_log::{ReadError, Topic};
use tokio::time::Instant;

/// What is known of an outage, if there is one.
#[derive(Debug)]
pub(crate) struct Outage {
    /// Since when nothing proves that the log can be read.
    since: Option<Instant>,
    /// The pause after the next failure.
    pause: Duration,
    /// How long it may last.
    most: Duration,
}

// ----------------------------------------------------------------------------------------------

impl Outage {
    /// No outage; one may last so long.
    pub(crate) fn none(most: Duration) -> Self {
        Self {
            since: None,
            pause: limits::LOG_RETRY_FIRST,
            most,
        }
    }

    /// Whether nothing proves that the log can be read.
    pub(crate) fn is_on(&self) -> bool {
        self.since.is_some()
    }

    /// The log is asked: the time by which it has to have answered, counted from the first question.
    pub(crate) fn deadline(&mut self) -> Instant {
        *self.since.get_or_insert_with(Instant::now) + self.most
    }

    /// Takes a failure that may pass, with the time to try again.
    ///
    /// # Errors
    /// The failure, if it is of another kind or the outage has lasted too long.
    pub(crate) fn failed(&mut self, topic: &Topic, error: ReadError) -> Result<Instant, ReadError> {
        let ReadError::Unavailable(unavailable) = &error else {
            return Err(error);
        };
        let again = Instant::now() + self.pause;
        if again > self.deadline() {
            return Err(error);
        }
        tracing::debug!(%topic, %unavailable, pause = ?self.pause, "the log is not available, trying again");
        self.pause = (self.pause * 2).min(limits::LOG_RETRY_MOST);
        Ok(again)
    }

    /// The log can be read.
    pub(crate) fn over(&mut self) {
        *self = Self::none(self.most);
    }
}
