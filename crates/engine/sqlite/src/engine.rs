//! The engine as a whole: its parts, how they start and how they end.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rusqlite::{Connection, OptionalExtension};
use sockeye_limits as limits;
use sockeye_registry::Change;
use tokio::sync::{broadcast, watch};

use crate::clock::{Clock, Moment, Pause, Stamps, SystemClock};
use crate::committer::Committer;
use crate::lock::Lock;
use crate::metrics::Metrics;
use crate::open::{self, OpenError};
use crate::queue::Queue;
use crate::readers::Readers;
use crate::schema;
use crate::sync::lock;
use crate::topics::Topics;
use crate::writer::Writer;

/// Log and registry in one SQLite file. Clones share it; when the last one is dropped, what was accepted is finished and the
/// file closed.
#[derive(Clone)]
pub struct SqliteEngine {
    pub(crate) inner: Arc<Inner>,
}

/// What may be chosen.
#[derive(Clone, Debug)]
pub struct Options {
    /// Size that the file may not exceed; the write-ahead log beside it comes on top. Without one, it may fill the disk.
    pub max_bytes: Option<u64>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where the registry tells of devices.
    pub devices: DevicesTold,
    /// How many changes of devices may wait to be told.
    pub outbox: usize,
}

/// Where the registry tells what becomes of devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DevicesTold {
    /// In the log of the same file, in the same transaction.
    InLog {
        /// The configured name of the installation, which stands in the events.
        instance: String,
    },
    /// In another log: what is to be told waits in the outbox.
    Elsewhere,
}

pub(crate) struct Inner {
    pub(crate) writer: Writer,
    pub(crate) readers: Readers,
    pub(crate) topics: Arc<Topics>,
    pub(crate) metrics: Metrics,
    /// Who listens to the registry.
    pub(crate) listeners: broadcast::Sender<Change>,
    /// Where devices are told of.
    pub(crate) devices: DevicesTold,
    /// How many may wait to be told.
    pub(crate) outbox: usize,
    /// Held by who takes what waits of that to the log.
    pub(crate) telling: tokio::sync::Mutex<()>,
    path: PathBuf,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Closed when the writer's thread has ended and the lock is free.
    ended: watch::Receiver<()>,
}

// ----------------------------------------------------------------------------------------------

impl Default for Options {
    fn default() -> Self {
        Self {
            max_bytes: None,
            clock: Arc::new(SystemClock),
            devices: DevicesTold::InLog {
                instance: "drogue".to_owned(),
            },
            outbox: limits::OUTBOX,
        }
    }
}

impl SqliteEngine {
    /// Opens a file, or makes one. Its folder must be there.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        Self::open_with(path.as_ref(), options, schema::STEPS)
    }

    pub(crate) fn open_with(path: &Path, options: Options, steps: &[&[&str]]) -> Result<Self, OpenError> {
        let lock = Lock::take(path)?;
        open::prepare(path, steps)?;
        let failed = |error: rusqlite::Error| OpenError::of(path, &error);
        let unusable = |detail: String| OpenError::Unusable {
            path: path.to_owned(),
            detail,
        };

        let (connection, log) = open::writer(path, options.max_bytes).map_err(failed)?;
        let topics = Arc::new(Topics::load(&connection).map_err(failed)?);
        let (next, newest) = newest(&connection).map_err(failed)?;
        let pauses = Pause::load(&connection).map_err(failed)?;
        let (readers, reader_threads) =
            Readers::start(path, open::reader).map_err(|failure| unusable(failure.to_string()))?;
        let (queue, metrics) = (Arc::<Queue>::default(), Metrics::default());
        let reopen = path.to_owned();
        let committer = Committer {
            path: path.to_owned(),
            connection,
            open: Box::new(move || open::writer(&reopen, options.max_bytes)),
            queue: queue.clone(),
            topics: topics.clone(),
            readers: readers.clone(),
            reader_threads: Some(reader_threads),
            stamps: Stamps::new(newest, pauses, &*options.clock),
            pause: None,
            clock: options.clock,
            metrics: metrics.clone(),
            next,
            pending: topics.pending(),
            log,
            write_back_at: 0,
            trim_after: Instant::now(),
            failing: false,
        };
        let (alive, ended) = watch::channel(());
        let thread = thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || {
                // Dropped in this order, also after a panic.
                let (_alive, _lock) = (alive, lock);
                committer.run();
            })
            .map_err(|error| unusable(format!("no thread could be started: {error}")))?;
        let inner = Inner {
            writer: Writer::new(queue),
            readers,
            topics,
            metrics,
            listeners: broadcast::Sender::new(limits::CHANGE_QUEUE),
            devices: options.devices,
            outbox: options.outbox,
            telling: tokio::sync::Mutex::default(),
            path: path.to_owned(),
            thread: Mutex::new(Some(thread)),
            ended,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// What it counts.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Takes nothing more in, finishes what was accepted, and closes the file: when this returns, another process may open
    /// it. Whoever uses the engine afterwards is told that it is not available.
    pub async fn close(&self) {
        self.inner.writer.close();
        let mut ended = self.inner.ended.clone();
        while ended.changed().await.is_ok() {}
    }
}

impl fmt::Debug for SqliteEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteEngine")
            .field("path", &self.inner.path)
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.writer.close();
        if let Some(thread) = lock(&self.thread).take()
            && thread.thread().id() != thread::current().id()
        {
            // It has said itself why, if it panicked.
            let _ = thread.join();
        }
    }
}

/// The offset that the next record gets, and the times of the newest one.
fn newest(connection: &Connection) -> rusqlite::Result<(u64, Option<Moment>)> {
    let newest = connection
        .query_row(
            "SELECT first + count, time, mark FROM chunks ORDER BY first DESC LIMIT 1",
            [],
            |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    Moment {
                        time: row.get(1)?,
                        mark: row.get(2)?,
                    },
                ))
            },
        )
        .optional()?;
    let trimmed: i64 = connection.query_row("SELECT ifnull(max(oldest), 0) FROM topics", [], |row| row.get(0))?;
    let next = newest.map_or(0, |(next, _)| next).max(trimmed);
    Ok((next.cast_unsigned(), newest.map(|(_, moment)| moment)))
}
