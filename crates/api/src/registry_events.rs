//! What the registry tells of devices, taken to the streams of their applications where it could not be stored there with the change
//! itself (compat/drogue.md, decision 6).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use bytestring::ByteString;
use futures_util::future::join_all;
use sockeye_event::binary;
use sockeye_limits as limits;
use sockeye_log::{AppendError, Log, NewRecord, Retention, Topic};
use sockeye_policy::retention_of;
use sockeye_registry::{DeviceChange, Registry, Teller};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Takes changes of devices from the registry's outbox to the log.
pub struct RegistryEvents {
    to: Destination,
    /// Rounds that were begun.
    begun: AtomicU64,
    /// Held by who goes round.
    round: Mutex<()>,
    /// Something waits, which the operator knows.
    is_late: AtomicBool,
}

/// The log, and what is needed to tell in it.
#[derive(Clone)]
struct Destination {
    log: Arc<dyn Log>,
    registry: Arc<dyn Registry>,
    retention: Retention,
    instance: ByteString,
}

/// One time around the outbox.
struct Round {
    to: Destination,
    /// Applications that could not be told something: what is behind it waits too.
    waiting: BTreeSet<String>,
    /// Answers of the log that are still waited for, if they do not come.
    patience: usize,
    failed: Arc<AtomicBool>,
}

// ----------------------------------------------------------------------------------------------

impl RegistryEvents {
    /// From this registry to this log. `retention` is that of logs that have to be made, `instance` the configured name of the
    /// installation.
    pub fn new(
        registry: Arc<dyn Registry>,
        log: Arc<dyn Log>,
        retention: Retention,
        instance: impl Into<ByteString>,
    ) -> Self {
        let to = Destination {
            log,
            registry,
            retention,
            instance: instance.into(),
        };
        Self {
            to,
            begun: AtomicU64::new(0),
            round: Mutex::new(()),
            is_late: AtomicBool::new(false),
        }
    }

    /// Tells what others have left, and what could not be told, without end.
    pub async fn run(&self) {
        loop {
            self.tell().await;
            tokio::time::sleep(limits::OUTBOX_RETRY).await;
        }
    }

    /// Waits until what was changed before the call is told, for a bounded time.
    pub(crate) async fn told(self: &Arc<Self>) {
        let events = Arc::clone(self);
        // To its end also if the caller goes: what was told is forgotten.
        let round = tokio::spawn(async move { events.tell().await });
        let _late = timeout(limits::OUTBOX_WAIT, round).await;
    }

    /// Tells what waits now.
    async fn tell(&self) {
        let begun = self.begun.load(Ordering::Acquire);
        let _alone = self.round.lock().await;
        if self.begun.load(Ordering::Acquire) > begun {
            // A round that was begun after the call has told it.
            return;
        }
        self.begun.fetch_add(1, Ordering::AcqRel);
        let failed = Arc::<AtomicBool>::default();
        let round = Round {
            to: self.to.clone(),
            waiting: BTreeSet::new(),
            patience: limits::OUTBOX_PATIENCE,
            failed: Arc::clone(&failed),
        };
        match self.to.registry.tell(Box::new(round)).await {
            Err(error) => tracing::debug!(%error, "what waits to be told of devices cannot be read"),
            Ok(()) if failed.load(Ordering::Acquire) => {
                if !self.is_late.swap(true, Ordering::AcqRel) {
                    tracing::warn!("what became of devices is told later: the log does not take it");
                }
            }
            Ok(()) => {
                if self.is_late.swap(false, Ordering::AcqRel) {
                    tracing::info!("what became of devices is told again");
                }
            }
        }
    }
}

#[async_trait]
impl Teller for Round {
    async fn told(&mut self, changes: &[DeviceChange]) -> Vec<bool> {
        let mut told = vec![false; changes.len()];
        let mut of: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, change) in changes.iter().enumerate() {
            let application = change.application.as_str();
            if self.patience > 0 && !self.waiting.contains(application) {
                of.entry(application).or_default().push(at);
            }
        }
        let appends = of.into_iter().map(async |(application, places)| {
            let changes: Vec<_> = places.iter().map(|at| &changes[*at]).collect();
            let append = timeout(limits::OUTBOX_APPEND, self.to.tell(application, &changes));
            (application, places, append.await.unwrap_or(false))
        });
        let done = join_all(appends).await;
        let mut all = true;
        for (application, places, is_told) in done {
            if is_told {
                for at in places {
                    told[at] = true;
                }
            } else {
                all = false;
                self.waiting.insert(application.to_owned());
            }
        }
        if !all {
            self.patience -= 1;
            self.failed.store(true, Ordering::Release);
        }
        told
    }
}

impl Destination {
    /// Appends what became of devices of an application; whether it is told, or nobody is there any more to be told.
    async fn tell(&self, application: &str, changes: &[&DeviceChange]) -> bool {
        let Ok(found) = self.registry.application(application).await else {
            return false;
        };
        let Some(found) = found else { return true };
        // Those of a namesake that was deleted are nobody's.
        let changes = changes
            .iter()
            .filter(|change| change.application_uid == found.metadata.uid);
        let records: Vec<NewRecord> = changes
            .map(|change| {
                let (headers, payload) = binary::encode(&change.event(self.instance.clone()));
                NewRecord { headers, payload }
            })
            .collect();
        let topic = Topic::events_of(application);
        match self.log.append(&topic, records.clone()).await {
            Ok(()) => true,
            Err(AppendError::NoTopic(_)) => {
                let retention = retention_of(&found.spec, self.retention);
                self.log.create_topic(&topic, retention).await.is_ok() && self.log.append(&topic, records).await.is_ok()
            }
            Err(error) => {
                tracing::debug!(%error, %topic, "what became of devices is not told yet");
                false
            }
        }
    }
}
