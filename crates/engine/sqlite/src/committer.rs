//! The thread that writes: takes what waits, makes one commit of it, and keeps the write-ahead log short.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};
use sockeye_limits as limits;

use crate::clock::{Clock, Pause, Stamps};
use crate::commit::{Commit, refuse_deleted};
use crate::failure::Failure;
use crate::index;
use crate::metrics::Metrics;
use crate::queue::{Queue, Work};
use crate::readers::{ReaderThreads, Readers};
use crate::retention::Step;
use crate::topics::{TopicState, Topics};

/// What the thread owns.
pub(crate) struct Committer {
    pub(crate) path: PathBuf,
    pub(crate) connection: Connection,
    pub(crate) open: Box<dyn Fn() -> rusqlite::Result<(Connection, LogLength)> + Send>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) topics: Arc<Topics>,
    pub(crate) readers: Readers,
    pub(crate) reader_threads: Option<ReaderThreads>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stamps: Stamps,
    /// A pause that is not noted yet.
    pub(crate) pause: Option<Pause>,
    pub(crate) metrics: Metrics,
    /// The offset that the next record gets.
    pub(crate) next: u64,
    /// Chunks that are not noted in the index, at most.
    pub(crate) pending: usize,
    pub(crate) log: LogLength,
    /// The length of the write-ahead log, in pages, at which it is written back next.
    pub(crate) write_back_at: usize,
    /// Retention rests until then, after it failed.
    pub(crate) trim_after: Instant,
    /// Whether the last commit failed.
    pub(crate) failing: bool,
}

/// Pages in the write-ahead log after the last commit.
pub(crate) type LogLength = Arc<AtomicUsize>;

const CHECKPOINT_PAGES: usize = limits::SQLITE_CHECKPOINT / limits::SQLITE_PAGE;
const LOG_PAGES: usize = limits::SQLITE_WAL / limits::SQLITE_PAGE;

// ----------------------------------------------------------------------------------------------

impl Committer {
    /// Works until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        let mut wait = limits::TRIM_INTERVAL;
        while let Some(work) = self.queue.take(wait) {
            let more_to_trim = self.commit(work);
            self.write_back();
            wait = if more_to_trim {
                Duration::ZERO
            } else {
                limits::TRIM_INTERVAL
            };
        }
        if let Some(threads) = self.reader_threads.take() {
            threads.end();
        }
        self.index_all();
        self.empty_log();
    }

    /// Makes one commit; whether retention was at work.
    fn commit(&mut self, mut work: Work) -> bool {
        refuse_deleted(&mut work);
        let (moment, pause) = self.stamps.now(&*self.clock);
        self.pause = pause.or(self.pause);
        let step = Step {
            ages: self.stamps.ages(),
            records: limits::TRIM_STEP_RECORDS.max(2 * work.records()) as u64,
            busy: !work.is_empty(),
        };
        let to_index = self.topics_to_index();
        let concerned = if to_index.is_empty() && Instant::now() >= self.trim_after {
            step.concerned(&self.topics)
        } else {
            Vec::new()
        };
        if work.is_empty() && concerned.is_empty() && to_index.is_empty() && self.pause.is_none() {
            return false;
        }
        let trims = !concerned.is_empty();
        let indexes = !to_index.is_empty();
        let mut commit = Commit {
            work,
            step,
            concerned,
            moment,
            pause: self.pause,
            to_index,
        };
        match commit.store(&mut self.connection, self.next) {
            Ok(stored) => {
                self.next = stored.next;
                self.pause = None;
                self.pending = stored.chunks + if indexes { 0 } else { self.pending };
                if std::mem::take(&mut self.failing) {
                    tracing::info!(path = %self.path.display(), "the file can be written again");
                }
                let trimmed = stored.trimmed.as_ref().err().cloned();
                commit.publish(stored, &self.topics, &self.metrics);
                if let Some(failure) = trimmed {
                    tracing::error!(path = %self.path.display(), %failure, "retention could not remove anything");
                    self.trim_after = Instant::now() + limits::TRIM_RETRY;
                    return false;
                }
                trims
            }
            Err(error) => {
                commit.fail(&self.recover(error));
                false
            }
        }
    }

    /// The topics to note in the index, when enough is pending.
    fn topics_to_index(&self) -> Vec<Arc<TopicState>> {
        if self.pending < limits::SQLITE_PENDING_CHUNKS {
            return Vec::new();
        }
        self.all_topics()
    }

    /// All topics in the order of the index.
    fn all_topics(&self) -> Vec<Arc<TopicState>> {
        let mut topics: Vec<_> = self.topics.turns().iter().cloned().collect();
        topics.sort_unstable_by_key(|topic| topic.id);
        topics
    }

    /// Leaves nothing for the next start to look up.
    fn index_all(&mut self) {
        let topics = self.all_topics();
        let noted = self.connection.transaction().and_then(|transaction| {
            index::note(&transaction, &topics)?;
            transaction.commit()
        });
        if let Err(error) = noted {
            tracing::warn!(path = %self.path.display(), %error, "the index is not complete; the next start takes longer");
        }
    }

    /// After a commit that failed: gets the connection into a state in which the next one can succeed.
    fn recover(&mut self, error: rusqlite::Error) -> Failure {
        let full = error.sqlite_error_code() == Some(ErrorCode::DiskFull);
        let failure = Failure::from(error);
        self.metrics.failed_commits.inc();
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!(path = %self.path.display(), %failure, "a commit failed; nothing of it is stored");
            // A full disk may have room for the next commit in the write-ahead log, once that is empty.
            self.empty_log();
        }
        if !full {
            match (self.open)() {
                Ok((connection, log)) => (self.connection, self.log) = (connection, log),
                Err(error) => tracing::error!(path = %self.path.display(), %error, "the file was not opened again"),
            }
        }
        failure
    }

    /// Writes the log back to the file when it has grown. Readers are not disturbed, unless it has grown far.
    fn write_back(&mut self) {
        let pages = self.log.load(Ordering::Relaxed);
        if pages < CHECKPOINT_PAGES {
            self.write_back_at = CHECKPOINT_PAGES;
        } else if pages >= self.write_back_at {
            let next = pages + CHECKPOINT_PAGES;
            if pages < LOG_PAGES {
                self.write_back_at = next.min(LOG_PAGES);
                self.checkpoint("PRAGMA wal_checkpoint(PASSIVE)");
            } else {
                self.write_back_at = next;
                self.empty_log();
            }
        }
    }

    /// Writes the log back and makes it empty.
    fn empty_log(&self) {
        let _nobody_reads = self.readers.pause();
        self.checkpoint("PRAGMA wal_checkpoint(TRUNCATE)");
    }

    fn checkpoint(&self, sql: &str) {
        let result = self.connection.query_row(sql, [], |row| row.get::<_, bool>(0));
        match result {
            Ok(false) => {}
            Ok(true) => tracing::debug!("the write-ahead log is being read, by a backup perhaps; it is emptied later"),
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "the write-ahead log was not written back");
            }
        }
    }
}

impl Drop for Committer {
    /// Also after a panic: whoever waits is told.
    fn drop(&mut self) {
        self.queue.close();
        while self.queue.take(Duration::ZERO).is_some() {}
        self.topics.close();
    }
}
