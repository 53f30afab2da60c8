//! Rights of open streams, and what ends them before their time: every change of the registry is looked at, and whoever lost the
//! right by it is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use sockeye_limits as limits;
use sockeye_registry::{Application, Change, ReadError, Registry};
use tokio::sync::broadcast::{self, error::RecvError};
use uuid::Uuid;

use crate::{Caller, Permission};

/// All rights that are held.
pub(crate) struct Rights {
    registry: Arc<dyn Registry>,
    /// From the start of the server on; taken by whoever watches.
    changes: Mutex<Option<broadcast::Receiver<Change>>>,
    held: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u64,
    rights: BTreeMap<u64, Arc<Held>>,
}

/// A right to read an application, as long as it is not dropped.
pub struct Right {
    held: Arc<Held>,
    number: u64,
    table: Weak<Rights>,
}

struct Held {
    caller: Mutex<Arc<Caller>>,
    application: String,
    uid: Uuid,
    state: Mutex<State>,
}

enum State {
    /// Nobody wants to know yet.
    Held,
    /// This is told when it ends.
    Watched(Box<dyn Fn(Ended) + Send + Sync>),
    Ended(Ended),
}

/// Why a right has ended. The texts are for the client, and short enough for the reason of a close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The access key was deleted.
    #[error("the access key was revoked")]
    KeyRevoked,
    /// The access key does not count for now.
    #[error("the access key was disabled")]
    KeyDisabled,
    /// The user does not count for now.
    #[error("the user was disabled")]
    UserDisabled,
    /// The caller is no member any more, or has lost the role.
    #[error("you may not read the application any more")]
    NotAllowed,
    /// A caller without credentials, or who is no member.
    #[error("the application is not public any more")]
    NotPublic,
    /// The application is gone, or going, perhaps replaced by a namesake.
    #[error("the application was deleted")]
    Deleted,
}

// ----------------------------------------------------------------------------------------------

impl Rights {
    pub(crate) fn new(registry: Arc<dyn Registry>) -> Arc<Self> {
        Arc::new(Self {
            changes: Mutex::new(Some(registry.changes())),
            registry,
            held: Mutex::default(),
        })
    }

    /// Holds a right that the caller has. What changes from now on is told.
    pub(crate) fn hold(self: &Arc<Self>, caller: Caller, application: &Application) -> Right {
        let held = Arc::new(Held {
            caller: Mutex::new(Arc::new(caller)),
            application: application.metadata.name.clone(),
            uid: application.metadata.uid,
            state: Mutex::new(State::Held),
        });
        let mut table = lock(&self.held);
        let number = table.next;
        table.next += 1;
        table.rights.insert(number, Arc::clone(&held));
        Right {
            held,
            number,
            table: Arc::downgrade(self),
        }
    }

    /// Ends rights, until the registry has stopped. A second watcher has nothing to do.
    pub(crate) async fn watch(&self) {
        let Some(mut changes) = lock(&self.changes).take() else {
            return;
        };
        let mut unsure = false;
        loop {
            let change = tokio::select! {
                change = changes.recv() => change,
                () = tokio::time::sleep(limits::RIGHTS_RETRY), if unsure => Err(RecvError::Lagged(0)),
            };
            let checked = match change {
                Ok(Change::All) | Err(RecvError::Lagged(_)) => self.check_all().await.inspect(|()| unsure = false),
                Ok(change) => self.check(&change).await,
                Err(RecvError::Closed) => return,
            };
            if let Err(error) = checked {
                tracing::warn!(%error, "whether rights have ended cannot be looked up now: all will be looked at again");
                unsure = true;
            }
        }
    }

    /// Looks at everything that rights depend on.
    async fn check_all(&self) -> Result<(), ReadError> {
        let mut changes = Vec::new();
        for held in self.concerned(|_, _| true) {
            let mut add = |change: Change| {
                if !changes.contains(&change) {
                    changes.push(change);
                }
            };
            add(Change::Application(held.application.clone()));
            let caller = held.caller();
            if let Some(user) = caller.user() {
                add(Change::User(user.to_owned()));
            }
            if let Some(prefix) = caller.key() {
                add(Change::Key(prefix.to_owned()));
            }
        }
        for change in changes {
            self.check(&change).await?;
        }
        Ok(())
    }

    /// Looks at the rights that depend on what has changed.
    async fn check(&self, change: &Change) -> Result<(), ReadError> {
        match change {
            Change::Application(name) => {
                let concerned = self.concerned(|held, _| held.application == *name);
                if !concerned.is_empty() {
                    let application = self.registry.application(name).await?;
                    for held in concerned {
                        held.end_if(held.lost(application.as_ref()));
                    }
                }
            }
            Change::Key(prefix) => {
                let concerned = self.concerned(|_, caller| caller.key() == Some(prefix.as_str()));
                if !concerned.is_empty() {
                    let ended = match self.registry.key(prefix).await? {
                        None => Some(Ended::KeyRevoked),
                        Some(key) => key.disabled.then_some(Ended::KeyDisabled),
                    };
                    for held in concerned {
                        held.end_if(ended);
                    }
                }
            }
            Change::User(user) => {
                let concerned = self.concerned(|_, caller| caller.user() == Some(user));
                if !concerned.is_empty() {
                    let counts = self.registry.user(user).await?.is_some_and(|user| !user.disabled);
                    for held in concerned {
                        held.end_if((!counts).then_some(Ended::UserDisabled));
                    }
                }
            }
            // Who watches looks at all rights then.
            Change::Device { .. } | Change::Command { .. } | Change::Stream { .. } | Change::All => {}
        }
        Ok(())
    }

    fn concerned(&self, wanted: impl Fn(&Held, &Caller) -> bool) -> Vec<Arc<Held>> {
        let table = lock(&self.held);
        let rights = table.rights.values();
        rights.filter(|held| wanted(held, &held.caller())).cloned().collect()
    }
}

impl Right {
    /// Tells when the right has ended, once; at once, if it has already.
    pub fn on_end(&self, tell: impl Fn(Ended) + Send + Sync + 'static) {
        let mut state = lock(&self.held.state);
        if let State::Ended(ended) = *state {
            drop(state);
            tell(ended);
        } else {
            *state = State::Watched(Box::new(tell));
        }
    }

    /// From now on the right is that of this caller: the same user, who has shown another token.
    pub fn renew(&self, caller: Caller) {
        *lock(&self.held.caller) = Arc::new(caller);
    }
}

impl Drop for Right {
    fn drop(&mut self) {
        if let Some(rights) = self.table.upgrade() {
            lock(&rights.held).rights.remove(&self.number);
        }
    }
}

impl Held {
    fn caller(&self) -> Arc<Caller> {
        Arc::clone(&lock(&self.caller))
    }

    /// What the application, as it is now, has taken from the caller.
    fn lost(&self, application: Option<&Application>) -> Option<Ended> {
        let caller = self.caller();
        match application {
            Some(application) if application.metadata.uid != self.uid || application.is_going() => Some(Ended::Deleted),
            None => Some(Ended::Deleted),
            Some(application) if caller.may_in_part(Permission::Read, application) => None,
            Some(_) if *caller == Caller::Anonymous => Some(Ended::NotPublic),
            Some(_) => Some(Ended::NotAllowed),
        }
    }

    fn end_if(&self, ended: Option<Ended>) {
        let Some(ended) = ended else { return };
        let mut state = lock(&self.state);
        let before = match &*state {
            State::Ended(_) => return,
            _ => std::mem::replace(&mut *state, State::Ended(ended)),
        };
        drop(state);
        if let State::Watched(tell) = before {
            tell(ended);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
