//! Positions of groups in memory, which can be made to fail.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use jiff::Timestamp;
use sockeye_log::{GroupError, GroupId, GroupMark, GroupPosition, GroupPositions, Position, Unavailable};

#[derive(Clone, Default)]
pub(crate) struct Positions(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    groups: BTreeMap<GroupId, GroupMark>,
    failure: Option<GroupError>,
    /// Marks that were stored.
    stored: usize,
}

// ----------------------------------------------------------------------------------------------

impl Positions {
    /// Lets everything fail from now on, or no more.
    pub(crate) fn fail(&self, failure: Option<GroupError>) {
        self.lock().failure = failure;
    }

    pub(crate) fn unavailable(&self) {
        self.fail(Some(Unavailable("gone fishing".to_owned()).into()));
    }

    /// The same positions, elsewhere.
    pub(crate) fn copy(&self) -> Self {
        let groups = self.lock().groups.clone();
        Self(Arc::new(Mutex::new(State {
            groups,
            ..State::default()
        })))
    }

    /// Stores a position.
    pub(crate) fn put(&self, group: &GroupId, position: Position) {
        self.lock().groups.insert(group.clone(), GroupMark::at(position));
    }

    /// What is stored of a group.
    pub(crate) fn of(&self, group: &str) -> Option<GroupMark> {
        let state = self.lock();
        let mut found = state.groups.iter().filter(|(id, _)| id.group == group);
        found.next().map(|(_, mark)| mark.clone())
    }

    /// The low-water mark of a group.
    pub(crate) fn low(&self, group: &str) -> u64 {
        self.of(group).expect("the group is there").position.offset(0)
    }

    pub(crate) fn stored(&self) -> usize {
        self.lock().stored
    }

    async fn state(&self) -> Result<MutexGuard<'_, State>, GroupError> {
        tokio::task::yield_now().await;
        let state = self.lock();
        match &state.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

#[async_trait]
impl GroupPositions for Positions {
    async fn group(&self, group: &GroupId) -> Result<Option<GroupPosition>, GroupError> {
        let state = self.state().await?;
        Ok(state.groups.get(group).map(|mark| GroupPosition {
            mark: mark.clone(),
            stored: Timestamp::UNIX_EPOCH,
            used: Timestamp::UNIX_EPOCH,
        }))
    }

    async fn groups(&self, _: &str) -> Result<Vec<(GroupId, GroupPosition)>, GroupError> {
        unreachable!("for the API")
    }

    async fn create_group(&self, group: &GroupId, position: &Position) -> Result<bool, GroupError> {
        let mut state = self.state().await?;
        let mark = GroupMark::at(position.clone());
        Ok(state.groups.insert(group.clone(), mark).is_none())
    }

    async fn use_group(&self, group: &GroupId) -> Result<Option<GroupPosition>, GroupError> {
        self.group(group).await
    }

    async fn set_group(&self, group: &GroupId, mark: &GroupMark) -> Result<(), GroupError> {
        let mut state = self.state().await?;
        state.stored += 1;
        let stored = state.groups.get_mut(group).ok_or(GroupError::NoGroup)?;
        *stored = mark.clone();
        Ok(())
    }

    async fn delete_group(&self, group: &GroupId) -> Result<bool, GroupError> {
        Ok(self.state().await?.groups.remove(group).is_some())
    }

    async fn expire_groups(&self, _: Timestamp) -> Result<Vec<GroupId>, GroupError> {
        unreachable!("for the server")
    }

    async fn dead_letters(&self, _: &str) -> Result<Option<(Position, Vec<u8>)>, GroupError> {
        unreachable!("for the API")
    }

    async fn set_dead_letters(&self, _: &str, _: &Position, _: &[u8]) -> Result<(), GroupError> {
        unreachable!("for the API")
    }
}
