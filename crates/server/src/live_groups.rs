//! Groups as the API sees them: what delivery knows of them.

use std::sync::Arc;

use async_trait::async_trait;
use sockeye_api::{LiveGroup, LiveGroups};
use sockeye_log::{GroupError, GroupId, GroupMark, GroupPositions, Position};

/// Groups without members.
pub(crate) struct Unattended(pub(crate) Arc<dyn GroupPositions>);

// ----------------------------------------------------------------------------------------------

#[async_trait]
impl LiveGroups for Unattended {
    fn all(&self) -> Vec<GroupId> {
        Vec::new()
    }

    fn live(&self, _: &GroupId) -> Option<LiveGroup> {
        None
    }

    async fn seek(&self, group: &GroupId, position: &Position) -> Result<(), GroupError> {
        let trimmed = self.0.group(group).await?.map_or(0, |found| found.mark.trimmed);
        let mark = GroupMark {
            trimmed,
            ..GroupMark::at(position.clone())
        };
        self.0.set_group(group, &mark).await
    }

    async fn delete(&self, group: &GroupId) -> Result<bool, GroupError> {
        self.0.delete_group(group).await
    }
}
