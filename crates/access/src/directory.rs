//! Applications and devices as the device endpoints remember them.
//!
//! Every look-up first takes in what changed since the last one, under the lock of [`Feed`]. What is loaded is remembered
//! only if nothing changed while it was loaded, checked under the same lock: so no entry outlives the change that made it
//! wrong, and a change that was answered is seen by the next look-up. Names that are not there are not remembered: whoever
//! tries names cannot push out what is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytestring::ByteString;
use moka::sync::Cache;
use sockeye_limits as limits;
use sockeye_policy::Policy;
use sockeye_registry::{Application, Change, Credential, Device, DeviceSpec, Password, ReadError, Registry};
use uuid::Uuid;

use crate::Identity;
use crate::feed::Feed;
use crate::password::{Gate, check_password};

pub(crate) struct Directory {
    registry: Arc<dyn Registry>,
    feed: Mutex<Feed>,
    applications: Cache<String, Arc<ApplicationEntry>>,
    /// By application and name.
    devices: Cache<(String, String), Arc<DeviceEntry>>,
    /// Names of devices, by application and login. Needs no invalidation: the device itself tells its logins.
    names: Cache<(String, String), String>,
}

/// What counts of an application.
pub(crate) struct ApplicationEntry {
    pub(crate) identity: Identity,
    /// Whether its devices may publish.
    pub(crate) usable: bool,
    /// What it wants of its events, if there is something.
    pub(crate) policy: Option<Arc<Policy>>,
    uid: Uuid,
}

/// What counts of a device.
pub(crate) struct DeviceEntry {
    pub(crate) identity: Identity,
    /// Whether it may publish.
    pub(crate) usable: bool,
    /// Those that can be verified.
    pub(crate) credentials: Vec<PasswordEntry>,
    /// Names of the devices that may publish as this one.
    pub(crate) gateways: Vec<String>,
    /// Bounds the hashing for this device.
    pub(crate) gate: Gate,
    /// Aliases and unique user names.
    logins: Vec<String>,
    /// The application of which this was a device: another one may have its name now.
    application: Uuid,
}

/// A password, and with which name it counts.
pub(crate) struct PasswordEntry {
    /// `None`: a password of the device itself.
    pub(crate) user: Option<UserName>,
    pub(crate) password: Password,
}

pub(crate) struct UserName {
    pub(crate) name: String,
    /// Whether it names the device.
    pub(crate) unique: bool,
}

// ----------------------------------------------------------------------------------------------

impl Directory {
    pub(crate) fn new(registry: Arc<dyn Registry>) -> Self {
        Self {
            feed: Mutex::new(Feed::new(&*registry)),
            registry,
            applications: Cache::builder()
                .max_capacity(limits::LOGIN_CACHE_BYTES)
                .weigher(|_, application: &Arc<ApplicationEntry>| application.weight())
                .build(),
            devices: Cache::builder()
                .max_capacity(limits::LOGIN_CACHE_BYTES)
                .weigher(|_, device: &Arc<DeviceEntry>| device.weight())
                .build(),
            names: Cache::new(limits::LOGIN_CACHE_ENTRIES),
        }
    }

    /// The application of this name.
    pub(crate) async fn application(&self, name: &str) -> Result<Option<Arc<ApplicationEntry>>, ReadError> {
        let era = self.catch_up().era();
        if let Some(known) = self.applications.get(name) {
            return Ok(Some(known));
        }
        let Some(loaded) = self.registry.application(name).await? else {
            return Ok(None);
        };
        let entry = Arc::new(ApplicationEntry::of(&loaded));
        let feed = self.catch_up();
        if feed.era() == era {
            self.applications.insert(name.to_owned(), entry.clone());
        }
        Ok(Some(entry))
    }

    /// The device of this name, alias or unique user name.
    pub(crate) async fn device(
        &self,
        application: &ApplicationEntry,
        login: &str,
    ) -> Result<Option<Arc<DeviceEntry>>, ReadError> {
        let era = self.catch_up().era();
        if let Some(known) = self.known(application, login) {
            return Ok(Some(known));
        }
        let Some(loaded) = self.registry.device_by_login(&application.identity.name, login).await? else {
            return Ok(None);
        };
        let entry = Arc::new(DeviceEntry::of(&loaded, application));
        let feed = self.catch_up();
        if feed.era() == era {
            let key = |name: &str| (application.identity.name.to_string(), name.to_owned());
            let name = &*entry.identity.name;
            if name != login {
                self.names.insert(key(login), name.to_owned());
            }
            self.devices.insert(key(name), entry.clone());
        }
        Ok(Some(entry))
    }

    fn known(&self, application: &ApplicationEntry, login: &str) -> Option<Arc<DeviceEntry>> {
        let current = |device: &Arc<DeviceEntry>| device.application == application.uid;
        let mut key = (application.identity.name.to_string(), login.to_owned());
        if let Some(device) = self.devices.get(&key).filter(current) {
            return Some(device);
        }
        key.1 = self.names.get(&key)?;
        self.devices
            .get(&key)
            .filter(current)
            .filter(|device| device.logins.iter().any(|known| known == login))
    }

    /// Forgets what changed. While the lock is held, nothing else is taken in.
    fn catch_up(&self) -> MutexGuard<'_, Feed> {
        let mut feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        feed.catch_up(|change| {
            match change {
                Change::Application(name) => self.applications.invalidate(&name),
                Change::Device { application, device } => self.devices.invalidate(&(application, device)),
                Change::All => self.forget_all(),
                Change::Command { .. } | Change::Key(_) | Change::User(_) | Change::Stream { .. } => return false,
            }
            true
        });
        feed
    }

    fn forget_all(&self) {
        self.applications.invalidate_all();
        self.devices.invalidate_all();
    }
}

impl ApplicationEntry {
    fn of(application: &Application) -> Self {
        let metadata = &application.metadata;
        let policy = Policy::of(&application.spec);
        if let Err(error) = &policy {
            tracing::warn!(application = metadata.name, %error, "devices of an application cannot publish");
        }
        Self {
            identity: Identity::new(&metadata.name, metadata.uid),
            usable: policy.is_ok() && metadata.deletion_timestamp.is_none() && !application.is_disabled(),
            policy: policy.ok().filter(|policy| !policy.is_empty()).map(Arc::new),
            uid: metadata.uid,
        }
    }

    /// About what the entry takes, in bytes.
    fn weight(&self) -> u32 {
        const FIXED: usize = 512;
        (FIXED + self.policy.as_ref().map_or(0, |policy| policy.weight())) as u32
    }
}

impl DeviceEntry {
    fn of(device: &Device, application: &ApplicationEntry) -> Self {
        let metadata = &device.metadata;
        let warn = |problem: &dyn std::fmt::Display| {
            tracing::warn!(application = metadata.application, device = metadata.name, %problem, "credentials of a device do not count");
        };
        let (spec, readable) = match DeviceSpec::of(device) {
            Ok(spec) => (spec, true),
            Err(error) => {
                warn(&error);
                (DeviceSpec::default(), false)
            }
        };
        let logins = spec.logins().map(str::to_owned).collect();
        let mut hashes = 0;
        let mut credentials = Vec::new();
        for entry in spec.credentials.into_iter().filter_map(PasswordEntry::of) {
            if let Err(error) = check_password(&entry.password) {
                warn(&format_args!("a password in `spec.authentication.credentials` {error}"));
                continue;
            }
            if !matches!(entry.password, Password::Plain(_)) {
                hashes += 1;
                if hashes > limits::HASHES_PER_DEVICE {
                    continue;
                }
            }
            credentials.push(entry);
        }
        if hashes > limits::HASHES_PER_DEVICE {
            let most = limits::HASHES_PER_DEVICE;
            warn(&format_args!(
                "of the hashed passwords in `spec.authentication.credentials` only {most} count"
            ));
        }
        Self {
            identity: Identity::new(&metadata.name, metadata.uid),
            usable: readable && metadata.deletion_timestamp.is_none() && !device.is_disabled(),
            credentials,
            gateways: spec.gateways,
            gate: Gate::new(),
            logins,
            application: application.uid,
        }
    }

    /// About what the entry takes, in bytes.
    fn weight(&self) -> u32 {
        const FIXED: usize = 512;
        const EACH: usize = 48;
        let credentials = self.credentials.iter().map(|entry| {
            let (Password::Plain(text) | Password::Bcrypt(text) | Password::Sha512(text)) = &entry.password;
            EACH + text.len() + entry.user.as_ref().map_or(0, |user| user.name.len())
        });
        let texts = self.gateways.iter().chain(&self.logins).map(|text| EACH + text.len());
        (FIXED + credentials.chain(texts).sum::<usize>()) as u32
    }
}

impl PasswordEntry {
    fn of(credential: Credential) -> Option<Self> {
        match credential {
            Credential::Pass(password) => Some(Self { user: None, password }),
            Credential::User {
                username: name,
                password,
                unique,
            } => Some(Self {
                user: Some(UserName { name, unique }),
                password,
            }),
            Credential::Psk(_) | Credential::Cert(_) => None,
        }
    }
}

impl Identity {
    fn new(name: &str, uid: Uuid) -> Self {
        Self {
            name: ByteString::from(name),
            uid: ByteString::from(uid.to_string()),
        }
    }
}
