//! The threads that read the file.
//!
//! Every read is one bounded transaction, so that none keeps the write-ahead log from being emptied for long. When that has
//! grown too far, the writer stops the readers for the moment that it takes ([`Readers::pause`]).

use std::path::Path;
use std::sync::{Arc, Mutex, RwLock, RwLockWriteGuard};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, Transaction};
use sockeye_limits as limits;
use tokio::sync::{mpsc, oneshot};

use crate::failure::Failure;
use crate::sync::{lock, read, write};

/// Gives reads to the threads.
#[derive(Clone)]
pub(crate) struct Readers {
    requests: mpsc::Sender<Request>,
    gate: Arc<RwLock<()>>,
}

/// The threads themselves.
pub(crate) struct ReaderThreads {
    requests: mpsc::Sender<Request>,
    threads: Vec<JoinHandle<()>>,
}

enum Request {
    Read(Box<dyn FnOnce(&Connection) + Send>),
    /// The thread that gets it ends.
    End,
}

// ----------------------------------------------------------------------------------------------

impl Readers {
    /// Starts the threads on a file that is there.
    pub(crate) fn start(
        path: &Path,
        open: fn(&Path) -> rusqlite::Result<Connection>,
    ) -> Result<(Self, ReaderThreads), Failure> {
        let (sender, receiver) = mpsc::channel(limits::SQLITE_READ_QUEUE);
        let receiver = Arc::new(Mutex::new(receiver));
        let gate = Arc::new(RwLock::new(()));
        let mut threads = Vec::new();
        for _ in 0..limits::SQLITE_READERS {
            let (connection, receiver, gate) = (open(path)?, receiver.clone(), gate.clone());
            let thread = thread::Builder::new()
                .name("sqlite-reader".to_owned())
                .spawn(move || serve(&connection, &receiver, &gate))
                .map_err(|error| Failure::Storage(format!("no thread could be started: {error}")))?;
            threads.push(thread);
        }
        let threads = ReaderThreads {
            requests: sender.clone(),
            threads,
        };
        Ok((Self { requests: sender, gate }, threads))
    }

    /// Runs a read on one of the threads, in a transaction: everything it sees is of one moment.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Read(Box::new(move |connection| {
            if !reply.is_closed() {
                // Who asked may have gone.
                let _ = reply.send(in_transaction(connection, job));
            }
        }));
        self.requests.send(request).await.map_err(|_| Failure::Closed)?;
        answer.await.unwrap_or(Err(Failure::Closed))
    }

    /// Waits until no read is going on, and holds those that come as long as the guard lives.
    pub(crate) fn pause(&self) -> RwLockWriteGuard<'_, ()> {
        write(&self.gate)
    }
}

impl ReaderThreads {
    /// Ends the threads after what they were asked so far.
    pub(crate) fn end(self) {
        for _ in &self.threads {
            // A closed channel means that the threads have ended already.
            let _ = self.requests.blocking_send(Request::End);
        }
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

fn serve(connection: &Connection, requests: &Mutex<mpsc::Receiver<Request>>, gate: &RwLock<()>) {
    loop {
        let request = lock(requests).blocking_recv();
        match request {
            Some(Request::Read(job)) => {
                let _pass = read(gate);
                job(connection);
            }
            Some(Request::End) | None => return,
        }
    }
}

fn in_transaction<T>(
    connection: &Connection,
    job: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> Result<T, Failure> {
    let transaction: Transaction<'_> = connection.unchecked_transaction()?;
    Ok(job(&transaction)?)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    /// Neither starves the other. The standard library leaves it to the system whom a lock prefers; where it prefers those who
    /// read, this test does not end.
    #[test]
    fn a_pause_comes_however_much_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        drop(Connection::open(&file).unwrap());
        let (readers, threads) = Readers::start(&file, |path| Connection::open(path)).unwrap();
        let (rounds, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let count = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000) SELECT max(i) FROM n";
        let read = move |connection: &Connection| connection.query_row(count, [], |row| row.get::<_, i64>(0));
        let reading = || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            while !stop.load(Ordering::Relaxed) {
                // More than there are threads: each finds its next one waiting, and they overlap.
                let many = (0..8 * limits::SQLITE_READERS).map(|_| readers.run(read));
                let many = runtime.block_on(futures_util::future::join_all(many));
                assert!(many.iter().all(|read| *read == Ok(1_000)));
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        };
        thread::scope(|scope| {
            scope.spawn(reading);
            let mut pauses = 0;
            while pauses < 300 || rounds.load(Ordering::Relaxed) < 30 {
                drop(readers.pause());
                pauses += 1;
            }
            stop.store(true, Ordering::Relaxed);
        });
        threads.end();
    }
}
