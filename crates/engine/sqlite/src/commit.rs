//! One commit: what is stored in a transaction, and what becomes known when it is durable.
//!
//! A transaction has three parts: a step of retention and the jobs, each in a savepoint of its own so that one that fails
//! harms nobody else, and the appends, to which jobs may have added some.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use rusqlite::{CachedStatement, Connection, TransactionBehavior, params};
use sockeye_limits as limits;
use sockeye_log::{AppendError, NewRecord, Record};

use crate::chunk;
use crate::clock::{Moment, Pause};
use crate::failure::Failure;
use crate::index::{self, Chunk, Noted};
use crate::metrics::Metrics;
use crate::queue::{Added, Append, Reply, Work};
use crate::retention::{Step, Trimmed};
use crate::tail::Committed;
use crate::topics::{TopicState, Topics};

/// What goes into a transaction.
pub(crate) struct Commit {
    pub(crate) work: Work,
    pub(crate) step: Step,
    /// The topics that retention is concerned with.
    pub(crate) concerned: Vec<Arc<TopicState>>,
    pub(crate) moment: Moment,
    /// A pause to be noted.
    pub(crate) pause: Option<Pause>,
    /// The topics whose pending chunks are to be noted in the index. Not in the same commit as a step of retention.
    pub(crate) to_index: Vec<Arc<TopicState>>,
}

/// What a transaction stored.
pub(crate) struct Stored {
    /// What retention removed, if it could.
    pub(crate) trimmed: Result<Vec<Trimmed>, Failure>,
    indexed: Vec<Noted>,
    /// What became of each job.
    jobs: Vec<Result<(), Failure>>,
    /// What each turn appended.
    turns: Vec<Turn>,
    /// The offset that the next record gets.
    pub(crate) next: u64,
    /// Chunks added.
    pub(crate) chunks: usize,
}

/// What one turn of a topic appended.
struct Turn {
    /// Its chunks; at least one.
    chunks: Vec<Chunk>,
    bytes: usize,
}

/// Writes records into rows.
struct ChunkWriter<'a> {
    insert: CachedStatement<'a>,
    moment: Moment,
    /// The offset of the next record.
    next: u64,
    chunk: Vec<u8>,
    count: u64,
    bytes: usize,
}

// ----------------------------------------------------------------------------------------------

impl Commit {
    /// Stores all of it, or nothing.
    pub(crate) fn store(&mut self, connection: &mut Connection, next: u64) -> rusqlite::Result<Stored> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let trimmed = apart(&transaction, |connection| self.step.take(connection, &self.concerned))?;
        if let Some(pause) = self.pause {
            pause.store(&transaction)?;
        }
        let indexed = index::note(&transaction, &self.to_index)?;
        let mut jobs = Vec::with_capacity(self.work.jobs.len());
        let mut added = Added::new();
        for job in &mut self.work.jobs {
            let before = added.len();
            let done = apart(&transaction, |connection| job.apply(connection, &mut added))?;
            if done.is_err() {
                added.truncate(before);
            }
            jobs.push(done);
        }
        self.work.add(added);
        let (turns, next) = self.append(&transaction, next)?;
        transaction.commit()?;
        let chunks = turns.iter().map(|turn| turn.chunks.len()).sum();
        Ok(Stored {
            trimmed,
            indexed,
            jobs,
            turns,
            next,
            chunks,
        })
    }

    fn append(&self, connection: &Connection, next: u64) -> rusqlite::Result<(Vec<Turn>, u64)> {
        let mut turns = Vec::with_capacity(self.work.appends.len());
        let mut writer = ChunkWriter::new(connection, self.moment, next)?;
        for (topic, appends) in &self.work.appends {
            let mut chunks = Vec::with_capacity(1);
            for record in appends.iter().flat_map(|append| &append.records) {
                if !writer.has_room_for(record) {
                    chunks.push(writer.write(topic)?);
                }
                writer.add(record);
            }
            chunks.push(writer.write(topic)?);
            let bytes = appends.iter().map(|append| append.bytes).sum();
            turns.push(Turn { chunks, bytes });
        }
        Ok((turns, writer.next))
    }

    /// Makes known what is durable now, and answers those who wait for it.
    pub(crate) fn publish(self, stored: Stored, topics: &Topics, metrics: &Metrics) {
        for trimmed in stored.trimmed.iter().flatten() {
            metrics.trimmed_records.inc_by(trimmed.records);
            trimmed.publish(topics);
        }
        for indexed in &stored.indexed {
            indexed.publish();
        }
        let now = Instant::now();
        let mut records = 0;
        let mut replies = Vec::new();
        for ((topic, appends), turn) in self.work.appends.into_iter().zip(stored.turns) {
            records += turn.chunks.iter().map(|chunk| chunk.end - chunk.first).sum::<u64>();
            metrics.appended_bytes.inc_by(turn.bytes as u64);
            turn.publish(&topic, appends, self.moment, &mut replies);
        }
        // After what they have added to the log can be read.
        for (job, outcome) in self.work.jobs.into_iter().zip(stored.jobs) {
            job.finish(outcome);
        }
        if records > 0 {
            metrics.appended_records.inc_by(records);
            metrics.commit_records.observe(records as f64);
        }
        // All at once: who is woken one by one disturbs the writer each time.
        for (since, reply) in replies {
            metrics.append_seconds.observe(now.duration_since(since).as_secs_f64());
            // Who asked may have gone.
            let _ = reply.send(Ok(()));
        }
    }

    /// Tells those who wait that nothing was stored.
    pub(crate) fn fail(self, failure: &Failure) {
        for job in self.work.jobs {
            job.finish(Err(failure.clone()));
        }
        for append in self.work.appends.into_iter().flat_map(|(_, appends)| appends) {
            append.refuse(failure.clone().into());
        }
    }
}

impl Turn {
    fn publish(self, topic: &TopicState, appends: Vec<Append>, moment: Moment, replies: &mut Vec<(Instant, Reply)>) {
        let followed = topic.tail.is_followed();
        let mut records = Vec::new();
        for append in appends {
            replies.extend(append.reply.map(|reply| (append.since, reply)));
            if followed {
                records.extend(append.records);
            }
        }
        if followed {
            let stored = |(offset, record)| read(offset, moment.time, record);
            let (first, newest) = (self.chunks.first(), self.chunks.last());
            topic.tail.push(Committed {
                from: topic.end(),
                to: newest.map_or(0, |chunk| chunk.end),
                records: (first.map_or(0, |chunk| chunk.first)..)
                    .zip(records)
                    .map(stored)
                    .collect(),
                bytes: self.bytes,
            });
        }
        topic.appended(&self.chunks);
        topic.tail.news.notify_waiters();
    }
}

impl<'a> ChunkWriter<'a> {
    fn new(connection: &'a Connection, moment: Moment, next: u64) -> rusqlite::Result<Self> {
        Ok(Self {
            insert: connection.prepare_cached(
                "INSERT INTO chunks (first, topic, count, bytes, time, mark, records) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?,
            moment,
            next,
            chunk: Vec::with_capacity(limits::SQLITE_CHUNK_BYTES),
            count: 0,
            bytes: 0,
        })
    }

    fn has_room_for(&self, record: &NewRecord) -> bool {
        self.count == 0 || self.bytes + record.size() <= limits::SQLITE_CHUNK_BYTES
    }

    fn add(&mut self, record: &NewRecord) {
        chunk::write(record, &mut self.chunk);
        self.count += 1;
        self.bytes += record.size();
    }

    /// Writes a row of what was added.
    fn write(&mut self, topic: &TopicState) -> rusqlite::Result<Chunk> {
        let chunk = Chunk {
            first: self.next,
            end: self.next + self.count,
            bytes: self.bytes as u64,
            mark: self.moment.mark,
        };
        self.insert.execute(params![
            chunk.first.cast_signed(),
            topic.id,
            self.count.cast_signed(),
            chunk.bytes.cast_signed(),
            self.moment.time,
            chunk.mark,
            self.chunk,
        ])?;
        self.next = chunk.end;
        self.chunk.clear();
        self.count = 0;
        self.bytes = 0;
        Ok(chunk)
    }
}

/// A stored record, as it is read.
pub(crate) fn read(offset: u64, time: i64, record: NewRecord) -> Record {
    Record {
        partition: 0,
        offset,
        time: Timestamp::from_microsecond(time).unwrap_or(Timestamp::MAX),
        headers: record.headers,
        payload: record.payload,
    }
}

/// Answers appends to topics that were deleted while they waited.
pub(crate) fn refuse_deleted(work: &mut Work) {
    for (topic, appends) in work.appends.extract_if(.., |(topic, _)| topic.is_deleted()) {
        for append in appends {
            append.refuse(AppendError::NoTopic(topic.name.clone()));
        }
    }
}

/// Makes a change in a savepoint. The inner error is its own, and it is undone; the outer one is the transaction's.
fn apart<T>(
    connection: &Connection,
    change: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<Result<T, Failure>> {
    connection.prepare_cached("SAVEPOINT apart")?.execute([])?;
    let result = change(connection);
    match result {
        // SQLite has undone the whole transaction: nothing may be added to it.
        Err(error) if connection.is_autocommit() => return Err(error),
        Err(_) => connection.execute_batch("ROLLBACK TO apart; RELEASE apart")?,
        Ok(_) => {
            connection.prepare_cached("RELEASE apart")?.execute([])?;
        }
    }
    Ok(result.map_err(Failure::from))
}
