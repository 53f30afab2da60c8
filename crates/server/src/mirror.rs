//! Groups are shown to Kafka's own tools: whatever is stored of a group is noted, and told to the log a moment later, the newest
//! position only. A store of positions around the one of the registry, so that nobody who stores has to know of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use sockeye_limits as limits;
use sockeye_log::{GroupError, GroupId, GroupMark, GroupPosition, GroupPositions, Log, Position};
use tokio_util::sync::CancellationToken;

/// Positions of groups that the log is told of.
pub(crate) struct Mirror {
    positions: Arc<dyn GroupPositions>,
    log: Arc<dyn Log>,
    /// At most one entry for each group that is there.
    news: Mutex<BTreeMap<GroupId, News>>,
    /// Held by who tells the log, so that nothing is told of a group after it is forgotten.
    telling: tokio::sync::Mutex<()>,
}

/// What is to be told of a group.
struct News {
    /// `None`: the group is gone.
    position: Option<Position>,
    /// It could not be told before, which the operator knows.
    is_late: bool,
}

// ----------------------------------------------------------------------------------------------

impl Mirror {
    pub(crate) fn new(positions: Arc<dyn GroupPositions>, log: Arc<dyn Log>) -> Self {
        Self {
            positions,
            log,
            news: Mutex::default(),
            telling: tokio::sync::Mutex::default(),
        }
    }

    /// Tells the log what is new, again and again, until the server stops.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        while stop
            .run_until_cancelled(tokio::time::sleep(limits::GROUP_MIRROR))
            .await
            .is_some()
        {
            self.tell().await;
        }
    }

    /// Tells the log what is new now.
    pub(crate) async fn tell(&self) {
        let groups: Vec<GroupId> = self.lock().keys().cloned().collect();
        for group in groups {
            let _telling = self.telling.lock().await;
            let Some(News { position, is_late }) = self.lock().remove(&group) else {
                continue;
            };
            let told = match &position {
                Some(position) => self.log.mirror_group(&group, position).await,
                None => self.log.forget_group(&group).await,
            };
            let Err(error) = told else { continue };
            if !is_late {
                tracing::warn!(%error, application = group.application, group = group.group, "Kafka's tools do not see how far a group is");
            }
            // Unless there is newer news.
            let is_late = true;
            self.lock().entry(group).or_insert(News { position, is_late });
        }
    }

    fn note(&self, group: &GroupId, position: Option<Position>) {
        let mut news = self.lock();
        let is_late = news.get(group).is_some_and(|news| news.is_late);
        news.insert(group.clone(), News { position, is_late });
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<GroupId, News>> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl GroupPositions for Mirror {
    async fn group(&self, group: &GroupId) -> Result<Option<GroupPosition>, GroupError> {
        self.positions.group(group).await
    }

    async fn groups(&self, application: &str) -> Result<Vec<(GroupId, GroupPosition)>, GroupError> {
        self.positions.groups(application).await
    }

    async fn create_group(&self, group: &GroupId, position: &Position) -> Result<bool, GroupError> {
        let is_made = self.positions.create_group(group, position).await?;
        if is_made {
            self.note(group, Some(position.clone()));
        }
        Ok(is_made)
    }

    /// Told again, as Kafka forgets groups without consumers of which it hears nothing for a week.
    async fn use_group(&self, group: &GroupId) -> Result<Option<GroupPosition>, GroupError> {
        let found = self.positions.use_group(group).await?;
        if let Some(found) = &found {
            self.note(group, Some(found.mark.position.clone()));
        }
        Ok(found)
    }

    async fn set_group(&self, group: &GroupId, mark: &GroupMark) -> Result<(), GroupError> {
        self.positions.set_group(group, mark).await?;
        self.note(group, Some(mark.position.clone()));
        Ok(())
    }

    /// In Kafka first: a group that only Kafka knows would be adopted by the next who asks for it.
    async fn delete_group(&self, group: &GroupId) -> Result<bool, GroupError> {
        let _telling = self.telling.lock().await;
        self.lock().remove(group);
        self.log.forget_group(group).await?;
        self.positions.delete_group(group).await
    }

    async fn expire_groups(&self, before: Timestamp) -> Result<Vec<GroupId>, GroupError> {
        let expired = self.positions.expire_groups(before).await?;
        for group in &expired {
            self.note(group, None);
        }
        Ok(expired)
    }

    async fn dead_letters(&self, application: &str) -> Result<Option<(Position, Vec<u8>)>, GroupError> {
        self.positions.dead_letters(application).await
    }

    async fn set_dead_letters(&self, application: &str, position: &Position, settled: &[u8]) -> Result<(), GroupError> {
        self.positions.set_dead_letters(application, position, settled).await
    }
}
