//! The end of what a subscription wants, if it has one: a time, and the position that it turns out to be.

use jiff::Timestamp;
use sockeye_limits as limits;
use sockeye_log::{Log, Position, ReadError, Topic};
use tokio::time::{Instant, sleep_until, timeout};

use crate::segment::Entry;

/// Only events that were appended before a time are wanted.
pub(crate) struct Until {
    time: Timestamp,
    /// When the log can be asked what was appended before.
    ask: Instant,
    /// Behind the last event that was appended before.
    end: Option<Position>,
}

// ----------------------------------------------------------------------------------------------

impl Until {
    pub(crate) fn new(time: Timestamp) -> Self {
        let left = time.duration_since(Timestamp::now());
        // A time that has passed is no duration.
        let left = left.try_into().unwrap_or_default();
        Self {
            time,
            ask: Instant::now() + limits::UNTIL_SETTLES + left,
            end: None,
        }
    }

    /// Whether the event was appended before the time.
    pub(crate) fn wants(&self, entry: &Entry) -> bool {
        entry.time < self.time
    }

    /// Waits until [`Until::look`] can tell more.
    pub(crate) async fn wait(&self) {
        match self.end {
            None => sleep_until(self.ask).await,
            Some(_) => std::future::pending().await,
        }
    }

    /// Asks the log where the time is, once it has passed. A log that does not answer is asked again later: meanwhile the
    /// subscription reads on, which tells more about an outage.
    pub(crate) async fn look(&mut self, log: &dyn Log, topic: &Topic) -> Result<(), ReadError> {
        if self.end.is_some() || Instant::now() < self.ask {
            return Ok(());
        }
        match timeout(limits::ENGINE_PROBE, log.position_at(topic, self.time)).await {
            Ok(Ok(end)) => self.end = Some(end),
            Ok(Err(ReadError::Unavailable(_))) | Err(_) => self.ask = Instant::now() + limits::LOG_RETRY_MOST,
            Ok(Err(error)) => return Err(error),
        }
        Ok(())
    }

    /// Whether everything that is wanted is before this position.
    pub(crate) fn is_reached(&self, position: &Position) -> bool {
        self.end.as_ref().is_some_and(|end| position.is_at_or_behind(end))
    }
}
