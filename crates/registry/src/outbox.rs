//! What an application's stream is told of its devices (compat/drogue.md 2.4, decision 6), and how it gets there.
//!
//! A change of a device and what is told of it are stored together, or neither is. An engine that keeps the log too appends the event
//! in the same transaction: it is there exactly once. Every other one puts it into its outbox in that transaction, from where
//! [`Outbox::tell`] takes it to the log: at least once, always with the same id.

use async_trait::async_trait;
use bytestring::ByteString;
use jiff::Timestamp;
use sockeye_event::origin::{self, Change as What};
use sockeye_event::{Event, Origin, Party};
use uuid::Uuid;

use crate::{Device, Unavailable};

/// A device was made, changed or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceChange {
    /// The id of the event that tells of it, however often it does.
    pub id: Uuid,
    /// What became of the device.
    pub what: What,
    /// When.
    pub time: Timestamp,
    /// Name of the application.
    pub application: String,
    /// Uid of the application: another one may have its name later.
    pub application_uid: Uuid,
    /// Name of the device.
    pub device: String,
    /// Uid of the device.
    pub device_uid: Uuid,
}

/// What waits to be told.
#[async_trait]
pub trait Outbox: Send + Sync + 'static {
    /// Gives what waits to `teller`, in the order in which it was stored, and forgets what was told; once around. Nobody else, on
    /// no node, is given the same meanwhile.
    async fn tell(&self, teller: Box<dyn Teller>) -> Result<(), Unavailable>;
}

/// Who takes changes of devices to the log.
#[async_trait]
pub trait Teller: Send {
    /// Which of these are told, or need not be told any more: `true` at their places.
    async fn told(&mut self, changes: &[DeviceChange]) -> Vec<bool>;
}

// ----------------------------------------------------------------------------------------------

/// Gives changes to `teller`: the numbers of those that are told.
pub async fn tell_numbered(teller: &mut dyn Teller, waiting: Vec<(i64, DeviceChange)>) -> Vec<i64> {
    let (numbers, changes): (Vec<i64>, Vec<DeviceChange>) = waiting.into_iter().unzip();
    let told = teller.told(&changes).await.into_iter();
    numbers
        .into_iter()
        .zip(told)
        .filter_map(|(number, told)| told.then_some(number))
        .collect()
}

impl DeviceChange {
    /// A change that is made now.
    pub fn new(what: What, application_uid: Uuid, device: &Device) -> Self {
        Self {
            id: Uuid::new_v4(),
            what,
            time: Timestamp::now(),
            application: device.metadata.application.clone(),
            application_uid,
            device: device.metadata.name.clone(),
            device_uid: device.metadata.uid,
        }
    }

    /// The event that tells of it. `instance` is the configured name of the installation.
    pub fn event(&self, instance: impl Into<ByteString>) -> Event {
        let party = |name: &str, uid: Uuid| Party {
            name: name.into(),
            uid: Some(uid.to_string().into()),
        };
        let device = party(&self.device, self.device_uid);
        let origin = Origin {
            application: party(&self.application, self.application_uid),
            sender: device.clone(),
            device,
            instance: instance.into(),
        };
        origin::registry_event(&origin, self.what, self.id.to_string(), self.time)
    }
}
