//! A log in memory that takes its time, and is not always there, over what `history.rs` remembers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use sockeye_log::{
    AppendError, Batch, Follow, Log, NewRecord, Position, ReadError, ReadLimit, Retention, Span, Topic, TopicError,
    Unavailable,
};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use crate::history::State;
use sockeye_seeds::Random;

#[derive(Clone)]
pub(crate) struct SimLog {
    state: Arc<Mutex<State>>,
    /// Wakes in the order of waiting; a watch channel would not.
    changed: Arc<Notify>,
}

struct Reader {
    log: SimLog,
    topic: Topic,
    incarnation: u64,
    next: Vec<u64>,
    /// The engine needs its time.
    ready: Option<Instant>,
}

/// The longest that the log takes for an answer while it is there.
pub(crate) const LATENCY: Duration = Duration::from_millis(20);

// ----------------------------------------------------------------------------------------------

impl SimLog {
    pub(crate) fn new(random: Random, topics: &[Topic]) -> Self {
        Self {
            state: Arc::new(Mutex::new(State::new(random, topics))),
            changed: Arc::default(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An engine needs its time, and does not always answer while it is not available.
    async fn answer(&self, topic: &Topic) {
        let (latency, hangs) = {
            let mut state = self.lock();
            if !state.hesitates {
                return;
            }
            let latency = if state.random.percent(50) {
                Duration::from_millis(state.random.between(0, LATENCY.as_millis() as u64))
            } else {
                Duration::ZERO
            };
            (latency, state.random.percent(50))
        };
        if latency > Duration::ZERO {
            sleep(latency).await;
        }
        // Some engines do not answer while they are not available.
        loop {
            let changed = self.changed.notified();
            if !hangs || !self.lock().topics[topic].down {
                break;
            }
            changed.await;
        }
    }

    /// Changes something, which readers hear of.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changed.notify_waiters();
        changed
    }
}

#[async_trait]
impl Log for SimLog {
    async fn follow(&self, topic: &Topic, from: &Position) -> Result<Box<dyn Follow>, ReadError> {
        self.answer(topic).await;
        let state = self.lock();
        let incarnation = from.incarnation().0;
        let next = state.offsets(from);
        state.check(topic, incarnation, &next)?;
        drop(state);
        Ok(Box::new(Reader {
            log: self.clone(),
            topic: topic.clone(),
            incarnation,
            next,
            ready: None,
        }))
    }
    async fn span(&self, topic: &Topic) -> Result<Span, ReadError> {
        let state = self.lock();
        match state.span(topic) {
            Some(span) => Ok(span),
            None if state.topics[topic].down => Err(Unavailable("down".to_owned()).into()),
            None => Err(ReadError::NoTopic(topic.clone())),
        }
    }
    async fn create_topic(&self, topic: &Topic, _: Retention) -> Result<(), TopicError> {
        assert!(
            !self.lock().topics.contains_key(topic),
            "{topic} is not delivery's to make"
        );
        Ok(())
    }
    async fn delete_topic(&self, _: &Topic) -> Result<(), TopicError> {
        unreachable!("delivery only reads")
    }
    /// Of dead letters. An answer may get lost.
    async fn append(&self, topic: &Topic, records: Vec<NewRecord>) -> Result<(), AppendError> {
        let events = Topic::events_of(topic.application().clone());
        assert_ne!(*topic, events, "delivery only reads events");
        self.answer(&events).await;
        let mut state = self.lock();
        let (down, random) = (state.topics[&events].down, &mut state.random);
        let (fails, is_lost) = (down || random.percent(5), random.percent(50));
        if !fails || is_lost {
            state
                .appended
                .extend(records.into_iter().map(|record| (topic.clone(), record)));
        }
        if fails {
            return Err(Unavailable("down".to_owned()).into());
        }
        Ok(())
    }
    async fn position_at(&self, _: &Topic, _: Timestamp) -> Result<Position, ReadError> {
        unreachable!("delivery only reads")
    }
    async fn read(&self, topic: &Topic, from: &Position, limit: ReadLimit) -> Result<Batch, ReadError> {
        self.answer(topic).await;
        let mut state = self.lock();
        let mut next = state.offsets(from);
        let incarnation = from.incarnation().0;
        let batch = state.take(topic, incarnation, &mut next, limit.bytes)?;
        state.reads += 1;
        Ok(batch.unwrap_or_else(|| Batch {
            records: Vec::new(),
            next: from.clone(),
        }))
    }
    async fn trim(&self, _: &Topic, _: &Position) -> Result<Position, ReadError> {
        unreachable!("delivery only reads")
    }
    async fn probe(&self) -> Result<(), Unavailable> {
        unreachable!("delivery only reads")
    }
}

#[async_trait]
impl Follow for Reader {
    async fn next(&mut self) -> Result<Batch, ReadError> {
        let log = self.log.clone();
        loop {
            let changed = log.changed.notified();
            if let Some(ready) = self.ready {
                sleep_until(ready).await;
            }
            if let Some(batch) = self.take() {
                return batch;
            }
            changed.await;
        }
    }
}

impl Reader {
    fn take(&mut self) -> Option<Result<Batch, ReadError>> {
        let mut state = self.log.state.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = state
            .take(&self.topic, self.incarnation, &mut self.next, usize::MAX)
            .transpose();
        if let Some(Ok(_)) = batch {
            let State { random, hesitates, .. } = &mut *state;
            self.ready = (*hesitates && random.percent(10))
                .then(|| Instant::now() + Duration::from_millis(random.between(1, 20)));
        }
        batch
    }
}
