//! The engine: the interface over its parts.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use async_trait::async_trait;
use jiff::Timestamp;
use sockeye_limits as limits;
use sockeye_log::{
    AppendError, Batch, Follow, GroupId, Log, NewRecord, Position, ReadError, ReadLimit, Retention, Span, Topic,
    TopicError, Unavailable,
};

use crate::{
    KafkaOptions, OptionsError, Refusal,
    admin::{Settings, Topics},
    append::{self, Admission},
    away::Away,
    batch::Batches,
    bounds::Bounds,
    client::{self, Producer},
    follow::Follows,
    native::TopicInfo,
    pool::Pool,
    pulse::Pulse,
    readers::Readers,
    renewable::Renewable,
};

/// The log over Apache Kafka.
///
/// Dropping it waits for what was asked of Kafka.
pub struct KafkaLog {
    topics: Topics,
    /// Topics that are there, so that an append need not ask.
    known: Mutex<HashSet<Topic>>,
    admission: Arc<Admission>,
    away: Arc<Away>,
    pulse: Arc<Pulse>,
    producer: Arc<Renewable<Producer>>,
    batches: Batches,
    follows: Follows,
    readers: Arc<Readers>,
    pool: Arc<Pool>,
}

// ----------------------------------------------------------------------------------------------

impl KafkaLog {
    /// An engine with these options. Kafka need not be reachable yet.
    pub fn new(options: &KafkaOptions) -> Result<Self, OptionsError> {
        let away = Arc::<Away>::default();
        let topics = Topics::new(client::admin(options)?, options)?;
        let readers = Readers::new(options, topics.clone(), limits::KAFKA_THREADS)?;
        let readers = Arc::new(readers);
        let producer = {
            let (options, away) = (options.clone(), away.clone());
            Renewable::made(move || client::producer(&options, &away, None).map(Arc::new))?
        };
        let producer = Arc::new(producer);
        let pulse = Arc::new(Pulse::new(options)?);
        Ok(Self {
            known: Mutex::default(),
            admission: Arc::default(),
            batches: Batches::start(options.clone(), away.clone(), topics.clone()),
            away,
            follows: Follows::start(
                options.clone(),
                topics.clone(),
                readers.clone(),
                producer.clone(),
                pulse.clone(),
            ),
            pulse,
            producer,
            pool: Arc::new(Pool::start(limits::KAFKA_THREADS)),
            readers,
            topics,
        })
    }

    /// Why Kafka does not let this client in, if that is what it said last. Of a time when it answers ([`Log::probe`]) it says nothing.
    pub fn refusal(&self) -> Option<Refusal> {
        self.away.refused.last()
    }

    async fn bounds(&self, topic: &Topic) -> Result<Bounds, ReadError> {
        let (topics, topic) = (self.topics.clone(), topic.clone());
        self.pool.run(move || topics.bounds(&topic)).await?
    }

    async fn describe(&self, name: &str) -> Result<Option<TopicInfo>, Unavailable> {
        let (topics, name) = (self.topics.clone(), name.to_owned());
        self.pool.run(move || topics.describe(&name)).await?
    }

    /// Waits until Kafka says of the topic what is wanted: what was changed is not everywhere at once.
    async fn described(
        &self,
        name: &str,
        wanted: impl Fn(Option<&TopicInfo>) -> bool,
    ) -> Result<Option<TopicInfo>, Unavailable> {
        let deadline = Instant::now() + limits::KAFKA_ANSWER;
        loop {
            let info = self.describe(name).await?;
            if wanted(info.as_ref()) {
                return Ok(info);
            }
            if Instant::now() > deadline {
                return Err(Unavailable(format!(
                    "Kafka's brokers do not agree about the topic {name}"
                )));
            }
            tokio::time::sleep(limits::KAFKA_AGAIN).await;
        }
    }

    async fn is_there(&self, topic: &Topic) -> Result<bool, Unavailable> {
        if self.known().contains(topic) {
            return Ok(true);
        }
        let there = self.describe(&self.topics.name_of(topic)).await?.is_some();
        if there {
            let mut known = self.known();
            if known.len() >= limits::KAFKA_KNOWN_TOPICS {
                known.clear();
            }
            known.insert(topic.clone());
        }
        Ok(there)
    }

    fn known(&self) -> MutexGuard<'_, HashSet<Topic>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Log for KafkaLog {
    async fn create_topic(&self, topic: &Topic, retention: Retention) -> Result<(), TopicError> {
        let name = self.topics.name_of(topic);
        // Asked first: most are there, and one that is there may be one that this user may not make.
        let is_made = self.describe(&name).await?.is_none() && self.topics.create(&name).await?;
        let ready = |info: Option<&TopicInfo>| info.is_some_and(|info| info.led);
        let partitions = self
            .described(&name, ready)
            .await?
            .map_or(1, |info| info.partitions.len());
        let known = if is_made {
            Settings::new()
        } else if let Some(known) = self.topics.own(&name).await? {
            known
        } else {
            tracing::info!(%topic, name, "a topic in Kafka was not made by Sockeye: it keeps its own settings");
            return Ok(());
        };
        let topics = self.topics.clone();
        self.pool
            .run(move || topics.retain(&name, partitions, retention, &known))
            .await??;
        Ok(())
    }

    async fn claim_topic(&self, topic: &Topic, adopt: bool) -> Result<(), TopicError> {
        let name = self.topics.name_of(topic);
        match self.describe(&name).await? {
            Some(_) if !adopt => Err(TopicError::Found(name)),
            _ => Ok(()),
        }
    }

    async fn delete_topic(&self, topic: &Topic) -> Result<(), TopicError> {
        let name = self.topics.name_of(topic);
        self.known().remove(topic);
        if self.topics.own(&name).await?.is_none() {
            if self.describe(&name).await?.is_some() {
                tracing::warn!(%topic, name, "a topic in Kafka was not made by Sockeye: it stays, with its records");
            }
            return Ok(());
        }
        self.topics.delete(&name).await?;
        self.described(&name, |info| info.is_none()).await?;
        // An append at the same time may have seen it before it went.
        self.known().remove(topic);
        self.readers.removed();
        self.follows.look();
        Ok(())
    }

    async fn append(&self, topic: &Topic, records: Vec<NewRecord>) -> Result<(), AppendError> {
        let bytes = records.iter().map(NewRecord::size).sum();
        let permit = self.admission.admit(topic, bytes)?;
        self.away.look(self.probe()).await?;
        if !self.is_there(topic).await? {
            return Err(AppendError::NoTopic(topic.clone()));
        }
        let appended = match &records[..] {
            [] => Ok(()),
            [record] => append::single(&self.producer, permit, topic, &self.topics.name_of(topic), record).await,
            _ => self.batches.append(permit, topic, records).await,
        };
        if let Err(AppendError::NoTopic(_)) = appended {
            self.known().remove(topic);
        }
        appended
    }

    async fn span(&self, topic: &Topic) -> Result<Span, ReadError> {
        let deadline = Instant::now() + limits::ENGINE_PROBE;
        let (topics, asked) = (self.topics.clone(), topic.clone());
        let look = move || -> Result<(Bounds, Option<Bounds>), ReadError> {
            let bounds = topics.bounds(&asked)?;
            let decided = topics.decided(&asked, &bounds)?;
            Ok((bounds, decided))
        };
        let (bounds, mut decided) = self.pool.run(look).await??;
        loop {
            if let Some(decided) = decided {
                return Ok(decided.span());
            }
            if Instant::now() > deadline {
                let why = format!(
                    "a transaction on `{topic}` has been open for {:?}",
                    limits::ENGINE_PROBE
                );
                return Err(Unavailable(why).into());
            }
            tokio::time::sleep(limits::KAFKA_AGAIN).await;
            let (topics, asked, at) = (self.topics.clone(), topic.clone(), bounds.clone());
            decided = self.pool.run(move || topics.decided(&asked, &at)).await??;
        }
    }

    async fn position_at(&self, topic: &Topic, time: Timestamp) -> Result<Position, ReadError> {
        let (topics, topic) = (self.topics.clone(), topic.clone());
        // Kafka's times are whole milliseconds: the first that is not before `time`.
        let millis = time.as_nanosecond().div_euclid(1_000_000) + i128::from(time.as_nanosecond() % 1_000_000 != 0);
        let millis = i64::try_from(millis).unwrap_or(i64::MAX);
        let look = move || -> Result<Position, ReadError> {
            let bounds = topics.bounds(&topic)?;
            let offsets = topics.offsets_at(&topic, &bounds, millis)?;
            let offsets = bounds.partitions.iter().zip(offsets);
            let offsets = offsets.map(|(partition, offset)| (partition.number, offset.unwrap_or(partition.end)));
            Ok(Position::new(bounds.incarnation, offsets))
        };
        self.pool.run(look).await?
    }

    async fn read(&self, topic: &Topic, from: &Position, limit: ReadLimit) -> Result<Batch, ReadError> {
        let (readers, topic, from) = (self.readers.clone(), topic.clone(), from.clone());
        self.pool.run(move || readers.read(&topic, &from, limit)).await?
    }

    async fn follow(&self, topic: &Topic, from: &Position) -> Result<Box<dyn Follow>, ReadError> {
        let (topics, asked, from) = (self.topics.clone(), topic.clone(), from.clone());
        let follower = self.follows.follower(&self.pool, topic);
        let start = move || -> Result<Box<dyn Follow>, ReadError> {
            let position = topics.bounds(&asked)?.locate(&from)?;
            Ok(Box::new(follower(position)?))
        };
        self.pool.run(start).await?
    }

    async fn trim(&self, topic: &Topic, before: &Position) -> Result<Position, ReadError> {
        let bounds = self.bounds(topic).await?;
        let removed = bounds.before(before)?;
        if removed.is_empty() {
            return Ok(bounds.oldest());
        }
        self.topics
            .delete_records(&self.topics.name_of(topic), &removed)
            .await?;
        self.readers.removed();
        Ok(self.bounds(topic).await?.oldest())
    }

    async fn mirror_group(&self, group: &GroupId, position: &Position) -> Result<(), Unavailable> {
        self.away.look(self.probe()).await?;
        let (topics, group, position) = (self.topics.clone(), group.clone(), position.clone());
        self.pool.run(move || topics.commit(&group, &position)).await?
    }

    async fn mirrored_group(&self, group: &GroupId, span: &Span) -> Result<Option<Position>, Unavailable> {
        let (topics, group, span) = (self.topics.clone(), group.clone(), span.clone());
        self.pool.run(move || topics.committed(&group, &span)).await?
    }

    async fn forget_group(&self, group: &GroupId) -> Result<(), Unavailable> {
        let (topics, group) = (self.topics.clone(), group.clone());
        self.pool.run(move || topics.forget(&group)).await?
    }

    async fn probe(&self) -> Result<(), Unavailable> {
        let pulse = self.pulse.clone();
        let probe = self.pool.run(move || pulse.check(limits::ENGINE_PROBE));
        let answer = tokio::time::timeout(limits::ENGINE_PROBE, probe).await;
        answer.unwrap_or_else(|_| Err(Unavailable("Kafka does not answer".to_owned())))?
    }
}
