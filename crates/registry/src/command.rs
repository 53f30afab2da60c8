//! Commands to devices (compat/drogue.md 6.1): kept until a device fetches them or they expire, and a while longer, so that it can be
//! asked what has become of them.

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

use crate::{Change, Unavailable};

/// Commands, as an engine keeps them. They go with their application and their device.
#[async_trait]
pub trait Commands: Send + Sync + 'static {
    /// Keeps a command, and tells listeners of it ([`Change::Command`]). On the way some are forgotten that had expired at
    /// `forget` or before.
    async fn keep_command(&self, command: Command, forget: Timestamp) -> Result<(), CommandError>;

    /// Takes the oldest command for this way that waits at `now`, by one atomic statement: of all who ask, on all nodes, one gets it.
    async fn take_command(
        &self,
        application: &str,
        way: &CommandWay,
        now: Timestamp,
    ) -> Result<Option<Command>, Unavailable>;

    /// A command of the application, and when it was taken by whom.
    async fn command(&self, application: &str, id: Uuid) -> Result<Option<(Command, Option<Taken>)>, Unavailable>;
}

/// A command to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its id.
    pub id: Uuid,
    /// The application.
    pub application: String,
    /// For which device it is.
    pub device: String,
    /// Devices that may fetch it for that one.
    pub gateways: Vec<String>,
    /// What is to be done.
    pub name: String,
    /// The type of the payload as it was declared.
    pub content_type: Option<String>,
    /// What belongs to it.
    pub payload: Bytes,
    /// When it came.
    pub made: Timestamp,
    /// From when on nobody gets it any more.
    pub expires: Timestamp,
}

impl Command {
    /// The devices that may fetch it.
    pub fn targets(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.device).chain(&self.gateways)
    }

    /// What listeners are told when it is kept.
    pub fn told(&self) -> Change {
        Change::Command {
            application: self.application.clone(),
            targets: self.targets().cloned().collect(),
        }
    }
}

/// Who asks for commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandWay {
    /// The device that asks.
    pub sender: String,
    /// Only those for this device; `None`: for the sender and all devices behind it.
    pub device: Option<String>,
}

/// A command has gone to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// When.
    pub at: Timestamp,
    /// To which device: the command's own, or a gateway.
    pub by: String,
}

/// Why a command is not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There is no such device.
    #[error("there is no device `{0}`")]
    NoDevice(String),
    /// [`sockeye_limits::COMMANDS_OF_DEVICE`] wait for it.
    #[error(
        "{} commands wait for this device already: try again when it has fetched some",
        sockeye_limits::COMMANDS_OF_DEVICE
    )]
    TooMany,
    /// Try again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}
