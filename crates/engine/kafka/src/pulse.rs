//! Whether Kafka answers at all.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use sockeye_limits as limits;
use sockeye_log::Unavailable;

use crate::{
    KafkaOptions, OptionsError,
    admin::unavailable,
    client::{self, Admin},
    native,
    renewable::Renewable,
};

/// Asks who the brokers are.
///
/// It does not ask by `DescribeCluster`: an answer to that without brokers ends the process (`rd_kafka_DescribeClusterResponse_parse`
/// of librdkafka 2.12 tells of no error and gives no result; met by `tests/forgotten.rs`).
pub(crate) struct Pulse(Renewable<Asker>);

/// The client that asks. One that has no answer any more is given up, as it may have forgotten whom to ask (see [`native::remind`]).
struct Asker {
    client: Arc<Admin>,
    has_answered: AtomicBool,
    made: Instant,
}

// ----------------------------------------------------------------------------------------------

impl Pulse {
    pub(crate) fn new(options: &KafkaOptions) -> Result<Self, OptionsError> {
        let options = options.clone();
        // It begins to connect, which may take a while.
        Renewable::made(move || Asker::new(&options)).map(Self)
    }

    /// Whether a broker answers within this time. Blocks.
    pub(crate) fn check(&self, time: Duration) -> Result<(), Unavailable> {
        let answer = self.0.get().and_then(|asker| {
            let answer = native::answers(&*asker.client, time);
            if answer.is_ok() {
                asker.has_answered.store(true, Ordering::Relaxed);
            } else if asker.is_spent() {
                self.0.give_up(&asker);
            }
            answer
        });
        answer.map_err(|code| unavailable("describe itself", code))
    }
}

impl Asker {
    fn new(options: &KafkaOptions) -> Result<Arc<Self>, OptionsError> {
        Ok(Arc::new(Self {
            client: client::admin(options)?,
            has_answered: AtomicBool::default(),
            made: Instant::now(),
        }))
    }

    /// One that has had no answer yet may be waiting to be let in: who begins anew waits anew.
    fn is_spent(&self) -> bool {
        self.has_answered.load(Ordering::Relaxed) || self.made.elapsed() > limits::KAFKA_TOKEN
    }
}
