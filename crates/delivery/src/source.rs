//! The end of one topic, read on through outages.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sockeye_limits as limits;
use sockeye_log::{Batch, Follow, Log, Position, ReadError, Topic, Unavailable};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::outage::Outage;

/// Reads a topic from a position on, without gap and without end. While the log is not available it tries again, with
/// growing pauses, for as long as an outage may last.
///
/// Nothing is read ahead: who does not ask for the next batch holds back the reading, not the writer of the log.
pub(crate) struct Source {
    log: Arc<dyn Log>,
    topic: Topic,
    /// Behind the last record given.
    position: Position,
    state: State,
    outage: Outage,
}

enum State {
    Opening(Opening),
    Following { reader: Box<dyn Follow>, since: Instant },
    Pausing { until: Instant },
}

/// Kept while it lasts: asked anew each time, a slow engine would never answer.
type Opening = Pin<Box<dyn Future<Output = Result<Opened, ReadError>> + Send>>;

struct Opened {
    reader: Box<dyn Follow>,
    /// The log has said that there is nothing to read: nothing else would tell that it is there again.
    is_quiet: bool,
}

// ----------------------------------------------------------------------------------------------

impl Source {
    pub(crate) fn new(log: Arc<dyn Log>, topic: Topic, position: Position, longest_outage: Duration) -> Self {
        let mut source = Self {
            log,
            topic,
            position,
            state: State::Pausing { until: Instant::now() },
            outage: Outage::none(longest_outage),
        };
        source.state = source.open();
        source
    }

    /// Behind the last record given.
    pub(crate) fn position(&self) -> &Position {
        &self.position
    }

    /// Goes on behind what retention has removed.
    pub(crate) fn skip_to(&mut self, oldest: &Position) {
        for (partition, next) in oldest.offsets() {
            self.position.advance(*partition, *next);
        }
        self.outage.over();
        self.state = self.open();
    }

    /// The next batch; waits for it. May be dropped and called again without loss; after an error there is nothing more,
    /// but behind what was removed.
    ///
    /// # Errors
    /// The log cannot be read on; [`ReadError::Unavailable`] only after the longest outage.
    pub(crate) async fn next(&mut self) -> Result<Batch, ReadError> {
        loop {
            match &mut self.state {
                State::Opening(opening) => match timeout_at(self.outage.deadline(), opening).await {
                    Ok(Ok(Opened { reader, is_quiet })) => {
                        if is_quiet {
                            self.outage.over();
                        }
                        let since = Instant::now();
                        self.state = State::Following { reader, since };
                    }
                    Ok(Err(error)) => self.failed(error)?,
                    Err(_elapsed) => return Err(Unavailable("no answer".to_owned()).into()),
                },
                State::Following { reader, since } => match reader.next().await {
                    Ok(batch) => {
                        self.outage.over();
                        self.position = batch.next.clone();
                        return Ok(batch);
                    }
                    Err(error) => {
                        if since.elapsed() > limits::LOG_RETRY_MOST {
                            self.outage.over();
                        }
                        self.failed(error)?;
                    }
                },
                State::Pausing { until } => {
                    sleep_until(*until).await;
                    self.state = self.open();
                }
            }
        }
    }

    /// Takes an outage; gives back what is none, or has lasted too long.
    fn failed(&mut self, error: ReadError) -> Result<(), ReadError> {
        let until = self.outage.failed(&self.topic, error)?;
        self.state = State::Pausing { until };
        Ok(())
    }

    fn open(&self) -> State {
        let (log, topic, position) = (self.log.clone(), self.topic.clone(), self.position.clone());
        let was_out = self.outage.is_on();
        State::Opening(Box::pin(async move {
            let reader = log.follow(&topic, &position).await?;
            let is_quiet = was_out && position.is_at_or_behind(&log.span(&topic).await?.end);
            Ok(Opened { reader, is_quiet })
        }))
    }
}
