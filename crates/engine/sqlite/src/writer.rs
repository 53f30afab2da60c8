//! The handle to the thread that writes.

use std::sync::Arc;
use std::time::Instant;

use rusqlite::Connection;
use sockeye_log::{AppendError, NewRecord};
use tokio::sync::oneshot;

use crate::failure::Failure;
use crate::queue::{Added, Append, Job, Queue};
use crate::topics::TopicState;

/// Gives work to the writer. Whatever is asked for in the meantime of a commit goes into the next one, together.
#[derive(Clone)]
pub(crate) struct Writer {
    queue: Arc<Queue>,
}

/// A job made of two closures.
struct Closures<T, J, C> {
    job: Option<J>,
    committed: C,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, Failure>>,
}

// ----------------------------------------------------------------------------------------------

impl Writer {
    pub(crate) fn new(queue: Arc<Queue>) -> Self {
        Self { queue }
    }

    /// Runs a job inside the next commit and gives its result when that is durable. A job that fails is undone; those beside
    /// it are not. Once it was accepted it is done, also if the future is dropped.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        self.run_then(job, |_| ()).await
    }

    /// As [`Writer::run`]; `committed` is called on the writer's thread as soon as the result is durable, also if the future
    /// is dropped, and before any later job runs.
    pub(crate) async fn run_then<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
        committed: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, Failure> {
        self.run_adding(move |connection, _| job(connection), committed).await
    }

    /// As [`Writer::run_then`], of a job that adds records to the log: they are durable with what it changes, or neither is.
    pub(crate) async fn run_adding<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection, &mut Added) -> rusqlite::Result<T> + Send + 'static,
        committed: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, Failure> {
        let (reply, answer) = oneshot::channel();
        self.queue.push_job(Box::new(Closures {
            job: Some(job),
            committed,
            value: None,
            reply,
        }));
        answer.await.unwrap_or(Err(Failure::Closed))
    }

    /// Appends all records or none; returns when they are durable.
    pub(crate) async fn append(&self, topic: &Arc<TopicState>, records: Vec<NewRecord>) -> Result<(), AppendError> {
        let (reply, answer) = oneshot::channel();
        let append = Append {
            bytes: records.iter().map(NewRecord::size).sum(),
            records,
            since: Instant::now(),
            reply: Some(reply),
        };
        self.queue.push(topic, append)?;
        answer.await.unwrap_or(Err(Failure::Closed.into()))
    }

    /// No more is taken in; what was accepted is done, then the thread ends.
    pub(crate) fn close(&self) {
        self.queue.close();
    }
}

impl<T, J, C> Job for Closures<T, J, C>
where
    T: Send,
    J: FnOnce(&Connection, &mut Added) -> rusqlite::Result<T> + Send,
    C: FnOnce(&T) + Send,
{
    fn apply(&mut self, connection: &Connection, added: &mut Added) -> rusqlite::Result<()> {
        let job = self.job.take().expect("a job is applied once");
        self.value = Some(job(connection, added)?);
        Ok(())
    }

    fn finish(self: Box<Self>, outcome: Result<(), Failure>) {
        let Closures {
            committed,
            value,
            reply,
            ..
        } = *self;
        let result = outcome.and_then(|()| value.ok_or(Failure::Closed));
        if let Ok(value) = &result {
            committed(value);
        }
        // Who asked may have gone.
        let _ = reply.send(result);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;
    use futures_util::FutureExt as _;
    use sockeye_event::Headers;
    use sockeye_log::{Log as _, ReadLimit, Retention, Topic};

    use super::*;
    use crate::{Options, SqliteEngine};

    async fn engine() -> (tempfile::TempDir, SqliteEngine, Topic) {
        let folder = tempfile::tempdir().unwrap();
        let engine = SqliteEngine::open(folder.path().join("sockeye.db"), Options::default()).unwrap();
        let topic = Topic::events_of("garden");
        engine.create_topic(&topic, Retention::default()).await.unwrap();
        let table =
            |connection: &Connection| connection.execute_batch("CREATE TABLE notes (text TEXT PRIMARY KEY) STRICT");
        engine.inner.writer.run(table).await.unwrap();
        (folder, engine, topic)
    }

    fn note(text: &'static str) -> impl FnOnce(&Connection) -> rusqlite::Result<usize> {
        move |connection| connection.execute("INSERT INTO notes VALUES (?1)", [text])
    }

    async fn notes(engine: &SqliteEngine) -> i64 {
        let count = |connection: &Connection| connection.query_row("SELECT count(*) FROM notes", [], |row| row.get(0));
        engine.inner.readers.run(count).await.unwrap()
    }

    /// Holds the writer until it is dropped, so that what is asked for meanwhile goes into one commit.
    async fn hold(engine: &SqliteEngine) -> std::sync::mpsc::SyncSender<()> {
        let (release, held) = std::sync::mpsc::sync_channel::<()>(1);
        let (started, starts) = oneshot::channel();
        let hold = move |_: &Connection| {
            let _ = started.send(());
            let _ = held.recv();
            Ok(())
        };
        let engine = engine.clone();
        tokio::spawn(async move { engine.inner.writer.run(hold).await });
        starts.await.unwrap();
        release
    }

    #[tokio::test]
    async fn a_job_that_fails_harms_nobody_beside_it() {
        let (_folder, engine, topic) = engine().await;
        let writer = &engine.inner.writer;
        let twice = |connection: &Connection| {
            note("undone")(connection)?;
            note("first")(connection)
        };
        let record = NewRecord {
            headers: Headers::default(),
            payload: Some(Bytes::from_static(b"1")),
        };
        let held = hold(&engine).await;
        let together = async {
            tokio::join!(
                writer.run(note("first")),
                writer.run(twice),
                engine.append(&topic, vec![record]),
                writer.run(note("second"))
            )
        };
        let mut together = std::pin::pin!(together);
        assert!(together.as_mut().now_or_never().is_none());
        drop(held);
        let (first, failed, appended, second) = together.await;
        assert_eq!((first, appended, second), (Ok(1), Ok(()), Ok(1)));
        let said = failed.unwrap_err().to_string();
        assert!(said.contains("UNIQUE"), "{said}");
        assert_eq!(notes(&engine).await, 2);
        let oldest = engine.span(&topic).await.unwrap().oldest;
        assert_eq!(
            engine
                .read(&topic, &oldest, ReadLimit::default())
                .await
                .unwrap()
                .records
                .len(),
            1
        );
    }

    #[tokio::test]
    async fn what_was_accepted_is_done_and_told_though_nobody_waits() {
        let (_folder, engine, _) = engine().await;
        let told = Arc::new(AtomicUsize::new(0));
        let tell = {
            let told = told.clone();
            move |rows: &usize| {
                told.fetch_add(*rows, Ordering::SeqCst);
            }
        };
        let held = hold(&engine).await;
        assert!(
            engine
                .inner
                .writer
                .run_then(note("kept"), tell)
                .now_or_never()
                .is_none()
        );
        assert_eq!(told.load(Ordering::SeqCst), 0, "not before it is durable");
        drop(held);
        // Behind it in the queue.
        engine.probe().await.unwrap();
        assert_eq!((told.load(Ordering::SeqCst), notes(&engine).await), (1, 1));
    }

    #[tokio::test]
    async fn a_full_queue_is_said_to_be_busy() {
        let (_folder, engine, topic) = engine().await;
        let writer = &engine.inner.writer;
        let held = hold(&engine).await;
        for _ in 0..sockeye_limits::SQLITE_JOB_QUEUE {
            assert!(writer.run(|_| Ok(())).now_or_never().is_none());
        }
        assert_eq!(writer.run(|_| Ok(())).await, Err(Failure::Busy));
        let record = NewRecord {
            headers: Headers::default(),
            payload: Some(Bytes::from(vec![0; sockeye_limits::MIB])),
        };
        let mut accepted = 0;
        let refused = loop {
            match engine.append(&topic, vec![record.clone()]).now_or_never() {
                None => accepted += 1,
                Some(answer) => break answer,
            }
        };
        assert_eq!(refused, Err(AppendError::Busy));
        assert_eq!(
            accepted,
            sockeye_limits::APPEND_QUEUE_BYTES_PER_TOPIC / sockeye_limits::MIB
        );
        drop(held);
        while engine.probe().await.is_err() {
            tokio::task::yield_now().await;
        }
        engine.append(&topic, vec![record]).await.unwrap();
    }

    #[tokio::test]
    async fn a_job_that_panics_closes_the_engine() {
        let (_folder, engine, topic) = engine().await;
        let end = engine.span(&topic).await.unwrap().end;
        let mut follower = engine.follow(&topic, &end).await.unwrap();
        let panics = |_: &Connection| -> rusqlite::Result<()> { panic!("a defect, on purpose") };
        assert_eq!(engine.inner.writer.run(panics).await, Err(Failure::Closed));
        assert!(follower.next().await.unwrap_err().to_string().contains("closed"));
        assert!(engine.probe().await.is_err());
        engine.close().await;
        let again = SqliteEngine::open(engine.path(), Options::default()).unwrap();
        again.probe().await.unwrap();
    }
}
