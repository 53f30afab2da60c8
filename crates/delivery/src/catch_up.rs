//! The past of one topic, read once for all readers that are near each other there.
//!
//! A reader that is neither in memory nor at the head asks, and is given the segment that follows its position. One task
//! for each topic reads for those who wait, by turns; what it has read goes to all whose place it holds, and is kept for
//! those who come there soon. So readers that fell out together cost one read, and nobody waits for a slower one: who
//! is slow asks later.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sockeye_limits as limits;
use sockeye_log::{Batch, Log, Position, ReadError, ReadLimit, Topic, Unavailable};
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::time::{sleep_until, timeout};

use crate::budget::Memory;
use crate::metrics::Metrics;
use crate::outage::Outage;
use crate::segment::{Cut, Segment};

/// Who waits for something of the past.
#[derive(Default)]
pub(crate) struct CatchUp {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Default)]
struct State {
    /// In the order in which they asked.
    waiting: VecDeque<Waiting>,
    /// Set when nothing more can be read.
    ended: Option<ReadError>,
}

struct Waiting {
    position: Position,
    answer: oneshot::Sender<Answer>,
}

type Answer = Result<Arc<Segment>, ReadError>;

/// The place of a reader among those who wait; dropped, it is given up.
pub(crate) type Ticket = oneshot::Receiver<Answer>;

/// What reading takes.
pub(crate) struct Means {
    pub(crate) log: Arc<dyn Log>,
    /// Shared by all topics: one that asks for much has one turn, as any other.
    pub(crate) turns: Arc<Semaphore>,
    pub(crate) metrics: Metrics,
    pub(crate) longest_outage: Duration,
}

// ----------------------------------------------------------------------------------------------

impl CatchUp {
    /// Asks for the segment that follows a position.
    pub(crate) fn ask(&self, position: &Position) -> Ticket {
        let (answer, ticket) = oneshot::channel();
        let mut state = self.lock();
        if let Some(error) = &state.ended {
            // The ticket is here.
            let _ = answer.send(Err(error.clone()));
            return ticket;
        }
        state.waiting.push_back(Waiting {
            position: position.clone(),
            answer,
        });
        drop(state);
        self.news.notify_one();
        ticket
    }

    /// Tells everybody, also who asks later, that nothing more can be read.
    pub(crate) fn end(&self, error: &ReadError) {
        self.lock().ended = Some(error.clone());
        self.answer(|_| Some(Err(error.clone())));
    }

    /// Reads for those who wait, `most` bytes at a time.
    pub(crate) async fn run(&self, topic: &Topic, memory: &Memory, most: usize, means: &Means) -> Infallible {
        let mut outage = Outage::none(means.longest_outage);
        loop {
            let position = self.first(&mut outage).await;
            // Somebody else may have had it read meanwhile.
            if let Some(segment) = memory.after(&position) {
                debug_assert!(segment.holds(&position), "who has waited longest is answered");
                self.give(&segment);
                continue;
            }
            outage.deadline();
            match means.read(topic, &position, most).await {
                Ok(batch) => {
                    outage.over();
                    let hold = |bytes| means.metrics.hold(bytes);
                    let mut whole = Cut::new(topic, position, batch, usize::MAX, hold);
                    let segment = Arc::new(whole.next().expect("a batch is at least one segment"));
                    memory.keep(Arc::clone(&segment));
                    self.give(&segment);
                    tokio::task::yield_now().await;
                }
                Err(error) => match outage.failed(topic, error) {
                    Ok(again) => sleep_until(again).await,
                    Err(error) => {
                        outage.over();
                        self.fail(&error, &position);
                    }
                },
            }
        }
    }

    /// The position of whoever has waited longest. While nobody waits there is no outage.
    async fn first(&self, outage: &mut Outage) -> Position {
        loop {
            {
                let waiting = &mut self.lock().waiting;
                while waiting.pop_front_if(|first| first.answer.is_closed()).is_some() {}
                if let Some(first) = waiting.front() {
                    return first.position.clone();
                }
            }
            outage.over();
            self.news.notified().await;
        }
    }

    /// Answers all whose place is in a segment.
    fn give(&self, segment: &Arc<Segment>) {
        self.answer(|position| segment.holds(position).then(|| Ok(Arc::clone(segment))));
    }

    /// Tells those whom it concerns why nothing can be read at a position.
    fn fail(&self, error: &ReadError, position: &Position) {
        self.answer(|other| {
            let concerns = match error {
                ReadError::Trimmed { oldest } => !other.is_at_or_behind(oldest),
                ReadError::BeyondEnd { end } => !end.is_at_or_behind(other),
                _ => true,
            };
            (concerns || other == position).then(|| Err(error.clone()))
        });
    }

    fn answer(&self, answer: impl Fn(&Position) -> Option<Answer>) {
        let mut state = self.lock();
        for waiting in std::mem::take(&mut state.waiting) {
            match answer(&waiting.position) {
                // Who has gone needs none.
                Some(answer) => drop(waiting.answer.send(answer)),
                None => state.waiting.push_back(waiting),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Means {
    /// One read, when it is the topic's turn.
    async fn read(&self, topic: &Topic, position: &Position, most: usize) -> Result<Batch, ReadError> {
        let limit = ReadLimit {
            records: limits::READ_RECORDS,
            bytes: most,
        };
        let _turn = self.turns.acquire().await;
        self.metrics.past_read();
        let read = timeout(limits::CATCH_UP_READ, self.log.read(topic, position, limit));
        let batch = read.await.map_err(|_elapsed| Unavailable("no answer".to_owned()))??;
        if position.is_at_or_behind(&batch.next) {
            return Err(Unavailable("nothing was read although there is something".to_owned()).into());
        }
        Ok(batch)
    }
}
