//! What waits for the writer: appends, by turns between topics, and jobs.
//!
//! A topic may fill as much of the queue as it leaves free for others: one that floods gets half of it (and at most
//! [`limits::APPEND_QUEUE_BYTES_PER_TOPIC`]), two a third each, and there is always room for one more.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use sockeye_limits as limits;
use sockeye_log::{AppendError, NewRecord};
use tokio::sync::oneshot;

use crate::failure::Failure;
use crate::sync::lock;
use crate::topics::TopicState;

/// An append that waits.
#[derive(Debug)]
pub(crate) struct Append {
    pub(crate) records: Vec<NewRecord>,
    /// Size of the records.
    pub(crate) bytes: usize,
    /// When it came.
    pub(crate) since: Instant,
    /// `None`: it is part of a job, which has an answer of its own.
    pub(crate) reply: Option<Reply>,
}

/// Where the answer to an append goes.
pub(crate) type Reply = oneshot::Sender<Result<(), AppendError>>;

/// Records that jobs add to the log, in the commit that stores what they change.
pub(crate) type Added = Vec<(Arc<TopicState>, NewRecord)>;

/// A change that is made inside a commit.
pub(crate) trait Job: Send {
    /// Makes the change. What fails is undone, and harms nobody else in the commit.
    fn apply(&mut self, connection: &Connection, added: &mut Added) -> rusqlite::Result<()>;

    /// Told what became of it: `Ok` when it is durable.
    fn finish(self: Box<Self>, outcome: Result<(), Failure>);
}

/// What goes into one commit.
#[derive(Default)]
pub(crate) struct Work {
    /// Appends by topic; a topic may come several times.
    pub(crate) appends: Vec<(Arc<TopicState>, Vec<Append>)>,
    pub(crate) jobs: Vec<Box<dyn Job>>,
}

/// The queue.
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Wakes the writer.
    wake: Condvar,
    bounds: Bounds,
}

/// How much may wait.
#[derive(Clone, Copy)]
struct Bounds {
    bytes: usize,
    topic_bytes: usize,
    calls: usize,
    jobs: usize,
}

#[derive(Default)]
struct State {
    /// By row of the topic.
    topics: HashMap<i64, Waiting>,
    /// The topics that wait, in the order of their turns.
    turns: VecDeque<i64>,
    bytes: usize,
    calls: usize,
    jobs: VecDeque<Box<dyn Job>>,
    closed: bool,
    /// Whether the writer waits.
    waits: bool,
}

/// Appends of one topic; at least one.
struct Waiting {
    topic: Arc<TopicState>,
    appends: VecDeque<Append>,
    bytes: usize,
}

// ----------------------------------------------------------------------------------------------

impl Append {
    /// Tells whoever asked that nothing was stored.
    pub(crate) fn refuse(self, error: AppendError) {
        if let Some(reply) = self.reply {
            // Who asked may have gone.
            let _ = reply.send(Err(error));
        }
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            wake: Condvar::new(),
            bounds: Bounds {
                bytes: limits::APPEND_QUEUE_BYTES,
                topic_bytes: limits::APPEND_QUEUE_BYTES_PER_TOPIC,
                calls: limits::APPEND_QUEUE_CALLS,
                jobs: limits::SQLITE_JOB_QUEUE,
            },
        }
    }
}

impl Queue {
    /// Adds an append, or says why not.
    pub(crate) fn push(&self, topic: &Arc<TopicState>, append: Append) -> Result<(), Failure> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(Failure::Closed);
        }
        let waiting = state.topics.get(&topic.id);
        let (bytes, calls) = waiting.map_or((0, 0), |waiting| (waiting.bytes, waiting.appends.len()));
        let free_bytes = self.bounds.bytes.saturating_sub(state.bytes);
        let free_calls = self.bounds.calls.saturating_sub(state.calls);
        // What is larger than the queue waits alone.
        let fits = bytes + append.bytes <= free_bytes.min(self.bounds.topic_bytes) || state.bytes == 0;
        if !fits || calls >= free_calls {
            return Err(Failure::Busy);
        }
        state.push(topic, append);
        self.wake(state);
        Ok(())
    }

    /// Adds a job, or says why not.
    pub(crate) fn push_job(&self, job: Box<dyn Job>) {
        let mut state = lock(&self.state);
        let refusal = match () {
            () if state.closed => Failure::Closed,
            () if state.jobs.len() >= self.bounds.jobs => Failure::Busy,
            () => {
                state.jobs.push_back(job);
                self.wake(state);
                return;
            }
        };
        drop(state);
        job.finish(Err(refusal));
    }

    /// No more is taken in; what waits is still done.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        self.wake(state);
    }

    /// Wakes the writer, if it waits: a call of the system for every append would cost more than the append.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let waits = std::mem::take(&mut state.waits);
        drop(state);
        if waits {
            self.wake.notify_one();
        }
    }

    /// Waits for work at most this long; `None` when the queue is closed and empty.
    pub(crate) fn take(&self, wait: Duration) -> Option<Work> {
        let idle = |state: &mut State| {
            state.waits = state.turns.is_empty() && state.jobs.is_empty() && !state.closed;
            state.waits
        };
        let (mut state, _) = self
            .wake
            .wait_timeout_while(lock(&self.state), wait, idle)
            .unwrap_or_else(PoisonError::into_inner);
        state.waits = false;
        let work = state.take();
        (!work.is_empty() || !state.closed).then_some(work)
    }
}

impl Work {
    /// Records to append.
    pub(crate) fn records(&self) -> usize {
        let appends = self.appends.iter().flat_map(|(_, appends)| appends);
        appends.map(|append| append.records.len()).sum()
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.appends.is_empty() && self.jobs.is_empty()
    }

    /// Appends what jobs have added, in their order.
    pub(crate) fn add(&mut self, added: Added) {
        for (topic, record) in added {
            let append = Append {
                bytes: record.size(),
                records: vec![record],
                since: Instant::now(),
                reply: None,
            };
            match self.appends.last_mut() {
                Some((last, appends)) if last.id == topic.id => appends.push(append),
                _ => self.appends.push((topic, vec![append])),
            }
        }
    }
}

impl State {
    fn push(&mut self, topic: &Arc<TopicState>, append: Append) {
        self.bytes += append.bytes;
        self.calls += 1;
        let turns = &mut self.turns;
        let waiting = self.topics.entry(topic.id).or_insert_with(|| {
            turns.push_back(topic.id);
            Waiting {
                topic: topic.clone(),
                appends: VecDeque::new(),
                bytes: 0,
            }
        });
        waiting.bytes += append.bytes;
        waiting.appends.push_back(append);
    }

    fn take(&mut self) -> Work {
        let jobs = self.jobs.len().min(limits::SQLITE_JOBS_PER_COMMIT);
        let mut work = Work {
            appends: Vec::new(),
            jobs: self.jobs.drain(..jobs).collect(),
        };
        let mut bytes = 0;
        while bytes < limits::COMMIT_BYTES
            && let Some(id) = self.turns.pop_front()
        {
            let waiting = self.topics.get_mut(&id).expect("who has a turn waits");
            let (appends, size) = waiting.take_turn();
            bytes += size;
            self.bytes -= size;
            self.calls -= appends.len();
            work.appends.push((waiting.topic.clone(), appends));
            if waiting.appends.is_empty() {
                self.topics.remove(&id);
            } else {
                self.turns.push_back(id);
            }
        }
        work
    }
}

impl Waiting {
    /// Takes appends until they have [`limits::APPEND_TURN_BYTES`], and gives their size.
    fn take_turn(&mut self) -> (Vec<Append>, usize) {
        let mut taken = Vec::new();
        let mut bytes = 0;
        while bytes < limits::APPEND_TURN_BYTES
            && let Some(append) = self.appends.pop_front()
        {
            bytes += append.bytes;
            taken.push(append);
        }
        self.bytes -= bytes;
        (taken, bytes)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use sockeye_event::Headers;
    use sockeye_log::{Incarnation, Retention, Topic};

    use super::*;
    use crate::topics::{TopicRow, Topics};

    fn topics(count: i64) -> Vec<Arc<TopicState>> {
        let topics = Topics::default();
        (0..count)
            .map(|id| {
                let name = format!("topic-{id}");
                topics.add(&TopicRow {
                    id,
                    name: Some(name.clone()),
                    incarnation: Incarnation(0),
                    retention: Retention::default(),
                    oldest: 0,
                    indexed_bytes: 0,
                });
                topics.get(&Topic::events_of(name)).unwrap()
            })
            .collect()
    }

    fn append(bytes: usize) -> Append {
        let record = NewRecord {
            headers: Headers::default(),
            payload: Some(Bytes::from(vec![0; bytes])),
        };
        Append {
            records: vec![record],
            bytes,
            since: Instant::now(),
            reply: Some(oneshot::channel().0),
        }
    }

    /// How many appends of a size each topic can queue when they take turns.
    fn accepted(queue: &Queue, topics: &[Arc<TopicState>], bytes: usize) -> Vec<usize> {
        let mut accepted = vec![0; topics.len()];
        loop {
            let before = accepted.clone();
            for (topic, count) in topics.iter().zip(&mut accepted) {
                *count += usize::from(queue.push(topic, append(bytes)).is_ok());
            }
            if accepted == before {
                return accepted;
            }
        }
    }

    fn queue(bounds: Bounds) -> Queue {
        Queue {
            bounds,
            ..Queue::default()
        }
    }

    const BOUNDS: Bounds = Bounds {
        bytes: 120,
        topic_bytes: 100,
        calls: 120,
        jobs: 1,
    };

    #[test]
    fn a_flood_leaves_room_for_others() {
        let topics = topics(4);
        for (flooding, expected) in [(1, vec![60]), (2, vec![40, 40]), (3, vec![30, 30, 30])] {
            let queue = queue(BOUNDS);
            assert_eq!(accepted(&queue, &topics[..flooding], 1), expected);
            queue.push(&topics[3], append(1)).unwrap();
        }
        let few_bytes = queue(Bounds {
            topic_bytes: 7,
            ..BOUNDS
        });
        assert_eq!(accepted(&few_bytes, &topics[..1], 2), [3]);
        let few_calls = queue(Bounds { calls: 8, ..BOUNDS });
        assert_eq!(accepted(&few_calls, &topics[..1], 1), [4]);
    }

    #[test]
    fn what_is_larger_than_the_queue_waits_alone() {
        let topics = topics(2);
        let queue = queue(BOUNDS);
        queue.push(&topics[0], append(1_000)).unwrap();
        assert_eq!(queue.push(&topics[1], append(1)), Err(Failure::Busy));
        assert_eq!(queue.take(Duration::ZERO).unwrap().records(), 1);
        queue.push(&topics[1], append(1)).unwrap();
        assert_eq!(queue.push(&topics[0], append(1_000)), Err(Failure::Busy));
    }

    #[test]
    fn topics_take_turns() {
        let topics = topics(3);
        let queue = Queue::default();
        let turn = limits::APPEND_TURN_BYTES;
        for (topic, sizes) in [
            (0, vec![turn / 2, turn / 2, turn, 10]),
            (1, vec![10, 10]),
            (2, vec![2 * turn, 10]),
        ] {
            for bytes in sizes {
                queue.push(&topics[topic], append(bytes)).unwrap();
            }
        }
        let work = queue.take(Duration::ZERO).unwrap();
        let turns: Vec<(i64, usize)> = work
            .appends
            .iter()
            .map(|(topic, appends)| (topic.id, appends.len()))
            .collect();
        assert_eq!(turns, [(0, 2), (1, 2), (2, 1), (0, 1), (2, 1), (0, 1)]);
        assert!(queue.take(Duration::ZERO).unwrap().is_empty());
    }

    #[test]
    fn a_commit_has_its_size() {
        let topics = topics(2);
        let queue = Queue::default();
        for _ in 0..12 {
            for topic in &topics {
                queue.push(topic, append(limits::MIB)).unwrap();
            }
        }
        for expected in [8, 8, 8, 0] {
            assert_eq!(queue.take(Duration::ZERO).unwrap().records(), expected);
        }
    }

    #[test]
    fn a_closed_queue_is_emptied_and_takes_nothing() {
        let topics = topics(1);
        let queue = Queue::default();
        queue.push(&topics[0], append(1)).unwrap();
        queue.close();
        assert_eq!(queue.push(&topics[0], append(1)), Err(Failure::Closed));
        assert_eq!(queue.take(Duration::ZERO).unwrap().records(), 1);
        assert!(queue.take(Duration::from_mins(1)).is_none());
    }
}
