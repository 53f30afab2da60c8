//! What is known of each topic in memory: where it starts and ends, and what retention has to know.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::time::Duration;

use rusqlite::Connection;
use sockeye_log::{Incarnation, Position, Retention, Topic};

use crate::index::{self, Chunk};
use crate::sync::{lock, read, write};
use crate::tail::{Budget, Tail};

/// One topic.
#[derive(Debug)]
pub(crate) struct TopicState {
    /// Its row.
    pub(crate) id: i64,
    /// Its name; of a deleted one that a start found, empty.
    pub(crate) name: Topic,
    /// Its identity.
    pub(crate) incarnation: Incarnation,
    /// The newest commits.
    pub(crate) tail: Tail,
    oldest: AtomicU64,
    end: AtomicU64,
    deleted: AtomicBool,
    closed: Arc<AtomicBool>,
    kept: Mutex<Kept>,
}

/// What retention and readers have to know. Only the writer changes it.
#[derive(Debug)]
pub(crate) struct Kept {
    /// How long records are kept.
    pub(crate) retention: Retention,
    /// Size of the chunks that are noted in the index.
    pub(crate) indexed_bytes: u64,
    /// The first offsets of the chunks that are not.
    pub(crate) pending: VecDeque<u64>,
    /// Their size.
    pub(crate) pending_bytes: u64,
    /// The oldest chunk.
    pub(crate) oldest: Option<Chunk>,
}

/// What a reader of the file has to know of a topic, of one moment.
#[derive(Debug)]
pub(crate) struct View {
    /// Its row.
    pub(crate) id: i64,
    /// The offset behind its newest record.
    pub(crate) end: u64,
    /// The offsets of chunks that may not be noted in the index.
    pub(crate) pending: Vec<u64>,
}

/// All topics.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    names: RwLock<HashMap<Topic, Arc<TopicState>>>,
    /// In the order in which retention looks at them; deleted ones that still have records too.
    turns: Mutex<VecDeque<Arc<TopicState>>>,
    budget: Arc<Budget>,
    closed: Arc<AtomicBool>,
}

/// A row of `topics`.
pub(crate) struct TopicRow {
    pub(crate) id: i64,
    pub(crate) name: Option<String>,
    pub(crate) incarnation: Incarnation,
    pub(crate) retention: Retention,
    pub(crate) oldest: u64,
    pub(crate) indexed_bytes: u64,
}

// ----------------------------------------------------------------------------------------------

impl TopicState {
    /// The oldest offset that may be read.
    pub(crate) fn oldest(&self) -> u64 {
        self.oldest.load(Ordering::Acquire)
    }

    /// The offset behind the newest record.
    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// Moves the oldest offset forward.
    pub(crate) fn set_oldest(&self, oldest: u64) {
        self.oldest.fetch_max(oldest, Ordering::AcqRel);
    }

    /// Takes over chunks that are durable now.
    pub(crate) fn appended(&self, chunks: &[Chunk]) {
        let mut kept = self.kept();
        for chunk in chunks {
            kept.add(*chunk);
        }
        // Last, and before the lock is free: what is before the end can be read.
        if let Some(newest) = chunks.last() {
            self.end.store(newest.end, Ordering::Release);
        }
    }

    /// The offsets of the chunks that are not noted in the index, and their size.
    pub(crate) fn pending(&self) -> (Vec<u64>, u64) {
        let kept = self.kept();
        (kept.pending.iter().copied().collect(), kept.pending_bytes)
    }

    /// What has to be known to read at most so many records from an offset on.
    pub(crate) fn view(&self, from: u64, records: usize) -> View {
        let kept = self.kept();
        let index = kept.pending.partition_point(|first| *first <= from).saturating_sub(1);
        let pending = kept.pending.range(index..).copied();
        View {
            id: self.id,
            end: self.end(),
            pending: pending.take(records.saturating_add(1)).collect(),
        }
    }

    /// Whether it was deleted.
    pub(crate) fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    /// Whether the engine was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// A position in it.
    pub(crate) fn position(&self, offset: u64) -> Position {
        Position::new(self.incarnation, [(0, offset)])
    }

    /// What retention and readers know.
    pub(crate) fn kept(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }
}

impl Kept {
    /// Size of all chunks.
    pub(crate) fn bytes(&self) -> u64 {
        self.indexed_bytes + self.pending_bytes
    }

    fn add(&mut self, chunk: Chunk) {
        self.pending.push_back(chunk.first);
        self.pending_bytes += chunk.bytes;
        self.oldest.get_or_insert(chunk);
    }
}

impl Topics {
    /// Reads all topics of the file.
    pub(crate) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let topics = Self::default();
        let mut pending = index::load_pending(connection)?;
        let mut statement = connection
            .prepare("SELECT id, name, incarnation, retain_age, retain_bytes, oldest, indexed_bytes FROM topics")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let age: i64 = row.get(3)?;
            let row = TopicRow {
                id: row.get(0)?,
                name: row.get(1)?,
                incarnation: Incarnation(row.get::<_, i64>(2)?.cast_unsigned()),
                retention: Retention {
                    age: Duration::from_millis(age.cast_unsigned()),
                    bytes: row.get::<_, i64>(4)?.cast_unsigned(),
                },
                oldest: row.get::<_, i64>(5)?.cast_unsigned(),
                indexed_bytes: row.get::<_, i64>(6)?.cast_unsigned(),
            };
            let (oldest, newest) = index::ends(connection, row.id)?;
            let pending = pending.remove(&row.id).unwrap_or_default();
            let newest = pending.last().copied().or(newest);
            topics.insert(
                &row,
                oldest,
                &pending,
                newest.map_or(row.oldest, |chunk| chunk.end.max(row.oldest)),
            );
        }
        Ok(topics)
    }

    /// Adds a topic that was just made: it has no records.
    pub(crate) fn add(&self, row: &TopicRow) {
        self.insert(row, None, &[], row.oldest);
    }

    fn insert(&self, row: &TopicRow, oldest: Option<Chunk>, pending: &[Chunk], end: u64) {
        let deleted = row.name.is_none();
        let mut kept = Kept {
            retention: row.retention,
            indexed_bytes: row.indexed_bytes,
            pending: VecDeque::new(),
            pending_bytes: 0,
            oldest,
        };
        for chunk in pending {
            kept.add(*chunk);
        }
        let state = Arc::new(TopicState {
            id: row.id,
            name: Topic::named(row.name.as_deref().unwrap_or_default()),
            incarnation: row.incarnation,
            tail: Tail::new(self.budget.clone()),
            oldest: row.oldest.into(),
            end: end.into(),
            deleted: deleted.into(),
            closed: self.closed.clone(),
            kept: Mutex::new(kept),
        });
        if !deleted {
            write(&self.names).insert(state.name.clone(), state.clone());
        }
        self.turns().push_back(state);
    }

    /// The topic of this name.
    pub(crate) fn get(&self, name: &Topic) -> Option<Arc<TopicState>> {
        read(&self.names).get(name).cloned()
    }

    /// Forgets the name of a topic that was deleted, and tells those who follow it.
    pub(crate) fn delete(&self, name: &Topic) {
        let removed = write(&self.names).remove(name);
        if let Some(topic) = removed {
            topic.deleted.store(true, Ordering::Release);
            topic.tail.news.notify_waiters();
        }
    }

    /// Tells all followers that nothing more will come.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        for topic in read(&self.names).values() {
            topic.tail.news.notify_waiters();
        }
    }

    /// How many chunks are not noted in the index.
    pub(crate) fn pending(&self) -> usize {
        self.turns().iter().map(|topic| topic.kept().pending.len()).sum()
    }

    /// All topics, deleted ones that still have records too.
    pub(crate) fn turns(&self) -> MutexGuard<'_, VecDeque<Arc<TopicState>>> {
        lock(&self.turns)
    }
}
