//! Several records, all or none: transactions on one thread, each with all calls that wait (group commit).
//!
//! A transaction costs a few round trips however many records are in it. The producer is made when it is first needed.
//!
//! A call is answered when readers may see its records, not when Kafka says "committed": that is before the markers are
//! written behind the records. A broker that coordinates a transaction and dies between the two may, once it is back, find the
//! transaction complete without having written them (seen with Kafka 4.3.1 as the only broker: `tests/crash.rs`), and the
//! next transaction decides what becomes of the records.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use rdkafka::{producer::Producer as _, types::RDKafkaErrorCode as Code};
use sockeye_limits as limits;
use sockeye_log::{AppendError, NewRecord, ReadError, Topic};
use tokio::sync::oneshot;

use crate::{
    KafkaOptions,
    admin::Topics,
    append::{Deliveries, Delivery, Permit, append_error, code, send},
    away::Away,
    client::{self, Producer},
    native::{CommitFailed, commit},
};

/// The thread that makes transactions. Dropped, it finishes what waits.
pub(crate) struct Batches {
    topics: Topics,
    /// `None` when it ends.
    calls: Option<SyncSender<Call>>,
    thread: Option<JoinHandle<()>>,
}

/// Records that one caller appends.
struct Call {
    topic: Topic,
    name: String,
    records: Vec<NewRecord>,
    /// Held until the call is answered.
    _permit: Permit,
    answer: oneshot::Sender<Result<(), AppendError>>,
}

/// Why a transaction failed.
#[derive(Clone, Copy)]
enum Failed {
    /// Nothing is stored, and the producer goes on.
    Aborted(Code),
    /// Kafka cannot be asked whether it is stored.
    Unknown(Code),
}

/// Makes transactions.
struct Writer {
    options: KafkaOptions,
    away: Arc<Away>,
    topics: Topics,
    transactional_id: String,
    producer: Option<Producer>,
}

// ----------------------------------------------------------------------------------------------

impl Batches {
    /// The transactional id is this process's alone: what another that had died left open ends by its time-out.
    pub(crate) fn start(options: KafkaOptions, away: Arc<Away>, topics: Topics) -> Self {
        let (calls, waiting) = sync_channel(limits::APPEND_QUEUE_CALLS);
        let transactional_id = format!("sockeye-{}", uuid::Uuid::new_v4());
        let mut writer = Writer {
            options,
            away,
            topics: topics.clone(),
            transactional_id,
            producer: None,
        };
        let run = move || {
            while let Ok(first) = waiting.recv() {
                writer.serve(gather(first, &waiting));
            }
        };
        let thread = thread::Builder::new().name("kafka-batches".to_owned()).spawn(run);
        Self {
            topics,
            calls: Some(calls),
            thread: Some(thread.expect("a thread can be started")),
        }
    }

    /// Appends all of the records or none.
    pub(crate) async fn append(
        &self,
        permit: Permit,
        topic: &Topic,
        records: Vec<NewRecord>,
    ) -> Result<(), AppendError> {
        let (answer, answered) = oneshot::channel();
        let name = self.topics.name_of(topic);
        let call = Call {
            topic: topic.clone(),
            name,
            records,
            _permit: permit,
            answer,
        };
        match self.calls.as_ref().expect("it has not ended").try_send(call) {
            Ok(()) => answered
                .await
                .unwrap_or_else(|_| Err(append_error(topic, Code::BrokerDestroy))),
            Err(TrySendError::Full(_)) => Err(AppendError::Busy),
            Err(TrySendError::Disconnected(_)) => Err(append_error(topic, Code::BrokerDestroy)),
        }
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        self.calls = None;
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// What waits already, up to the size of a commit.
fn gather(first: Call, waiting: &Receiver<Call>) -> Vec<Call> {
    let mut bytes = first.bytes();
    let mut calls = vec![first];
    while bytes < limits::COMMIT_BYTES
        && let Ok(call) = waiting.try_recv()
    {
        bytes += call.bytes();
        calls.push(call);
    }
    calls
}

impl Writer {
    fn serve(&mut self, calls: Vec<Call>) {
        match self.commit(&calls).err() {
            // One call's defect is not the others'.
            Some(Failed::Aborted(_)) if calls.len() > 1 => {
                for call in calls {
                    self.serve(vec![call]);
                }
            }
            failed => {
                for call in calls {
                    let result = failed.map_or(Ok(()), |failed| Err(append_error(&call.topic, failed.code())));
                    call.answer(result);
                }
            }
        }
    }

    /// One transaction with the records of all these calls.
    fn commit(&mut self, calls: &[Call]) -> Result<(), Failed> {
        // A producer that fails is given up: the next one of the same id decides what this one left open.
        let producer = match self.producer.take() {
            Some(producer) => producer,
            None => self.connect().map_err(Failed::Unknown)?,
        };
        let deliveries = Arc::<Deliveries>::default();
        let committed = begin_and_commit(&producer, calls, &deliveries);
        let delivered = deliveries.take();
        let result = match committed {
            Ok(()) => self.wait_visible(&delivered.ends),
            Err(failed) => {
                // The records' own errors say more than the transaction's.
                let why = delivered.failed.unwrap_or(failed.code);
                let aborted = failed.is_abortable && producer.abort_transaction(limits::KAFKA_TRANSACTION).is_ok();
                Err(if aborted {
                    Failed::Aborted(why)
                } else {
                    Failed::Unknown(why)
                })
            }
        };
        if let Err(Failed::Unknown(_)) = result {
            return result;
        }
        self.producer = Some(producer);
        result
    }

    /// Waits until readers may see a committed transaction up to these ends.
    #[expect(
        clippy::disallowed_methods,
        reason = "Kafka tells nobody when it has written the markers"
    )]
    fn wait_visible(&self, ends: &HashMap<Topic, BTreeMap<i32, u64>>) -> Result<(), Failed> {
        let deadline = Instant::now() + limits::KAFKA_TRANSACTION;
        for (topic, ends) in ends {
            loop {
                // A broker that does not answer may come back in time.
                match self.topics.are_visible(topic, ends) {
                    // A topic that was removed since: nobody misses the records.
                    Ok(true) | Err(ReadError::NoTopic(_)) => break,
                    _ if Instant::now() >= deadline => return Err(Failed::Unknown(Code::OperationTimedOut)),
                    _ => thread::sleep(limits::KAFKA_AGAIN),
                }
            }
        }
        Ok(())
    }

    fn connect(&self) -> Result<Producer, Code> {
        let producer = client::producer(&self.options, &self.away, Some(&self.transactional_id)).map_err(|error| {
            tracing::error!(%error, "no producer for transactions");
            Code::InvalidConfig
        })?;
        producer
            .init_transactions(limits::KAFKA_TRANSACTION)
            .map_err(|error| code(&error))?;
        Ok(producer)
    }
}

fn begin_and_commit(producer: &Producer, calls: &[Call], deliveries: &Arc<Deliveries>) -> Result<(), CommitFailed> {
    // Before Kafka is told to commit, a failed transaction can always be aborted.
    let failed = |code| CommitFailed {
        code,
        is_retriable: false,
        is_abortable: true,
    };
    producer.begin_transaction().map_err(|error| failed(code(&error)))?;
    for call in calls {
        for record in &call.records {
            let delivery = Delivery::Part {
                topic: call.topic.clone(),
                deliveries: deliveries.clone(),
            };
            send(producer, &call.name, record, delivery).map_err(failed)?;
        }
    }
    let deadline = Instant::now() + limits::KAFKA_TRANSACTION;
    loop {
        match commit(producer, limits::KAFKA_TRANSACTION) {
            // Once more does no harm: librdkafka asks how the first try ended.
            Err(failed) if failed.is_retriable && !failed.is_abortable && Instant::now() < deadline => {}
            result => return result,
        }
    }
}

impl Failed {
    fn code(self) -> Code {
        match self {
            Self::Aborted(code) | Self::Unknown(code) => code,
        }
    }
}

impl Call {
    fn bytes(&self) -> usize {
        self.records.iter().map(NewRecord::size).sum()
    }

    fn answer(self, result: Result<(), AppendError>) {
        // Who waited may be gone.
        self.answer.send(result).ok();
    }
}
