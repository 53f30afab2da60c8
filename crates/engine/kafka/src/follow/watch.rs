//! The watch: one thread that looks after all clients and all topics that are followed.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, PoisonError},
    time::Instant,
};

use rdkafka::{consumer::Consumer as _, producer::Producer as _};
use sockeye_limits as limits;
use sockeye_log::Unavailable;

use super::{Client, Followed, Shared, outage::Outage};
use crate::{
    admin::incarnation,
    client::{self, Consumer},
    native::remind,
};

/// What there is to do.
struct Turn {
    /// Clients that follow.
    clients: Vec<Arc<Consumer>>,
    /// Topics are to be looked at now.
    look: bool,
}

// ----------------------------------------------------------------------------------------------

/// What the thread does until the engine ends.
pub(super) fn watch(shared: &Shared) {
    let mut looked = Instant::now();
    let mut outage = Outage::none(looked);
    while let Some(Turn { clients, mut look }) = shared.wait() {
        look |= looked.elapsed() >= outage.between_looks();
        for client in &clients {
            client::listen(client);
        }
        shared.topics.groups().listen();
        shared.readers.rest();

        if shared.has_lost(&clients) {
            outage.begins();
        }
        if outage.is_time(Instant::now()) {
            match shared.pulse.check(limits::ENGINE_PROBE) {
                Ok(()) => {
                    if outage.ends(Instant::now()) {
                        tracing::info!("Kafka answers again");
                    }
                    tracing::debug!("clients of Kafka are told of its addresses again");
                    shared.remind(&clients);
                    look = true;
                }
                Err(Unavailable(why)) => {
                    if outage.goes_on(Instant::now()) {
                        tracing::warn!(why, "Kafka does not answer");
                    }
                    shared.change_all();
                }
            }
        }
        if look && !outage.is_on() {
            if !(shared.all_answer() && shared.look()) {
                tracing::debug!("a client of Kafka has no answer");
                outage.begins();
            } else if outage.reminds() {
                shared.remind(&clients);
            }
            looked = Instant::now();
        }
    }
}

impl Shared {
    /// Waits until there is something to do, or a while; ends what followers have left. `None` when the engine ends.
    fn wait(&self) -> Option<Turn> {
        let mut state = self.lock();
        if state.left.is_empty() && !state.look && !state.ended {
            state = self
                .work
                .wait_timeout(state, limits::KAFKA_WATCH)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        if state.ended {
            return None;
        }
        let left = mem::take(&mut state.left);
        let turn = Turn {
            look: mem::take(&mut state.look),
            clients: state.clients.iter().map(|client| client.consumer.clone()).collect(),
        };
        let of_number = |number: &u64| state.followed.get(number).cloned();
        let ending: Vec<_> = left.iter().filter_map(of_number).collect();
        drop(state);

        // It takes time, for which nobody waits; until then its topic is not followed anew through the same client.
        for followed in ending {
            followed.end();
        }
        let mut state = self.lock();
        for number in left {
            state.followed.remove(&number);
        }
        Some(turn)
    }

    /// Whether a client has lost all brokers since it was asked last.
    fn has_lost(&self, clients: &[Arc<Consumer>]) -> bool {
        // Each is asked: what it says is taken.
        let mut lost = self.topics.has_lost() | self.readers.have_lost();
        if let Some(producer) = self.producer.current() {
            lost |= producer.context().has_lost();
        }
        for client in clients {
            lost |= client.context().has_lost();
        }
        lost
    }

    /// Whether the client for topics has an answer from Kafka, and each that follows: one that has forgotten all brokers need not say so.
    /// Those that read or produce find out when they are used.
    fn all_answer(&self) -> bool {
        let state = self.lock();
        let follower_of = |client: &Client| {
            let is_of = |followed: &&Arc<Followed>| Arc::ptr_eq(followed.queue.client(), &client.consumer);
            state.followed.values().find(is_of).cloned()
        };
        let followers: Vec<_> = state.clients.iter().filter_map(follower_of).collect();
        drop(state);
        let time = limits::ENGINE_PROBE;
        let topics = followers
            .first()
            .is_none_or(|followed| self.topics.answers(&followed.name, time));
        topics && followers.iter().all(|followed| followed.answers(time))
    }

    /// See [`remind`].
    fn remind(&self, clients: &[Arc<Consumer>]) {
        let brokers = &self.options.bootstrap;
        self.topics.remind(brokers);
        self.readers.remind(brokers);
        if let Some(producer) = self.producer.current() {
            remind(&*producer, brokers);
        }
        for client in clients {
            remind(&**client, brokers);
        }
    }

    /// Of a Kafka that is away librdkafka tells followers nothing: each finds out for itself, and is opened anew later.
    fn change_all(&self) {
        for followed in self.lock().followed.values() {
            followed.change();
        }
    }

    /// Whether the topics that are followed are still the same, and have new partitions; `false` if Kafka does not say.
    fn look(&self) -> bool {
        // Kafka refuses a question that names a topic twice.
        let mut by_name = BTreeMap::<String, Vec<Arc<Followed>>>::new();
        for followed in self.lock().followed.values() {
            by_name.entry(followed.name.clone()).or_default().push(followed.clone());
        }
        let by_name: Vec<_> = by_name.into_iter().collect();
        for some in by_name.chunks(limits::READ_RECORDS) {
            let names: Vec<&str> = some.iter().map(|(name, _)| name.as_str()).collect();
            let Ok(infos) = self.topics.describe_all(&names) else {
                self.change_all();
                return false;
            };
            for ((_, followers), info) in some.iter().zip(infos) {
                for followed in followers {
                    match &info {
                        Some(info) if incarnation(info) == followed.incarnation => followed.grow(&info.partitions),
                        _ => followed.change(),
                    }
                }
            }
        }
        true
    }
}
