//! Single records: one idempotent producer for all topics. And admission, which bounds what waits for either producer.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rdkafka::{error::KafkaError, producer::BaseRecord, types::RDKafkaErrorCode as Code};
use sockeye_limits as limits;
use sockeye_log::{AppendError, NewRecord, Topic};
use tokio::sync::oneshot;

use crate::{
    admin::{is_unknown_topic, unavailable},
    client::Producer,
    record,
    renewable::Renewable,
};

/// What becomes of a record that was handed to librdkafka.
pub(crate) enum Delivery {
    /// A record of its own; whoever waits is told.
    Single {
        /// Held until it is delivered.
        _permit: Permit,
        /// `None`: it is stored.
        answer: oneshot::Sender<Option<Code>>,
    },
    /// One of several in a transaction.
    Part { topic: Topic, deliveries: Arc<Deliveries> },
}

/// What became of the records of one transaction.
#[derive(Default)]
pub(crate) struct Deliveries(Mutex<Delivered>);

#[derive(Default)]
pub(crate) struct Delivered {
    /// Why the first record failed that did.
    pub(crate) failed: Option<Code>,
    /// By topic and partition: behind the last record.
    pub(crate) ends: HashMap<Topic, BTreeMap<i32, u64>>,
}

/// What waits for Kafka, over all topics and by topic.
#[derive(Default)]
pub(crate) struct Admission {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    calls: usize,
    bytes: usize,
    by_topic: HashMap<Topic, usize>,
}

/// Room that an append has taken; dropped, it is given back.
pub(crate) struct Permit {
    admission: Arc<Admission>,
    topic: Topic,
    bytes: usize,
}

// ----------------------------------------------------------------------------------------------

/// Appends one record.
pub(crate) async fn single(
    producer: &Renewable<Producer>,
    permit: Permit,
    topic: &Topic,
    name: &str,
    record: &NewRecord,
) -> Result<(), AppendError> {
    let (answer, answered) = oneshot::channel();
    let delivery = Delivery::Single {
        _permit: permit,
        answer,
    };
    let client = producer.get().map_err(|code| append_error(topic, code))?;
    send(&client, name, record, delivery).map_err(|code| {
        if code == Code::Fatal {
            // It has met what it cannot make good, as a broker that has lost records, and takes none any more.
            producer.give_up(&client);
        }
        append_error(topic, code)
    })?;
    match answered.await {
        Ok(None) => Ok(()),
        Ok(Some(code)) => Err(append_error(topic, code)),
        Err(_) => Err(append_error(topic, Code::BrokerDestroy)),
    }
}

/// Hands a record to librdkafka, which does not block.
pub(crate) fn send(producer: &Producer, name: &str, record: &NewRecord, delivery: Delivery) -> Result<(), Code> {
    let mut message = BaseRecord::with_opaque_to(name, Box::new(delivery)).headers(record::headers(record));
    message.key = record::key(record);
    message.payload = record.payload.as_deref();
    producer.send(message).map_err(|(error, _)| code(&error))
}

/// Why an append failed, as the interface says it.
pub(crate) fn append_error(topic: &Topic, code: Code) -> AppendError {
    match code {
        code if is_unknown_topic(code) => AppendError::NoTopic(topic.clone()),
        Code::QueueFull => AppendError::Busy,
        code => unavailable("store records", code).into(),
    }
}

/// The code of an error.
pub(crate) fn code(error: &KafkaError) -> Code {
    error.rdkafka_error_code().unwrap_or(Code::Fail)
}

impl Delivery {
    /// Called once, when librdkafka knows: the partition and offset of the record, or why it is not stored.
    pub(crate) fn done(self, result: Result<(i32, i64), Code>) {
        match self {
            // Who waited may be gone.
            Self::Single { answer, .. } => drop(answer.send(result.err())),
            Self::Part { topic, deliveries } => deliveries.add(topic, result),
        }
    }
}

impl Deliveries {
    /// What is known now.
    pub(crate) fn take(&self) -> Delivered {
        std::mem::take(&mut *self.lock())
    }

    fn add(&self, topic: Topic, result: Result<(i32, i64), Code>) {
        let mut delivered = self.lock();
        match result {
            Ok((partition, offset)) => {
                let end = delivered.ends.entry(topic).or_default().entry(partition).or_default();
                *end = (*end).max(offset.unsigned_abs() + 1);
            }
            Err(code) => drop(delivered.failed.get_or_insert(code)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Delivered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admission {
    /// Takes room for an append, or says that there is none. A topic that has nothing waiting has room for anything that
    /// the whole has room for.
    pub(crate) fn admit(self: &Arc<Self>, topic: &Topic, bytes: usize) -> Result<Permit, AppendError> {
        let mut waiting = self.lock();
        let of_topic = waiting.by_topic.get(topic).copied().unwrap_or(0);
        let fits = |before: usize, most: usize| before == 0 || before + bytes <= most;
        if waiting.calls >= limits::APPEND_QUEUE_CALLS
            || !fits(waiting.bytes, limits::APPEND_QUEUE_BYTES)
            || !fits(of_topic, limits::APPEND_QUEUE_BYTES_PER_TOPIC)
        {
            return Err(AppendError::Busy);
        }
        waiting.calls += 1;
        waiting.bytes += bytes;
        *waiting.by_topic.entry(topic.clone()).or_default() += bytes;
        Ok(Permit {
            admission: self.clone(),
            topic: topic.clone(),
            bytes,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut waiting = self.admission.lock();
        waiting.calls -= 1;
        waiting.bytes -= self.bytes;
        if let Some(of_topic) = waiting.by_topic.get_mut(&self.topic) {
            *of_topic -= self.bytes;
            if *of_topic == 0 {
                waiting.by_topic.remove(&self.topic);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_topic_leaves_room_for_others() {
        let admission = Arc::<Admission>::default();
        let (one, two) = (Topic::events_of("one"), Topic::events_of("two"));
        let most = limits::APPEND_QUEUE_BYTES_PER_TOPIC;
        let half = admission.admit(&one, most / 2).unwrap();
        let _other_half = admission.admit(&one, most / 2).unwrap();
        assert_eq!(admission.admit(&one, 1).err(), Some(AppendError::Busy));
        admission.admit(&two, most).unwrap();
        drop(half);
        admission.admit(&one, most / 2).unwrap();
    }

    #[test]
    fn the_whole_is_bounded_in_bytes_and_calls() {
        let admission = Arc::<Admission>::default();
        let topic = |number: usize| Topic::events_of(format!("app{number}"));
        let most = limits::APPEND_QUEUE_BYTES_PER_TOPIC;
        let mut permits: Vec<_> = (0..limits::APPEND_QUEUE_BYTES / most)
            .map(|number| admission.admit(&topic(number), most).unwrap())
            .collect();
        assert_eq!(admission.admit(&topic(99), 1).err(), Some(AppendError::Busy));
        permits.clear();
        assert!(admission.lock().by_topic.is_empty());
        permits.extend((0..limits::APPEND_QUEUE_CALLS).map(|_| admission.admit(&topic(0), 1).unwrap()));
        assert_eq!(admission.admit(&topic(1), 1).err(), Some(AppendError::Busy));
    }
}
