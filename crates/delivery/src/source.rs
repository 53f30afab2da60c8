//! The log of one subscription, read on through outages.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sockeye_limits as limits;
use sockeye_log::{Batch, Follow, Log, Position, ReadError, Topic, Unavailable};
use tokio::time::{Instant, sleep_until, timeout_at};

/// Reads a topic from a position on, without gap and without end. While the log is not available it tries again, with
/// growing pauses, for [`limits::LOG_OUTAGE`].
///
/// Nothing is read ahead: who does not ask for the next batch holds back the reading, not the writer of the log.
pub(crate) struct Source {
    log: Arc<dyn Log>,
    topic: Topic,
    /// Behind the last record given.
    position: Position,
    state: State,
    /// The pause after the next failure.
    pause: Duration,
    /// Since when nothing proves that the log can be read.
    failing: Option<Instant>,
}

enum State {
    Opening(Opening),
    Following { reader: Box<dyn Follow>, since: Instant },
    Pausing { until: Instant },
}

/// Kept while it lasts: asked anew each time, a slow engine would never answer.
type Opening = Pin<Box<dyn Future<Output = Result<Box<dyn Follow>, ReadError>> + Send>>;

// ----------------------------------------------------------------------------------------------

impl Source {
    pub(crate) fn new(log: Arc<dyn Log>, topic: Topic, position: Position) -> Self {
        Self {
            state: open(log.clone(), topic.clone(), position.clone()),
            log,
            topic,
            position,
            pause: limits::LOG_RETRY_FIRST,
            failing: None,
        }
    }

    /// Behind the last record given.
    pub(crate) fn position(&self) -> &Position {
        &self.position
    }

    /// The next batch; waits for it. May be dropped and called again without loss; after an error there is nothing more.
    ///
    /// # Errors
    /// The log cannot be read on; [`ReadError::Unavailable`] only after [`limits::LOG_OUTAGE`].
    pub(crate) async fn next(&mut self) -> Result<Batch, ReadError> {
        loop {
            match &mut self.state {
                State::Opening(opening) => {
                    let deadline = *self.failing.get_or_insert_with(Instant::now) + limits::LOG_OUTAGE;
                    match timeout_at(deadline, opening).await {
                        Ok(Ok(reader)) => {
                            let since = Instant::now();
                            self.state = State::Following { reader, since };
                        }
                        Ok(Err(error)) => self.failed(error)?,
                        Err(_elapsed) => return Err(Unavailable("no answer".to_owned()).into()),
                    }
                }
                State::Following { reader, since } => match reader.next().await {
                    Ok(batch) => {
                        self.recovered();
                        self.position = batch.next.clone();
                        return Ok(batch);
                    }
                    Err(error) => {
                        if since.elapsed() > limits::LOG_RETRY_MOST {
                            self.recovered();
                        }
                        self.failed(error)?;
                    }
                },
                State::Pausing { until } => {
                    sleep_until(*until).await;
                    self.state = open(self.log.clone(), self.topic.clone(), self.position.clone());
                }
            }
        }
    }

    /// Takes an outage; gives back what is none, or has lasted too long.
    fn failed(&mut self, error: ReadError) -> Result<(), ReadError> {
        let ReadError::Unavailable(unavailable) = &error else {
            return Err(error);
        };
        let now = Instant::now();
        let since = *self.failing.get_or_insert(now);
        if now + self.pause > since + limits::LOG_OUTAGE {
            return Err(error);
        }
        tracing::debug!(topic = %self.topic, %unavailable, pause = ?self.pause, "the log is not available, trying again");
        self.state = State::Pausing {
            until: now + self.pause,
        };
        self.pause = (self.pause * 2).min(limits::LOG_RETRY_MOST);
        Ok(())
    }

    fn recovered(&mut self) {
        self.failing = None;
        self.pause = limits::LOG_RETRY_FIRST;
    }
}

fn open(log: Arc<dyn Log>, topic: Topic, position: Position) -> State {
    State::Opening(Box::pin(async move { log.follow(&topic, &position).await }))
}
