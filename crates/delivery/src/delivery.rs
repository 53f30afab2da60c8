//! What all connections share, and the entrance for a new one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use sockeye_limits as limits;
use sockeye_log::{Log, Position, Topic};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::budget::{Budget, MemoryLimits};
use crate::catch_up::Means;
use crate::connection::Connection;
use crate::end::End;
use crate::feed::{Feed, Wanted};
use crate::groups::{Groups, Seat};
use crate::link::Link;
use crate::metrics::{Counters, Metrics};
use crate::session::Session;
use crate::shard::Shard;
use crate::source::Source;
use crate::subscription::{Subscription, SubscriptionId};
use crate::topic::{LiveTopic, Reading};
use crate::wheel::Wheel;

/// Delivery: the log, the topics that are read, and the cores that write.
///
/// A topic is read once for all of its connections; a lane encodes an event once for all who want the same bytes. Groups
/// (positions that are shared and durable) are beside the lanes, behind this same entrance.
pub struct Delivery {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) metrics: Metrics,
    tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    /// Topics that have readers, or had some a moment ago.
    topics: Mutex<HashMap<Topic, Arc<LiveTopic>>>,
    /// Those that have connections.
    cores: Mutex<HashMap<ThreadId, Core>>,
    /// Memory for events of all topics.
    budget: Arc<Budget>,
    /// Turns of topics that have readers in the past.
    turns: Arc<Semaphore>,
    longest_outage: Duration,
    pub(crate) groups: Groups,
}

/// What a connection begins with.
#[derive(Debug)]
pub enum Begin {
    /// Nothing yet.
    Idle,
    /// A subscription.
    Subscribed(Box<Subscription>),
    /// A place in a group, of [`Delivery::join`] on the same core.
    Member(Seat),
}

/// What the connections of one core share.
#[derive(Clone)]
pub(crate) struct Core {
    pub(crate) shard: Shard,
    pub(crate) wheel: Wheel,
}

// ----------------------------------------------------------------------------------------------

impl Delivery {
    /// Delivery out of `log`. The tasks of connections are counted in `tasks`; after `stop` all are closed with 1001.
    pub fn new(log: Arc<dyn Log>, metrics: Metrics, tasks: TaskTracker, stop: CancellationToken) -> Self {
        let groups = Groups::new(MemoryLimits::default(), &metrics);
        Self {
            budget: Arc::new(Budget::new(MemoryLimits::default(), metrics.tails(), metrics.past())),
            log,
            metrics,
            tasks,
            stop,
            topics: Mutex::default(),
            cores: Mutex::default(),
            turns: Arc::new(Semaphore::new(limits::CATCH_UP_READS)),
            longest_outage: limits::LOG_OUTAGE,
            groups,
        }
    }

    /// Lets events take so much memory, instead of the default.
    #[must_use]
    pub fn with_memory(mut self, limits: MemoryLimits) -> Self {
        self.budget = Arc::new(Budget::new(limits, self.metrics.tails(), self.metrics.past()));
        self.groups.limit(limits, &self.metrics);
        self
    }

    /// Closes sockets with 1013 when the log could not be read for so long, instead of the default.
    #[must_use]
    pub fn with_longest_outage(mut self, outage: Duration) -> Self {
        self.longest_outage = outage;
        self
    }

    /// Runs the task of a connection on the core of the caller; a server that stops waits for it.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Serves a WebSocket, from the byte behind the head of its upgrade request to its end. Has to run on a runtime of one
    /// thread: that is its core. `deflate`: permessage-deflate was agreed on.
    pub async fn serve<IO, S>(self: &Arc<Self>, io: IO, begin: impl Into<Begin>, session: S, deflate: bool) -> End
    where
        IO: Link,
        S: Session,
    {
        let counters = Arc::new(self.metrics.of(S::DIALECT));
        let _open = counters.open();
        let Core { wheel, .. } = self.core();
        let delivery = Arc::clone(self);
        let (subscription, seat) = match begin.into() {
            Begin::Idle => (None, None),
            Begin::Subscribed(subscription) => (Some(*subscription), None),
            Begin::Member(seat) => (None, Some(seat)),
        };
        let mut connection = Connection::new(io, session, subscription, deflate, delivery, counters);
        if let Some(seat) = seat {
            connection.take_seat(SubscriptionId::FIRST, seat);
        }
        let end = connection.run(&wheel, &self.stop).await;
        tracing::debug!(dialect = S::DIALECT, ?end, "a socket ended");
        self.metrics.ended(S::DIALECT, end);
        end
    }

    /// What a connection of the core of the caller wants of a topic whose end is here.
    pub(crate) fn feed(
        self: &Arc<Self>,
        topic: &Topic,
        end: &Position,
        wanted: Wanted,
        counters: &Arc<Counters>,
    ) -> Feed {
        let Core { shard, .. } = self.core();
        Feed::new(Arc::clone(&self.log), self.read(topic, end), wanted, shard, counters)
    }

    /// One more reader of a topic; if it is the first, the topic is read from this end of it on.
    pub(crate) fn read(self: &Arc<Self>, topic: &Topic, end: &Position) -> Reading {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reading) = topics.get(topic).and_then(|live| live.read(end)) {
            return reading;
        }
        let live = Arc::new(LiveTopic::new(topic.clone(), end.clone(), Arc::clone(&self.budget)));
        let reading = live
            .read(end)
            .expect("a topic that has just begun can be read from its head");
        topics.insert(topic.clone(), Arc::clone(&live));
        let source = Source::new(Arc::clone(&self.log), topic.clone(), end.clone(), self.longest_outage);
        let means = Means {
            log: Arc::clone(&self.log),
            turns: Arc::clone(&self.turns),
            metrics: self.metrics.clone(),
            longest_outage: self.longest_outage,
        };
        let delivery = Arc::clone(self);
        let (topic, stop) = (topic.clone(), self.stop.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = Arc::clone(&live).run(source, means) => {}
                () = stop.cancelled() => {}
            }
            let mut topics = delivery.topics.lock().unwrap_or_else(PoisonError::into_inner);
            // Another incarnation may have taken its place.
            if topics.get(&topic).is_some_and(|other| Arc::ptr_eq(other, &live)) {
                topics.remove(&topic);
            }
        });
        reading
    }

    /// The core on which the caller runs.
    pub(crate) fn core(&self) -> Core {
        let mut cores = self.cores.lock().unwrap_or_else(PoisonError::into_inner);
        let number = cores.len();
        let core = cores.entry(thread::current().id()).or_insert_with(|| {
            let (shard, writes) = Shard::new(number, self.budget.limits(), self.metrics.lanes());
            let (wheel, visits) = Wheel::new();
            self.spawn_until_stop(writes);
            self.spawn_until_stop(visits);
            Core { shard, wheel }
        });
        core.clone()
    }

    pub(crate) fn spawn_until_stop(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = task => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

impl From<Subscription> for Begin {
    fn from(subscription: Subscription) -> Self {
        Self::Subscribed(Box::new(subscription))
    }
}

impl From<Seat> for Begin {
    fn from(seat: Seat) -> Self {
        Self::Member(seat)
    }
}
