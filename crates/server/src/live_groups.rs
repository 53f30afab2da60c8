//! Groups as the API sees them: what delivery knows of them.

use std::sync::Arc;

use async_trait::async_trait;
use sockeye_api::{LiveGroup, LiveGroups, LiveMember};
use sockeye_delivery::Delivery;
use sockeye_log::{GroupError, GroupId, Position};

/// The groups of this server.
pub(crate) struct Served(pub(crate) Arc<Delivery>);

// ----------------------------------------------------------------------------------------------

#[async_trait]
impl LiveGroups for Served {
    fn all(&self) -> Vec<GroupId> {
        self.0.groups().into_iter().map(|view| view.id).collect()
    }

    fn live(&self, group: &GroupId) -> Option<LiveGroup> {
        let view = self.0.group(group).filter(|view| !view.members.is_empty())?;
        let members = view.members.into_iter().map(|member| LiveMember {
            view: member.view,
            name: member.name,
            since: member.since,
        });
        Some(LiveGroup {
            members: members.collect(),
            position: view.position,
            open: view.open,
            waiting: view.waiting,
            oldest: view.oldest,
            trimmed: view.trimmed,
            counts: view.counts,
        })
    }

    async fn seek(&self, group: &GroupId, position: &Position) -> Result<(), GroupError> {
        self.0.seek_group(group, position).await
    }

    async fn delete(&self, group: &GroupId) -> Result<bool, GroupError> {
        self.0.forget_group(group).await
    }
}
