//! Removes what deleted applications have left in the log, once it was kept for as long as is configured.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sockeye_limits as limits;
use sockeye_log::{Log, Topic, TopicError};
use sockeye_registry::{Registry, Remains, Unavailable, WantedRemains};
use tokio::time::timeout;

use crate::error::ApiError;

/// Removes the logs of applications that were deleted.
pub struct Removal {
    registry: Arc<dyn Registry>,
    log: Arc<dyn Log>,
    /// How long they are kept.
    kept: Duration,
}

// ----------------------------------------------------------------------------------------------

impl Removal {
    /// From this log, after they were `kept` for so long.
    pub fn new(registry: Arc<dyn Registry>, log: Arc<dyn Log>, kept: Duration) -> Self {
        Self { registry, log, kept }
    }

    /// Removes what was kept for long enough, without end.
    pub async fn run(&self) {
        let (least, most) = limits::REMAINS_LOOK;
        loop {
            self.look().await;
            tokio::time::sleep(self.kept.clamp(least, most)).await;
        }
    }

    /// Removes what was kept for long enough now. What cannot be removed is tried again later.
    pub async fn look(&self) {
        let since = Timestamp::now() - self.kept;
        loop {
            match self.registry.take_remains(WantedRemains::Since(since)).await {
                Ok(Some(found)) if !found.is_empty() => {
                    for remains in found {
                        self.remove_or_warn(remains).await;
                    }
                }
                Ok(_) => return,
                Err(error) => {
                    tracing::debug!(%error, "what deleted applications have left cannot be looked for");
                    return;
                }
            }
        }
    }

    /// An application was deleted.
    pub(crate) async fn deleted(&self, application: &str) {
        if self.kept > Duration::ZERO {
            return;
        }
        let wanted = WantedRemains::Of(application.to_owned());
        if let Ok(Some(found)) = self.registry.take_remains(wanted).await {
            for remains in found {
                self.remove_or_warn(remains).await;
            }
        }
    }

    /// Removes what an application has left that is to be made anew, so that it never sees the events of its namesake.
    pub(crate) async fn clear(&self, application: &str) -> Result<(), ApiError> {
        let wanted = WantedRemains::Of(application.to_owned());
        let Some(found) = self.registry.take_remains(wanted).await? else {
            let problem = format!("the log of the last application `{application}` is being removed, try again later");
            return Err(ApiError::Unavailable(problem));
        };
        for remains in found {
            self.remove(&remains).await?;
        }
        Ok(())
    }

    async fn remove_or_warn(&self, remains: Remains) {
        let application = &remains.application;
        // Who has them has them for a while only.
        match timeout(limits::REMAINS_TAKEN / 2, self.remove(&remains)).await {
            Ok(Ok(())) => tracing::info!(application, "the log of a deleted application is removed"),
            Ok(Err(error)) => {
                tracing::warn!(%error, application, "the log of a deleted application is removed later");
            }
            Err(_elapsed) => {
                tracing::warn!(
                    application,
                    "the log does not answer: that of a deleted application is removed later"
                );
            }
        }
    }

    async fn remove(&self, remains: &Remains) -> Result<(), TopicError> {
        for group in &remains.groups {
            if let Err(error) = self.log.forget_group(group).await {
                let group = &group.group;
                tracing::warn!(%error, group, "the log's own tools still know a group of a deleted application");
            }
        }
        for topic in Topic::all_of(remains.application.clone()) {
            self.log.delete_topic(&topic).await?;
        }
        let forgotten = self.registry.forget_remains(&remains.application).await;
        forgotten.map_err(|Unavailable(why)| sockeye_log::Unavailable(why).into())
    }
}
