//! What a deleted application has left outside the registry: its log, and what the log's own tools know of its groups. It is put down
//! in the change that removes the application, and removed from the log later, by whoever takes it: a server that stops forgets nothing.

use async_trait::async_trait;
use jiff::Timestamp;
use sockeye_log::GroupId;

use crate::Unavailable;

/// What one application has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remains {
    /// Its name.
    pub application: String,
    /// When it was removed.
    pub since: Timestamp,
    /// The groups that it had.
    pub groups: Vec<GroupId>,
}

/// Which remains are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WantedRemains {
    /// Those of this application, which somebody wants to make anew.
    Of(String),
    /// Some of those that are there since then, or longer.
    Since(Timestamp),
}

/// Keeps what deleted applications have left.
#[async_trait]
pub trait RemainsKept: Send + Sync + 'static {
    /// Takes remains, to remove them: nobody else, on no node, is given the same for [`sockeye_limits::REMAINS_TAKEN`]. `None` if
    /// those of the application that is wanted were given to somebody else.
    async fn take_remains(&self, wanted: WantedRemains) -> Result<Option<Vec<Remains>>, Unavailable>;

    /// Forgets the remains of an application: they are removed.
    async fn forget_remains(&self, application: &str) -> Result<(), Unavailable>;
}
