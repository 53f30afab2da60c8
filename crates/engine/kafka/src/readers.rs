//! The clients that read the past, each with the topic it is in the middle of.
//!
//! Who reads the past asks for one part of it after the other. A client that has given one goes on fetching for a moment: the
//! next part then costs no question for the topic's bounds, and nothing is fetched twice.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use rdkafka::consumer::Consumer as _;
use sockeye_limits as limits;
use sockeye_log::{Batch, Incarnation, Position, ReadError, ReadLimit, Topic, Unavailable};

use crate::{
    KafkaOptions, OptionsError,
    admin::Topics,
    client::{self, Consumer, Known},
    native::remind,
    read::{Reach, ReadFailed},
};

/// One for each thread that reads.
pub(crate) struct Readers {
    topics: Topics,
    /// Those that no thread uses; who was used last is the last.
    idle: Mutex<VecDeque<Reader>>,
    /// How often this node has removed records or topics: what was known of topics before is not relied on.
    removals: AtomicU64,
}

/// A client and what it reads.
struct Reader {
    options: KafkaOptions,
    client: Arc<Consumer>,
    known: Known,
    /// What has more to give.
    reach: Option<Reach>,
    /// When the topic's bounds were asked for,
    looked: Instant,
    /// and what was removed by then.
    removals: u64,
    used: Instant,
}

// ----------------------------------------------------------------------------------------------

impl Readers {
    pub(crate) fn new(options: &KafkaOptions, topics: Topics, count: usize) -> Result<Self, OptionsError> {
        let reader = |_| {
            Ok(Reader {
                options: options.clone(),
                client: client::consumer(options, limits::KAFKA_READ_WAIT)?,
                known: Known::default(),
                reach: None,
                looked: Instant::now(),
                removals: 0,
                used: Instant::now(),
            })
        };
        Ok(Self {
            topics,
            removals: AtomicU64::new(0),
            idle: Mutex::new((0..count).map(reader).collect::<Result<_, _>>()?),
        })
    }

    /// What [`sockeye_log::Log::read`] gives. Blocks; not more threads at a time than there are readers.
    pub(crate) fn read(&self, topic: &Topic, from: &Position, limit: ReadLimit) -> Result<Batch, ReadError> {
        let name = self.topics.name_of(topic);
        let mut reader = {
            let mut idle = self.lock();
            let goes_on = |reader: &Reader| reader.reach.as_ref().is_some_and(|reach| reach.is_at(&name, from));
            let at = idle.iter().position(goes_on);
            let at = at.or_else(|| idle.iter().position(|reader| reader.reach.is_none()));
            idle.remove(at.unwrap_or(0)).expect("there is one for each thread")
        };
        let batch = reader.read(self, topic, &name, from, limit);
        self.lock().push_back(reader);
        batch
    }

    /// Records or topics were removed.
    pub(crate) fn removed(&self) {
        self.removals.fetch_add(1, Ordering::Release);
    }

    /// Gives up what nobody has read on for a while.
    pub(crate) fn rest(&self) {
        let mut ended = Vec::new();
        for reader in self.lock().iter_mut() {
            if reader.used.elapsed() > limits::KAFKA_READ_ON {
                ended.extend(reader.reach.take());
            }
            client::listen(&reader.client);
        }
        // Ending takes time, for which no other reader waits.
        drop(ended);
    }

    /// Whether one has lost all brokers since this was asked last.
    pub(crate) fn have_lost(&self) -> bool {
        let lost = |reader: &Reader| reader.client.context().has_lost();
        // Each is asked: what it says is taken.
        self.lock().iter().filter(|reader| lost(reader)).count() > 0
    }

    /// See [`remind`].
    pub(crate) fn remind(&self, brokers: &str) {
        for reader in self.lock().iter() {
            remind(&*reader.client, brokers);
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Reader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    fn read(
        &mut self,
        all: &Readers,
        topic: &Topic,
        name: &str,
        from: &Position,
        limit: ReadLimit,
    ) -> Result<Batch, ReadError> {
        let mut reach = self.reach(all, topic, name, from)?;
        let read = reach.read(limit);
        if read.is_ok() && reach.has_more() {
            self.reach = Some(reach);
        } else {
            drop(reach);
        }
        self.used = Instant::now();
        client::listen(&self.client);
        match read {
            Ok(batch) => Ok(batch),
            Err(ReadFailed::Unavailable(why)) => {
                self.client.context().loses();
                Err(why.into())
            }
            Err(ReadFailed::Changed) => {
                all.topics.bounds(topic)?.locate(from)?;
                Err(Unavailable("the topic changed while it was read".to_owned()).into())
            }
        }
    }

    /// What was begun, if that is what is asked for and the topic was looked at lately; else from there on.
    fn reach(&mut self, all: &Readers, topic: &Topic, name: &str, from: &Position) -> Result<Reach, ReadError> {
        let mut begun = self.reach.take().filter(|reach| reach.is_at(name, from));
        let removals = all.removals.load(Ordering::Acquire);
        let is_known = self.looked.elapsed() < limits::KAFKA_WATCH && self.removals == removals;
        if let Some(reach) = begun.take_if(|_| is_known) {
            return Ok(reach);
        }
        (self.looked, self.removals) = (Instant::now(), removals);
        let bounds = all.topics.bounds(topic)?;
        let whole = bounds.locate(from)?;
        if let Some(mut reach) = begun
            && reach.extend(&bounds)
        {
            return Ok(reach);
        }
        self.know(name, bounds.incarnation)?;
        let reach = Reach::new(&self.client, all.topics.reading(topic), &bounds, &whole);
        reach.map_err(|failed| match failed {
            ReadFailed::Unavailable(why) => why.into(),
            ReadFailed::Changed => Unavailable("the topic changed while it was read".to_owned()).into(),
        })
    }

    /// Takes a client that has never known another topic of this name.
    fn know(&mut self, name: &str, incarnation: Incarnation) -> Result<(), Unavailable> {
        if !self.known.admits(name, incarnation) {
            let made = client::consumer(&self.options, limits::KAFKA_READ_WAIT);
            self.client = made.map_err(|error| Unavailable(error.to_string()))?;
            self.known = Known::default();
            self.known.admits(name, incarnation);
        }
        Ok(())
    }
}
