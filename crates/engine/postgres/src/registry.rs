//! The registry in PostgreSQL.
//!
//! | file | idea |
//! | --- | --- |
//! | `metadata.rs` | what applications and devices have in common |
//! | `applications.rs`, `devices.rs`, `users.rs` | the statements |
//! | `outbox.rs` | what is told of devices |
//! | `remains.rs` | what deleted applications have left |
//! | `groups.rs`, `tickets.rs`, `commands.rs`, `sessions.rs` | those of groups, of tickets, of commands and of Octave, behind interfaces of their own |

mod applications;
mod commands;
mod devices;
mod groups;
mod metadata;
mod outbox;
mod remains;
mod sessions;
mod tickets;
mod users;

use std::collections::BTreeMap;

use async_trait::async_trait;
use deadpool_postgres::Transaction;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use sockeye_event::origin;
use sockeye_registry::{
    AccessKey, Application, Change, Device, DeviceChange, Found, KeyError, Page, Preconditions, ReadError, Registry,
    Role, Unavailable, User, UserIdentity, Wanted, WriteError,
};
use tokio::sync::broadcast;

use crate::PostgresRegistry;
use crate::failure::Refusal;
use users::NoKey;

// ----------------------------------------------------------------------------------------------

#[async_trait]
impl Registry for PostgresRegistry {
    async fn create_application(&self, application: Application) -> Result<Application, WriteError> {
        let change = Change::Application(application.metadata.name.clone());
        self.change(move |c| async move { Ok((applications::create(c, application).await?, Some(change))) }.boxed())
            .await
    }

    async fn application(&self, name: &str) -> Result<Option<Application>, ReadError> {
        let name = name.to_owned();
        Ok(self
            .ask(move |c| async move { applications::get(c, &name).await }.boxed())
            .await?)
    }

    async fn applications(&self, wanted: Wanted) -> Result<Found<Application>, ReadError> {
        Ok(self
            .ask(move |c| async move { applications::list(c, &wanted).await }.boxed())
            .await?)
    }

    async fn update_application(
        &self,
        application: Application,
        pre: Preconditions,
    ) -> Result<Application, WriteError> {
        let change = Change::Application(application.metadata.name.clone());
        self.change(move |c| {
            async move {
                let (stored, changed) = applications::update(c, application, pre).await?;
                Ok((stored, changed.then_some(change)))
            }
            .boxed()
        })
        .await
    }

    async fn set_members(
        &self,
        application: &str,
        members: BTreeMap<String, Role>,
        pre: Preconditions,
    ) -> Result<Application, WriteError> {
        let name = application.to_owned();
        self.change(move |c| {
            async move {
                let (stored, changed) = applications::set_members(c, &name, members, pre).await?;
                Ok((stored, changed.then_some(Change::Application(name))))
            }
            .boxed()
        })
        .await
    }

    async fn offer_application(&self, application: &str, to: Option<&str>) -> Result<Application, WriteError> {
        let (name, to) = (application.to_owned(), to.map(str::to_owned));
        self.change(move |c| {
            async move {
                let (stored, changed) = applications::offer(c, &name, to).await?;
                Ok((stored, changed.then_some(Change::Application(name))))
            }
            .boxed()
        })
        .await
    }

    async fn accept_application(&self, application: &str, by: &str) -> Result<Application, WriteError> {
        let (name, by) = (application.to_owned(), by.to_owned());
        self.change(move |c| {
            async move {
                let stored = applications::accept(c, &name, &by).await?;
                Ok((stored, Some(Change::Application(name))))
            }
            .boxed()
        })
        .await
    }

    async fn delete_application(&self, name: &str, pre: Preconditions) -> Result<(), WriteError> {
        let name = name.to_owned();
        self.change(move |c| {
            async move {
                Ok((
                    applications::delete(c, &name, pre).await?,
                    Some(Change::Application(name)),
                ))
            }
            .boxed()
        })
        .await
    }

    async fn create_device(&self, device: Device) -> Result<Device, WriteError> {
        self.change_device(move |c| {
            async move {
                let (device, change) = devices::create(c, device).await?;
                Ok((device, Some(change)))
            }
            .boxed()
        })
        .await
    }

    async fn device(&self, application: &str, name: &str) -> Result<Option<Device>, ReadError> {
        let (application, name) = (application.to_owned(), name.to_owned());
        Ok(self
            .ask(move |c| async move { devices::get(c, &application, &name).await }.boxed())
            .await?)
    }

    async fn device_by_login(&self, application: &str, login: &str) -> Result<Option<Device>, ReadError> {
        let (application, login) = (application.to_owned(), login.to_owned());
        Ok(self
            .ask(move |c| async move { devices::by_login(c, &application, &login).await }.boxed())
            .await?)
    }

    async fn devices(&self, application: &str, wanted: Wanted) -> Result<Found<Device>, ReadError> {
        let application = application.to_owned();
        Ok(self
            .ask(move |c| async move { devices::list(c, &application, &wanted).await }.boxed())
            .await?)
    }

    async fn update_device(&self, device: Device, pre: Preconditions) -> Result<Device, WriteError> {
        self.change_device(move |c| devices::update(c, device, pre).boxed())
            .await
    }

    async fn delete_device(&self, application: &str, name: &str, pre: Preconditions) -> Result<(), WriteError> {
        let (application, name) = (application.to_owned(), name.to_owned());
        self.change_device(move |c| {
            async move { Ok(((), Some(devices::delete(c, &application, &name, pre).await?))) }.boxed()
        })
        .await
    }

    async fn ensure_user(&self, name: &str, admin: bool) -> Result<User, WriteError> {
        let name = name.to_owned();
        Ok(self
            .run(move |c| async move { users::ensure(c, &name, admin).await }.boxed())
            .await?)
    }

    async fn user(&self, name: &str) -> Result<Option<User>, ReadError> {
        let name = name.to_owned();
        Ok(self
            .ask(move |c| async move { users::get(c, &name).await }.boxed())
            .await?)
    }

    async fn user_of(&self, identity: &UserIdentity) -> Result<Option<User>, ReadError> {
        let identity = identity.clone();
        Ok(self
            .ask(move |c| async move { users::of(c, &identity).await }.boxed())
            .await?)
    }

    async fn learn_user(&self, identity: &UserIdentity, name: &str) -> Result<User, WriteError> {
        let (identity, name) = (identity.clone(), name.to_owned());
        self.change(move |c| async move { Ok((users::learn(c, &identity, &name).await?, None)) }.boxed())
            .await
    }

    async fn users(&self, page: Page) -> Result<Vec<User>, ReadError> {
        Ok(self
            .ask(move |c| async move { users::list(c, page).await }.boxed())
            .await?)
    }

    async fn set_user_disabled(&self, name: &str, disabled: bool) -> Result<User, WriteError> {
        let name = name.to_owned();
        self.change(move |c| {
            async move {
                let (user, changed) = users::set_disabled(c, &name, disabled).await?;
                Ok((user, changed.then_some(Change::User(name))))
            }
            .boxed()
        })
        .await
    }

    async fn create_key(&self, key: AccessKey) -> Result<(), KeyError> {
        let (user, prefix) = (key.user.clone(), key.prefix.clone());
        let change = Change::Key(prefix.clone());
        let stored = self.change(move |c| {
            async move {
                let stored = users::create_key(c, &key).await?;
                let change = stored.is_ok().then_some(change);
                Ok((stored, change))
            }
            .boxed()
        });
        let stored = stored.await.map_err(|error| match error {
            WriteError::Unavailable(reason) => KeyError::Unavailable(reason),
            // No rule of keys is told in this way.
            other => KeyError::Unavailable(Unavailable(other.to_string())),
        })?;
        stored.map_err(|reason| match reason {
            NoKey::User => KeyError::NoUser(user),
            NoKey::Prefix => KeyError::Taken(prefix),
        })
    }

    async fn key(&self, prefix: &str) -> Result<Option<AccessKey>, ReadError> {
        let prefix = prefix.to_owned();
        Ok(self
            .ask(move |c| async move { users::key(c, &prefix).await }.boxed())
            .await?)
    }

    async fn keys(&self, user: &str) -> Result<Vec<AccessKey>, ReadError> {
        let user = user.to_owned();
        Ok(self
            .ask(move |c| async move { users::keys(c, &user).await }.boxed())
            .await?)
    }

    async fn set_key_disabled(&self, prefix: &str, disabled: bool) -> Result<bool, WriteError> {
        let prefix = prefix.to_owned();
        self.change(move |c| {
            async move {
                let (there, changed) = users::set_key_disabled(c, &prefix, disabled).await?;
                Ok((there, changed.then_some(Change::Key(prefix))))
            }
            .boxed()
        })
        .await
    }

    async fn note_key_used(&self, prefix: &str, at: Timestamp) -> Result<(), WriteError> {
        let prefix = prefix.to_owned();
        Ok(self
            .ask(move |c| async move { users::note_key_used(c, &prefix, at).await }.boxed())
            .await?)
    }

    async fn delete_key(&self, prefix: &str) -> Result<bool, WriteError> {
        let prefix = prefix.to_owned();
        self.change(move |c| {
            async move {
                let deleted = users::delete_key(c, &prefix).await?;
                Ok((deleted, deleted.then_some(Change::Key(prefix))))
            }
            .boxed()
        })
        .await
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.inner.changes.subscribe()
    }
}

impl PostgresRegistry {
    /// As [`Self::change`], of a device, which is told in its application's stream too.
    async fn change_device<T: Send + 'static>(
        &self,
        job: impl for<'c> FnOnce(&'c Transaction<'c>) -> BoxFuture<'c, Result<(T, Option<DeviceChange>), Refusal>>
        + Send
        + 'static,
    ) -> Result<T, WriteError> {
        let most = self.inner.outbox;
        self.change(move |c| {
            async move {
                outbox::have_room(c, most).await?;
                let (value, change) = job(c).await?;
                let Some(change) = change else {
                    return Ok((value, Vec::new()));
                };
                outbox::put(c, &change).await?;
                let gone = change.what == origin::Change::Deleted;
                let (application, device) = (change.application, change.device);
                let last = if gone {
                    applications::let_go(c, &application).await?
                } else {
                    None
                };
                let changes = [Change::Device { application, device }].into_iter();
                Ok((value, changes.chain(last.map(Change::Application)).collect()))
            }
            .boxed()
        })
        .await
    }
}
