//! Whether a device is the one that it says, and whom it may publish as.

use std::sync::Arc;

use bytestring::ByteString;
use sockeye_policy::Policy;
use sockeye_registry::{Registry, Unavailable};

use crate::DeviceLogin;
use crate::directory::{DeviceEntry, Directory, PasswordEntry};
use crate::password::{Busy, Passwords};

/// Tells who a device is. A device that publishes often costs no read of the registry and no slow hash.
pub struct Devices {
    directory: Directory,
    passwords: Passwords,
}

/// Name and uid, ready to be put into events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name.
    pub name: ByteString,
    /// The uid, as text.
    pub uid: ByteString,
}

/// Who publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publisher {
    /// The application whose log gets the events.
    pub application: Identity,
    /// The device in which the events originate.
    pub device: Identity,
    /// The device that delivers them: the same, or a gateway.
    pub sender: Identity,
    /// What the application wants of its events, if there is something.
    pub policy: Option<Arc<Policy>>,
}

/// Why a device may not publish.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// Unknown, wrong password, disabled, or not a gateway of the other: which of them is not told.
    #[error("Authentication failed")]
    Denied,
    /// Too many slow hashes wait ([`sockeye_limits::HASH_QUEUE`]); try again shortly.
    #[error("too many passwords wait to be verified, try again shortly")]
    Busy,
    /// Try again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

// ----------------------------------------------------------------------------------------------

impl Devices {
    /// Devices by what is in the registry.
    pub fn new(registry: Arc<dyn Registry>) -> Self {
        Self {
            directory: Directory::new(registry),
            passwords: Passwords::new(),
        }
    }

    /// Checks the login, and that the device may publish as `publish_as` (name or alias) if that is another device
    /// (compat/drogue.md 5.1). Better than the original: a disabled device (`spec.core.disabled`) is denied too.
    pub async fn authenticate(
        &self,
        login: &DeviceLogin<'_>,
        publish_as: Option<&str>,
    ) -> Result<Publisher, DeviceError> {
        let application = self
            .directory
            .application(&login.application)
            .await?
            .ok_or(DeviceError::Denied)?;
        if !application.usable {
            return Err(DeviceError::Denied);
        }
        let find = async |name: &str| match self.directory.device(&application, name).await? {
            Some(device) if device.usable => Ok(device),
            _ => Err(DeviceError::Denied),
        };
        let sender = find(&login.device).await?;
        self.verify(login, &sender).await?;
        let device = match publish_as {
            Some(other) if *other != *login.device => find(other).await?,
            _ => sender.clone(),
        };
        let itself = device.identity.uid == sender.identity.uid;
        if !itself && !device.gateways.iter().any(|gateway| **gateway == *sender.identity.name) {
            return Err(DeviceError::Denied);
        }
        Ok(Publisher {
            application: application.identity.clone(),
            device: device.identity.clone(),
            sender: sender.identity.clone(),
            policy: application.policy.clone(),
        })
    }

    async fn verify(&self, login: &DeviceLogin<'_>, device: &DeviceEntry) -> Result<(), DeviceError> {
        for entry in &device.credentials {
            if counts(entry, login, device)
                && self
                    .passwords
                    .verify(&device.gate, &entry.password, &login.password)
                    .await?
            {
                return Ok(());
            }
        }
        Err(DeviceError::Denied)
    }
}

/// Whether the password of this entry is meant. As in the original, a device's own password counts for its name as a user
/// name too, and the entry of a user who is called like the device counts for the device.
fn counts(entry: &PasswordEntry, login: &DeviceLogin<'_>, device: &DeviceEntry) -> bool {
    let name = &*device.identity.name;
    match (&entry.user, &login.user) {
        (None, None) => true,
        (None, Some(given)) => given == name,
        (Some(stored), Some(given)) => stored.name == *given,
        (Some(stored), None) if stored.unique => *stored.name == *login.device,
        (Some(stored), None) => stored.name == name,
    }
}

impl From<Busy> for DeviceError {
    fn from(Busy: Busy) -> Self {
        Self::Busy
    }
}
