//! Keys, users and applications as they are remembered for those who log in again and again: a socket that comes back costs no read
//! of the registry. Current with every change, as `directory.rs` is for devices: every look-up first takes in what changed since the
//! last one, what is loaded is remembered only if nothing changed meanwhile, and what is not there is not remembered.
//!
//! What is remembered counts while the registry answers. If nobody has asked it for [`limits::LOGIN_ANSWERED`], the next login does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use moka::sync::Cache;
use sockeye_limits as limits;
use sockeye_registry::{AccessKey, Application, Change, ReadError, Registry, User, UserIdentity};
use tokio::time::Instant;

use crate::feed::Feed;

pub(crate) struct Known {
    registry: Arc<dyn Registry>,
    current: Mutex<Current>,
    /// By prefix.
    keys: Cache<String, Arc<AccessKey>>,
    users: Cache<String, Arc<User>>,
    /// Names of the users of providers, which are for ever.
    names: Cache<UserIdentity, String>,
    applications: Cache<String, Arc<Application>>,
}

/// How current all of it is.
struct Current {
    feed: Feed,
    /// When the registry was asked last what it answered.
    answered: Option<Instant>,
}

// ----------------------------------------------------------------------------------------------

impl Known {
    pub(crate) fn new(registry: Arc<dyn Registry>) -> Self {
        Self {
            current: Mutex::new(Current {
                feed: Feed::new(&*registry),
                answered: None,
            }),
            registry,
            keys: Cache::new(limits::LOGINS_KNOWN),
            users: Cache::new(limits::LOGINS_KNOWN),
            names: Cache::new(limits::LOGINS_KNOWN),
            applications: Cache::builder()
                .max_capacity(limits::LOGIN_CACHE_BYTES)
                .weigher(|_, application: &Arc<Application>| weight(application))
                .build(),
        }
    }

    /// The key of this prefix.
    pub(crate) async fn key(&self, prefix: &str) -> Result<Option<Arc<AccessKey>>, ReadError> {
        let load = async { self.registry.key(prefix).await };
        self.find(&self.keys, prefix, load).await
    }

    /// The user of this name.
    pub(crate) async fn user(&self, name: &str) -> Result<Option<Arc<User>>, ReadError> {
        let load = async { self.registry.user(name).await };
        self.find(&self.users, name, load).await
    }

    /// The application of this name.
    pub(crate) async fn application(&self, name: &str) -> Result<Option<Arc<Application>>, ReadError> {
        let load = async { self.registry.application(name).await };
        self.find(&self.applications, name, load).await
    }

    /// The user whom a provider calls so.
    pub(crate) async fn user_of(&self, identity: &UserIdentity) -> Result<Option<Arc<User>>, ReadError> {
        if let Some(name) = self.names.get(identity) {
            return self.user(&name).await;
        }
        let Some(user) = self.registry.user_of(identity).await? else {
            return Ok(None);
        };
        self.names.insert(identity.clone(), user.name.clone());
        Ok(Some(Arc::new(user)))
    }

    async fn find<T: Send + Sync + 'static>(
        &self,
        cache: &Cache<String, Arc<T>>,
        name: &str,
        load: impl Future<Output = Result<Option<T>, ReadError>>,
    ) -> Result<Option<Arc<T>>, ReadError> {
        let asked = Instant::now();
        let (era, counts) = {
            let current = self.catch_up();
            let since = current.answered.map(|answered| asked - answered);
            (
                current.feed.era(),
                since.is_some_and(|since| since < limits::LOGIN_ANSWERED),
            )
        };
        if counts && let Some(known) = cache.get(name) {
            return Ok(Some(known));
        }
        let loaded = load.await?.map(Arc::new);
        let mut current = self.catch_up();
        current.answered = current.answered.max(Some(asked));
        if let Some(loaded) = &loaded
            && current.feed.era() == era
        {
            cache.insert(name.to_owned(), Arc::clone(loaded));
        }
        Ok(loaded)
    }

    /// Forgets what changed. While the lock is held, nothing else is taken in.
    fn catch_up(&self) -> MutexGuard<'_, Current> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.feed.catch_up(|change| {
            match change {
                Change::Application(name) => self.applications.invalidate(&name),
                Change::Key(prefix) => self.keys.invalidate(&prefix),
                Change::User(name) => self.users.invalidate(&name),
                Change::All => self.forget_all(),
                Change::Device { .. } | Change::Command { .. } | Change::Stream { .. } => return false,
            }
            true
        });
        current
    }

    fn forget_all(&self) {
        self.keys.invalidate_all();
        self.users.invalidate_all();
        self.applications.invalidate_all();
    }
}

/// About how many bytes an application holds: those of its document, and of its members.
fn weight(application: &Application) -> u32 {
    /// Of a node of a map, and of what points to it.
    const ENTRY: usize = 64;
    let document = serde_json::to_vec(application).map_or(limits::REGISTRY_DOCUMENT, |text| text.len());
    let members: usize = application.members.keys().map(|name| name.len() + ENTRY).sum();
    u32::try_from(document + members + ENTRY).unwrap_or(u32::MAX)
}
