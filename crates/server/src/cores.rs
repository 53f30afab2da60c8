//! The threads that serve connections: one per core, each with a runtime of its own. A connection lives on one of them.

use std::io;
use std::thread::JoinHandle;

use sockeye_limits as limits;
use tokio::sync::mpsc::{self, Receiver, Sender, error::TrySendError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::{self, Accepted};
use crate::handshake::Exchanges;

/// What tasks of connections are told, and where they are counted.
#[derive(Clone, Default)]
pub(crate) struct Life {
    /// Every task that must have ended before the server has stopped.
    pub(crate) tasks: TaskTracker,
    /// No more requests; sockets close with 1001.
    pub(crate) stop: CancellationToken,
    /// The time to drain is over.
    pub(crate) cut: CancellationToken,
}

/// The queues of connections to all cores.
#[derive(Clone)]
pub(crate) struct Queues {
    cores: Vec<Sender<Accepted>>,
    next: usize,
}

// ----------------------------------------------------------------------------------------------

/// Starts this many threads. Each ends when its queue is closed and all tasks have ended, or when they are cut off.
pub(crate) fn start(count: usize, life: &Life, threads: &mut Vec<JoinHandle<()>>) -> io::Result<Queues> {
    let mut cores = Vec::with_capacity(count);
    for core in 0..count {
        let (sender, queue) = mpsc::channel(limits::ACCEPT_QUEUE);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let life = life.clone();
        let thread = std::thread::Builder::new().name(format!("sockeye-core-{core}"));
        threads.push(thread.spawn(move || runtime.block_on(run(queue, life)))?);
        cores.push(sender);
    }
    Ok(Queues { cores, next: 0 })
}

async fn run(mut queue: Receiver<Accepted>, life: Life) {
    let exchanges = Exchanges::new();
    while let Some(accepted) = queue.recv().await {
        life.tasks
            .spawn(connection::serve(accepted, exchanges.clone(), life.stop.clone()));
    }
    tokio::select! {
        () = life.tasks.wait() => {}
        () = life.cut.cancelled() => {}
    }
}

impl Queues {
    /// Gives a connection to the core whose turn it is; to another one if its queue is full; if all are, waits.
    pub(crate) async fn hand(&mut self, accepted: Accepted) {
        let mut accepted = accepted;
        for _ in 0..self.cores.len() {
            self.next = (self.next + 1) % self.cores.len();
            match self.cores[self.next].try_send(accepted) {
                Ok(()) => return,
                Err(TrySendError::Full(back) | TrySendError::Closed(back)) => accepted = back,
            }
        }
        // Closed: the server stops, and the connection with it.
        let _ = self.cores[self.next].send(accepted).await;
    }
}
