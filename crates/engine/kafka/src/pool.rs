//! The threads that wait for Kafka: librdkafka's calls for positions, topics and reads block.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
};

use sockeye_limits as limits;
use sockeye_log::Unavailable;
use tokio::sync::oneshot;

/// A few threads and the calls that wait for them. Dropped, it finishes what waits.
pub(crate) struct Pool {
    /// `None` when it ends.
    calls: Option<SyncSender<Call>>,
    threads: Vec<JoinHandle<()>>,
}

type Call = Box<dyn FnOnce() + Send>;

// ----------------------------------------------------------------------------------------------

impl Pool {
    /// With so many threads.
    pub(crate) fn start(threads: usize) -> Self {
        let (calls, waiting) = sync_channel::<Call>(limits::KAFKA_CALLS);
        let waiting = Arc::new(Mutex::new(waiting));
        let threads = (0..threads)
            .map(|_| {
                let waiting = waiting.clone();
                let serve = move || {
                    while let Some(call) = next(&waiting) {
                        call();
                    }
                };
                thread::Builder::new()
                    .name("kafka".to_owned())
                    .spawn(serve)
                    .expect("a thread can be started")
            })
            .collect();
        Self {
            calls: Some(calls),
            threads,
        }
    }

    /// Runs a call that blocks, and waits for its answer without blocking.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (answer, answered) = oneshot::channel();
        let call: Call = Box::new(move || {
            // Who asked may be gone: then what it asks for is not needed.
            if !answer.is_closed() {
                answer.send(call()).ok();
            }
        });
        match self.calls.as_ref().expect("it has not ended").try_send(call) {
            Ok(()) => answered
                .await
                .map_err(|_| Unavailable("a call to Kafka failed".to_owned())),
            Err(TrySendError::Full(_)) => Err(Unavailable("too many calls wait for Kafka".to_owned())),
            Err(TrySendError::Disconnected(_)) => Err(Unavailable("the threads that talk to Kafka ended".to_owned())),
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.calls = None;
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
    }
}

fn next(waiting: &Mutex<Receiver<Call>>) -> Option<Call> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}
