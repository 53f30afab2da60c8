//! What an engine offers.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use sockeye_log::GroupPositions;
use tokio::sync::broadcast;
use uuid::Uuid;

use crate::{
    AccessKey, Application, Commands, Device, Outbox, RemainsKept, Role, Selector, Streams, Tickets, User, UserIdentity,
};

/// The durable registry. Uids, versions and times are set by the engine; names are checked by the caller.
///
/// It keeps the positions of groups too: a group is there as long as its application. Who needs only them takes
/// `Arc<dyn GroupPositions>`, which an `Arc<dyn Registry>` becomes where one is wanted. And it keeps tickets ([`Tickets`]).
///
/// Whatever is stored of a device is told in its application's stream ([`Outbox`]).
#[async_trait]
pub trait Registry: Commands + GroupPositions + Outbox + RemainsKept + Streams + Tickets {
    /// Stores a new application (name, labels, annotations, finalizers, spec, status, owner and members are taken) and
    /// gives it as stored.
    async fn create_application(&self, application: Application) -> Result<Application, WriteError>;

    /// The application of this name.
    async fn application(&self, name: &str) -> Result<Option<Application>, ReadError>;

    /// Applications sorted by name, members included.
    async fn applications(&self, wanted: Wanted) -> Result<Found<Application>, ReadError>;

    /// Replaces labels, annotations, finalizers, spec and status of the application of this name. What changes nothing
    /// stores nothing. `generation` grows if `spec` changed. One that is being deleted is removed with its last finalizer.
    async fn update_application(&self, application: Application, pre: Preconditions)
    -> Result<Application, WriteError>;

    /// Replaces the members. The application's `resource_version` moves.
    async fn set_members(
        &self,
        application: &str,
        members: BTreeMap<String, Role>,
        pre: Preconditions,
    ) -> Result<Application, WriteError>;

    /// Offers the application to another user, or to nobody. The application's `resource_version` moves.
    async fn offer_application(&self, application: &str, to: Option<&str>) -> Result<Application, WriteError>;

    /// Makes the user its owner to whom the application is offered; it is not found by anybody else.
    async fn accept_application(&self, application: &str, by: &str) -> Result<Application, WriteError>;

    /// Removes an application with its devices and groups; its log is among the [`crate::Remains`] then. While finalizers hold it,
    /// or one of its devices ([`crate::HAS_DEVICES`]), it is only marked as being deleted, and goes with the last of them. It is
    /// not found by who wants to delete it again.
    async fn delete_application(&self, name: &str, pre: Preconditions) -> Result<(), WriteError>;

    /// Stores a new device of the application that its metadata names. One that is being deleted is not found.
    async fn create_device(&self, device: Device) -> Result<Device, WriteError>;

    /// The device of this name.
    async fn device(&self, application: &str, name: &str) -> Result<Option<Device>, ReadError>;

    /// The device that has this name, alias, or unique user name (compat/drogue.md 5.1).
    async fn device_by_login(&self, application: &str, login: &str) -> Result<Option<Device>, ReadError>;

    /// Devices sorted by name.
    async fn devices(&self, application: &str, wanted: Wanted) -> Result<Found<Device>, ReadError>;

    /// As [`Registry::update_application`].
    async fn update_device(&self, device: Device, pre: Preconditions) -> Result<Device, WriteError>;

    /// Removes a device; as [`Registry::delete_application`].
    async fn delete_device(&self, application: &str, name: &str, pre: Preconditions) -> Result<(), WriteError>;

    /// The user of this name, made if there is none. An existing one keeps its rights.
    async fn ensure_user(&self, name: &str, admin: bool) -> Result<User, WriteError>;

    /// The user of this name.
    async fn user(&self, name: &str) -> Result<Option<User>, ReadError>;

    /// The user whom a provider calls so.
    async fn user_of(&self, identity: &UserIdentity) -> Result<Option<User>, ReadError>;

    /// The user whom a provider calls so, made with this name if there is none. One that is there keeps its name and rights.
    /// [`WriteError::Taken`] if the name is another's.
    async fn learn_user(&self, identity: &UserIdentity, name: &str) -> Result<User, WriteError>;

    /// Users sorted by name.
    async fn users(&self, page: Page) -> Result<Vec<User>, ReadError>;

    /// Lets a user count, or not, and gives the user as stored.
    async fn set_user_disabled(&self, name: &str, disabled: bool) -> Result<User, WriteError>;

    /// Stores a new key; its user must be there.
    async fn create_key(&self, key: AccessKey) -> Result<(), KeyError>;

    /// The key of this prefix.
    async fn key(&self, prefix: &str) -> Result<Option<AccessKey>, ReadError>;

    /// The keys of a user, oldest first.
    async fn keys(&self, user: &str) -> Result<Vec<AccessKey>, ReadError>;

    /// Lets a key count, or not; whether it is there.
    async fn set_key_disabled(&self, prefix: &str, disabled: bool) -> Result<bool, WriteError>;

    /// Notes that a key was used; one that is not there any more is passed over. This is no change that is told.
    async fn note_key_used(&self, prefix: &str, at: Timestamp) -> Result<(), WriteError>;

    /// Removes a key; whether it was there.
    async fn delete_key(&self, prefix: &str) -> Result<bool, WriteError>;

    /// Changes from now on, after they are durable. Who lags behind must drop what it remembers.
    fn changes(&self) -> broadcast::Receiver<Change>;
}

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Entries to skip.
    pub offset: usize,
    /// Entries at most; at most [`sockeye_limits::REGISTRY_PAGE`].
    pub limit: usize,
}

/// A part of a list of documents, in the order of their names.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Those whose names are behind this one.
    pub after: String,
    /// Those with such labels.
    pub labels: Arc<Selector>,
    /// So many at most; at most [`sockeye_limits::REGISTRY_PAGE`].
    pub limit: usize,
}

/// What is there of a part of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Found<T> {
    /// Perhaps fewer than were wanted, or none, although there are more.
    pub entries: Vec<T>,
    /// The name behind which to go on; `None` at the end of the list.
    pub next: Option<String>,
}

/// What must hold for a change to be stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// The uid that the resource must have.
    pub uid: Option<Uuid>,
    /// The version that the resource must have.
    pub resource_version: Option<Uuid>,
}

/// Something changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An application was made, changed (members included) or removed.
    Application(String),
    /// A device was made, changed or removed.
    Device {
        /// Its application.
        application: String,
        /// Its name.
        device: String,
    },
    /// A command waits.
    Command {
        /// The application.
        application: String,
        /// Devices that may fetch it.
        targets: Vec<String>,
    },
    /// A key was made, changed or removed.
    Key(String),
    /// A user was disabled or enabled again.
    User(String),
    /// A stream of Octave was removed.
    Stream {
        /// Its application.
        application: String,
        /// Its id.
        id: String,
    },
    /// Nobody knows what: whatever is remembered may be out of date.
    All,
}

/// The engine cannot be reached or cannot store; it may be able to later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the registry is not available: {0}")]
pub struct Unavailable(pub String);

/// Why nothing could be read.
pub type ReadError = Unavailable;

/// Why a change was not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The resource, or the application of a device, is not there.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The name, or one of the aliases, is taken.
    #[error("`{0}` is taken")]
    Taken(String),
    /// A precondition does not hold: the resource was changed or replaced meanwhile.
    #[error("the {0} was changed meanwhile")]
    Precondition(&'static str),
    /// Try again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why a key was not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The user is not there.
    #[error("there is no user `{0}`")]
    NoUser(String),
    /// The prefix is taken: make another key.
    #[error("the prefix `{0}` is taken")]
    Taken(String),
    /// Try again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

// ----------------------------------------------------------------------------------------------

impl Page {
    /// Limit and offset, as SQL takes them.
    pub fn in_sql(self) -> [i64; 2] {
        let limit = self.limit.min(sockeye_limits::REGISTRY_PAGE);
        [limit as i64, i64::try_from(self.offset).unwrap_or(i64::MAX)]
    }
}

impl<T> Default for Found<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            next: None,
        }
    }
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            after: String::new(),
            labels: Arc::default(),
            limit: sockeye_limits::REGISTRY_PAGE,
        }
    }
}

impl Default for Page {
    fn default() -> Self {
        Self {
            offset: 0,
            limit: sockeye_limits::REGISTRY_PAGE,
        }
    }
}
