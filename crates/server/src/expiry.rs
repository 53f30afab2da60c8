//! Groups without members are forgotten after a time (DESIGN.md, contract point 3): else whoever gives each of its starts a
//! `group_id` of its own leaves a group behind every time.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use sockeye_api::LiveGroups;
use sockeye_limits as limits;
use sockeye_log::{GroupError, GroupId, GroupPositions};
use tokio_util::sync::CancellationToken;

/// Looks for groups that expire, again and again.
pub(crate) struct Expiry {
    positions: Arc<dyn GroupPositions>,
    groups: Arc<dyn LiveGroups>,
    /// How long a group may be without members.
    after: Duration,
    expired: Counter,
}

// ----------------------------------------------------------------------------------------------

impl Expiry {
    pub(crate) fn new(
        positions: Arc<dyn GroupPositions>,
        groups: Arc<dyn LiveGroups>,
        after: Duration,
        numbers: &mut Registry,
    ) -> Self {
        let expired = Counter::default();
        let help = "Groups that were forgotten because they had no members for too long";
        numbers.register("groups_expired", help, expired.clone());
        Self {
            positions,
            groups,
            after,
            expired,
        }
    }

    /// Runs until the server stops. The first look is not at once: after a long stop, members have the time to come back.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let pause = limits::GROUP_EXPIRY_CHECK.min(self.after / 2);
        while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
            match self.look().await {
                Ok(expired) => {
                    for GroupId {
                        application,
                        group,
                        selection,
                    } in expired
                    {
                        self.expired.inc();
                        tracing::info!(application, group, selection, "a group without members has expired");
                    }
                }
                // Nothing expires meanwhile.
                Err(error) => tracing::warn!(%error, "groups could not be looked through for those that expire"),
            }
        }
    }

    /// Notes that those with members are used, and forgets those that were not for too long.
    async fn look(&self) -> Result<Vec<GroupId>, GroupError> {
        let after = SignedDuration::try_from(self.after).unwrap_or(SignedDuration::MAX);
        let before = Timestamp::now().checked_sub(after).unwrap_or(Timestamp::UNIX_EPOCH);
        for group in self.groups.all() {
            self.positions.use_group(&group).await?;
        }
        self.positions.expire_groups(before).await
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use sockeye_api::LiveGroup;
    use sockeye_engine_sqlite::{Options, SqliteEngine};
    use sockeye_log::{Incarnation, Position};
    use sockeye_registry::{Application, Registry as _};

    use super::*;

    /// These groups have members.
    struct Attended(Vec<GroupId>);

    #[async_trait]
    impl LiveGroups for Attended {
        fn all(&self) -> Vec<GroupId> {
            self.0.clone()
        }

        fn live(&self, _: &GroupId) -> Option<LiveGroup> {
            None
        }

        async fn seek(&self, _: &GroupId, _: &Position) -> Result<(), GroupError> {
            Err(GroupError::NoGroup)
        }

        async fn delete(&self, _: &GroupId) -> Result<bool, GroupError> {
            Ok(false)
        }
    }

    #[tokio::test]
    async fn a_group_with_members_never_expires() {
        let folder = tempfile::tempdir().unwrap();
        let engine = SqliteEngine::open(folder.path().join("sockeye.db"), Options::default()).unwrap();
        engine
            .create_application(Application::named("app", "me"))
            .await
            .unwrap();
        let [with, without] = ["with", "without"].map(|group| GroupId {
            application: "app".into(),
            group: group.into(),
            selection: String::new(),
        });
        let start = Position::new(Incarnation(1), [(0, 0)]);
        for group in [&with, &without] {
            engine.create_group(group, &start).await.unwrap();
        }
        let look = |after, members: &[GroupId]| {
            let expiry = Expiry::new(
                Arc::new(engine.clone()),
                Arc::new(Attended(members.to_vec())),
                after,
                &mut Registry::default(),
            );
            async move { expiry.look().await.unwrap() }
        };
        let members = std::slice::from_ref(&with);
        assert_eq!(look(Duration::from_hours(1), &[]).await, []);
        assert_eq!(look(Duration::MAX, &[]).await, []);
        assert_eq!(look(Duration::ZERO, members).await, [without]);
        assert_eq!(look(Duration::ZERO, members).await, []);
        assert!(engine.group(&with).await.unwrap().is_some());
        assert_eq!(look(Duration::ZERO, &[]).await, [with]);
        engine.close().await;
    }
}
