//! Followers, and the watch over the topics they follow.
//!
//! A client of librdkafka reads a partition at most once, but any number of topics: followers of different topics share a
//! client, a second follower of a topic is given another. One thread, the [watch](watch::watch), takes the clients' log lines, ends
//! what followers leave, and looks whether topics are still the same and have new partitions.

mod outage;
mod watch;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use async_trait::async_trait;
use rdkafka::consumer::Consumer as _;
use sockeye_limits as limits;
use sockeye_log::{Batch, Follow, Incarnation, Position, ReadError, Topic, Unavailable};

use crate::{
    KafkaOptions,
    admin::{Topics, unavailable},
    client::{self, Consumer, Known, Producer},
    native::{Fetched, Queue, TopicHandle},
    pool::Pool,
    pulse::Pulse,
    read::is_gone,
    readers::Readers,
    record::Reading,
    renewable::Renewable,
};

/// All followers.
pub(crate) struct Follows {
    shared: Arc<Shared>,
    watch: Option<JoinHandle<()>>,
}

struct Shared {
    options: KafkaOptions,
    topics: Topics,
    /// Told to give up what nobody reads on.
    readers: Arc<Readers>,
    /// Reminded of the brokers, as all clients that live long.
    producer: Arc<Renewable<Producer>>,
    pulse: Arc<Pulse>,
    state: Mutex<State>,
    /// Told of what the watch is to do.
    work: Condvar,
}

/// A client that follows.
struct Client {
    consumer: Arc<Consumer>,
    known: Known,
}

#[derive(Default)]
struct State {
    clients: Vec<Client>,
    /// By number; until the watch has ended them.
    followed: BTreeMap<u64, Arc<Followed>>,
    next_number: u64,
    /// Numbers of those that are no longer wanted.
    left: Vec<u64>,
    /// Topics are to be looked at now.
    look: bool,
    ended: bool,
}

/// A topic that is read into a queue.
struct Followed {
    name: String,
    incarnation: Incarnation,
    handle: TopicHandle,
    queue: Queue,
    partitions: Mutex<Vec<i32>>,
    /// The topic is not what it was: whoever reads must look.
    changed: AtomicBool,
}

/// One follower.
pub(crate) struct KafkaFollow {
    shared: Arc<Shared>,
    pool: Arc<Pool>,
    number: u64,
    followed: Arc<Followed>,
    topic: Topic,
    reading: Reading,
    position: Position,
    /// Looked at before anything else is read.
    suspect: bool,
}

// ----------------------------------------------------------------------------------------------

impl Follows {
    pub(crate) fn start(
        options: KafkaOptions,
        topics: Topics,
        readers: Arc<Readers>,
        producer: Arc<Renewable<Producer>>,
        pulse: Arc<Pulse>,
    ) -> Self {
        let state = Mutex::default();
        let shared = Arc::new(Shared {
            options,
            topics,
            readers,
            producer,
            pulse,
            state,
            work: Condvar::new(),
        });
        let watched = shared.clone();
        let watch = thread::Builder::new()
            .name("kafka-watch".to_owned())
            .spawn(move || watch::watch(&watched));
        Self {
            shared,
            watch: Some(watch.expect("a thread can be started")),
        }
    }

    /// Looks at the topics soon.
    pub(crate) fn look(&self) {
        self.shared.lock().look = true;
        self.shared.work.notify_all();
    }

    /// What a call of the pool needs to follow a topic from a position that is in it, with every partition named.
    pub(crate) fn follower(
        &self,
        pool: &Arc<Pool>,
        topic: &Topic,
    ) -> impl FnOnce(Position) -> Result<KafkaFollow, Unavailable> + Send + 'static {
        let (shared, pool, topic) = (self.shared.clone(), pool.clone(), topic.clone());
        move |position| {
            let reading = shared.topics.reading(&topic);
            let (number, followed) = shared.follow(&reading.name, &position)?;
            Ok(KafkaFollow {
                shared,
                pool,
                number,
                followed,
                reading,
                topic,
                position,
                suspect: false,
            })
        }
    }
}

impl Drop for Follows {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.work.notify_all();
        if let Some(watch) = self.watch.take() {
            watch.join().ok();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn follow(&self, name: &str, position: &Position) -> Result<(u64, Arc<Followed>), Unavailable> {
        let refused = |code| unavailable("give records", code);
        let mut state = self.lock();
        let client = self.free_client(&mut state, name, position.incarnation())?;
        let handle = TopicHandle::new(&client, name).map_err(refused)?;
        let queue = Queue::new(&client);
        let partitions: Vec<i32> = position
            .offsets()
            .iter()
            .map(|(number, _)| number.cast_signed())
            .collect();
        for (number, offset) in position.offsets() {
            if let Err(code) = handle.start(number.cast_signed(), Some(*offset), &queue) {
                for partition in partitions {
                    handle.stop(partition);
                }
                return Err(refused(code));
            }
        }
        let followed = Arc::new(Followed {
            name: name.to_owned(),
            incarnation: position.incarnation(),
            handle,
            queue,
            partitions: Mutex::new(partitions),
            changed: AtomicBool::new(false),
        });
        let number = state.next_number;
        state.next_number += 1;
        state.followed.insert(number, followed.clone());
        Ok((number, followed))
    }

    /// A client that does not read this topic, and has never known another one of its name.
    fn free_client(
        &self,
        state: &mut State,
        name: &str,
        incarnation: Incarnation,
    ) -> Result<Arc<Consumer>, Unavailable> {
        let State { clients, followed, .. } = state;
        let is_of = |one: &Followed, client: &Client| Arc::ptr_eq(one.queue.client(), &client.consumer);
        let reads = |client: &Client| followed.values().any(|one| one.name == name && is_of(one, client));
        for client in clients.iter_mut() {
            if !reads(client) && client.known.admits(name, incarnation) {
                return Ok(client.consumer.clone());
            }
        }
        // One that has nothing to do, and could not be used here, is not kept.
        clients.retain(|client| followed.values().any(|one| is_of(one, client)));
        if state.clients.len() >= limits::KAFKA_FOLLOWERS_OF_TOPIC {
            return Err(Unavailable("too many followers of one topic".to_owned()));
        }
        let client = client::consumer(&self.options, limits::KAFKA_FETCH_WAIT)
            .map_err(|error| Unavailable(error.to_string()))?;
        let mut known = Known::default();
        known.admits(name, incarnation);
        state.clients.push(Client {
            consumer: client.clone(),
            known,
        });
        Ok(client)
    }
}

impl Followed {
    /// Reads partitions that are new, from their beginning.
    fn grow(&self, now: &[i32]) {
        let mut partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        for partition in now {
            if partitions.contains(partition) {
                continue;
            }
            // The client learns of the partition; else it would at its next regular look.
            if self.answers(limits::KAFKA_ANSWER) && self.handle.start(*partition, None, &self.queue).is_ok() {
                partitions.push(*partition);
            }
        }
    }

    /// Asks for the topic through the client that follows it; whether Kafka answered within this time.
    fn answers(&self, time: Duration) -> bool {
        self.queue.client().fetch_metadata(Some(&self.name), time).is_ok()
    }

    fn change(&self) {
        self.changed.store(true, Ordering::Release);
        self.queue.filled().notify_one();
    }

    fn end(&self) {
        let partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        for partition in partitions.iter() {
            self.handle.stop(*partition);
        }
    }
}

impl KafkaFollow {
    /// What the queue has, up to the size of a read; `None` if the place has not moved. Behind the records of a transaction is its end,
    /// which is no record.
    fn take(&mut self) -> Option<Batch> {
        let mut records = Vec::new();
        let (mut bytes, mut moved) = (0, false);
        while records.len() < limits::READ_RECORDS && bytes < limits::READ_BYTES {
            match self.followed.queue.next(Duration::ZERO) {
                Some(Fetched::Record(message)) => {
                    let record = self.reading.read(&message);
                    bytes += record.size();
                    self.position.advance(record.partition, record.offset + 1);
                    records.push(record);
                }
                Some(Fetched::End { partition, offset }) => {
                    let partition = partition.unsigned_abs();
                    moved |= self.position.offset(partition) < offset;
                    self.position.advance(partition, offset);
                }
                Some(Fetched::Problem(code)) if is_gone(code) => {
                    self.suspect = true;
                    break;
                }
                // librdkafka goes on by itself; it may be a leader that moves.
                Some(Fetched::Problem(code)) => tracing::info!(topic = %self.followed.name, %code, "following goes on"),
                None => break,
            }
        }
        (moved || !records.is_empty()).then(|| Batch {
            records,
            next: self.position.clone(),
        })
    }

    /// Whether the topic is there, is the same, and still has what follows.
    async fn look(&self) -> Result<(), ReadError> {
        let (topics, topic) = (self.shared.topics.clone(), self.topic.clone());
        let bounds = self.pool.run(move || topics.bounds(&topic)).await??;
        bounds.locate(&self.position)?;
        Ok(())
    }
}

#[async_trait]
impl Follow for KafkaFollow {
    async fn next(&mut self) -> Result<Batch, ReadError> {
        loop {
            // A problem is told again until the topic is sound: nothing is lost if this future is dropped.
            if self.suspect || self.followed.changed.load(Ordering::Acquire) {
                self.suspect = true;
                self.look().await?;
                return Err(Unavailable("Kafka has stopped giving records: follow anew".to_owned()).into());
            }
            if let Some(batch) = self.take() {
                return Ok(batch);
            }
            if !self.suspect {
                self.followed.queue.filled().notified().await;
            }
        }
    }
}

impl Drop for KafkaFollow {
    fn drop(&mut self) {
        self.shared.lock().left.push(self.number);
        self.shared.work.notify_all();
    }
}
