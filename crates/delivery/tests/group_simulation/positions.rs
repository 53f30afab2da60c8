//! Where groups keep what is durable: slow, at times not there, and sometimes it does what it says it could not. A server that
//! is killed gets no answer, whatever became of its question.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use sockeye_group::DeadLetter;
use sockeye_log::{
    GroupError, GroupId, GroupMark, GroupPosition, GroupPositions, Position, Record, Topic, Unavailable,
};
use sockeye_seeds::Random;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::log::SimLog;
use crate::truth::Truth;

/// The store, as one server sees it.
#[derive(Clone)]
pub(crate) struct SimPositions {
    disk: Arc<Mutex<Disk>>,
    /// Of the server.
    kill: CancellationToken,
}

/// What survives.
pub(crate) struct Disk {
    pub(crate) groups: BTreeMap<GroupId, GroupMark>,
    pub(crate) down: bool,
    /// What groups may and must have done.
    pub(crate) truth: Truth,
    /// Questions that were answered with a failure, and those of them that had changed something.
    pub(crate) failed: u64,
    pub(crate) lied: u64,
    log: SimLog,
    random: Random,
}

// ----------------------------------------------------------------------------------------------

impl SimPositions {
    pub(crate) fn new(log: SimLog, truth: Truth, random: Random) -> Self {
        Self {
            disk: Arc::new(Mutex::new(Disk {
                groups: BTreeMap::new(),
                down: false,
                truth,
                failed: 0,
                lied: 0,
                log,
                random,
            })),
            kill: CancellationToken::new(),
        }
    }

    /// The same for another server.
    pub(crate) fn of(&self, kill: &CancellationToken) -> Self {
        Self {
            disk: Arc::clone(&self.disk),
            kill: kill.clone(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was asked for is done, also if nobody waits for the answer any more.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Disk) -> Result<T, GroupError> + Send + 'static,
    ) -> Result<T, GroupError> {
        let this = self.clone();
        let asked = tokio::spawn(async move {
            this.hesitate().await?;
            let answer = this.lock().answer(question);
            this.hesitate().await?;
            answer
        });
        asked.await.expect("the store does not panic")
    }

    async fn hesitate(&self) -> Result<(), GroupError> {
        let time = {
            let random = &mut self.lock().random;
            if random.percent(50) { random.between(0, 30) } else { 0 }
        };
        tokio::select! {
            biased;
            () = self.kill.cancelled() => Err(unavailable()),
            () = sleep(Duration::from_millis(time)) => Ok(()),
        }
    }
}

impl Disk {
    fn answer<T>(&mut self, question: impl FnOnce(&mut Self) -> Result<T, GroupError>) -> Result<T, GroupError> {
        if !self.down {
            return question(self);
        }
        self.failed += 1;
        if self.random.percent(20) {
            self.lied += 1;
            let _ = question(self);
        }
        Err(unavailable())
    }

    fn found(&self, group: &GroupId) -> Option<GroupPosition> {
        let mark = self.groups.get(group)?.clone();
        let (stored, used) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        Some(GroupPosition { mark, stored, used })
    }

    /// Takes note of what was buried.
    pub(crate) fn take_letters(&mut self) {
        let letters = std::mem::take(&mut self.log.lock().appended);
        for (topic, letter) in letters {
            let record = Record {
                partition: 0,
                offset: 0,
                time: Timestamp::UNIX_EPOCH,
                headers: letter.headers,
                payload: letter.payload,
            };
            let letter = DeadLetter::of(&record).expect("a dead letter");
            self.truth.buried(&topic, &letter);
        }
    }

    /// An application is gone, with its groups.
    pub(crate) fn delete_application(&mut self, application: &str) {
        self.groups.retain(|group, _| group.application != application);
        self.truth.delete_application(application);
    }
}

fn unavailable() -> GroupError {
    Unavailable("down".to_owned()).into()
}

#[async_trait]
impl GroupPositions for SimPositions {
    async fn group(&self, group: &GroupId) -> Result<Option<GroupPosition>, GroupError> {
        let group = group.clone();
        self.ask(move |disk| Ok(disk.found(&group))).await
    }

    async fn groups(&self, _: &str) -> Result<Vec<(GroupId, GroupPosition)>, GroupError> {
        unreachable!("delivery knows its groups")
    }

    async fn create_group(&self, group: &GroupId, position: &Position) -> Result<bool, GroupError> {
        let (group, mark) = (group.clone(), GroupMark::at(position.clone()));
        self.ask(move |disk| {
            let topic = Topic::events_of(group.application.clone());
            if disk.log.lock().topics[&topic].incarnation.is_none() {
                return Err(GroupError::NoApplication);
            }
            if disk.groups.contains_key(&group) {
                return Ok(false);
            }
            disk.truth.begin(&group, &mark);
            disk.groups.insert(group, mark);
            Ok(true)
        })
        .await
    }

    async fn use_group(&self, group: &GroupId) -> Result<Option<GroupPosition>, GroupError> {
        let group = group.clone();
        self.ask(move |disk| Ok(disk.found(&group))).await
    }

    async fn set_group(&self, group: &GroupId, mark: &GroupMark) -> Result<(), GroupError> {
        let (group, mark) = (group.clone(), mark.clone());
        self.ask(move |disk| {
            disk.take_letters();
            let Disk { groups, truth, log, .. } = disk;
            let old = groups.get_mut(&group).ok_or(GroupError::NoGroup)?;
            truth.stored(&log.lock(), &group, old, &mark);
            *old = mark;
            Ok(())
        })
        .await
    }

    async fn delete_group(&self, group: &GroupId) -> Result<bool, GroupError> {
        let group = group.clone();
        self.ask(move |disk| {
            disk.truth.delete(&group);
            Ok(disk.groups.remove(&group).is_some())
        })
        .await
    }

    async fn expire_groups(&self, _: Timestamp) -> Result<Vec<GroupId>, GroupError> {
        unreachable!("the server does that")
    }

    async fn dead_letters(&self, _: &str) -> Result<Option<(Position, Vec<u8>)>, GroupError> {
        unreachable!("delivery buries, others look")
    }

    async fn set_dead_letters(&self, _: &str, _: &Position, _: &[u8]) -> Result<(), GroupError> {
        unreachable!("delivery buries, others look")
    }
}
