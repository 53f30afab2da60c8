//! The registry in the file: every change is one job of the writer, every question is answered by a reader.
//!
//! | file | idea |
//! | --- | --- |
//! | `row.rs` | documents, times and ids as columns |
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
mod row;
mod sessions;
mod tickets;
mod users;

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;
use sockeye_event::origin;
use sockeye_registry::{
    AccessKey, Application, Change, Device, DeviceChange, Found, KeyError, Page, Preconditions, ReadError, Registry,
    Role, Unavailable, User, UserIdentity, Wanted, WriteError,
};
use tokio::sync::broadcast;

use crate::SqliteEngine;
use crate::queue::Added;
use outbox::Notes;
use row::Refusal;
use users::NoKey;

/// What a change gives, and what listeners are told once it is durable.
type Changed<T> = (T, Vec<Change>);

// ----------------------------------------------------------------------------------------------

#[async_trait]
impl Registry for SqliteEngine {
    async fn create_application(&self, application: Application) -> Result<Application, WriteError> {
        let change = Change::Application(application.metadata.name.clone());
        self.change(move |c| Ok((applications::create(c, application)?, Some(change))))
            .await
    }

    async fn application(&self, name: &str) -> Result<Option<Application>, ReadError> {
        let name = name.to_owned();
        self.ask(move |c| applications::get(c, &name)).await
    }

    async fn applications(&self, wanted: Wanted) -> Result<Found<Application>, ReadError> {
        self.ask(move |c| applications::list(c, &wanted)).await
    }

    async fn update_application(
        &self,
        application: Application,
        pre: Preconditions,
    ) -> Result<Application, WriteError> {
        let change = Change::Application(application.metadata.name.clone());
        self.change(move |c| {
            let (stored, changed) = applications::update(c, application, pre)?;
            Ok((stored, changed.then_some(change)))
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
            let (stored, changed) = applications::set_members(c, &name, members, pre)?;
            Ok((stored, changed.then_some(Change::Application(name))))
        })
        .await
    }

    async fn offer_application(&self, application: &str, to: Option<&str>) -> Result<Application, WriteError> {
        let (name, to) = (application.to_owned(), to.map(str::to_owned));
        self.change(move |c| {
            let (stored, changed) = applications::offer(c, &name, to)?;
            Ok((stored, changed.then_some(Change::Application(name))))
        })
        .await
    }

    async fn accept_application(&self, application: &str, by: &str) -> Result<Application, WriteError> {
        let (name, by) = (application.to_owned(), by.to_owned());
        self.change(move |c| Ok((applications::accept(c, &name, &by)?, Some(Change::Application(name)))))
            .await
    }

    async fn delete_application(&self, name: &str, pre: Preconditions) -> Result<(), WriteError> {
        let name = name.to_owned();
        self.change(move |c| Ok((applications::delete(c, &name, pre)?, Some(Change::Application(name)))))
            .await
    }

    async fn create_device(&self, device: Device) -> Result<Device, WriteError> {
        self.change_device(move |c| {
            let (device, change) = devices::create(c, device)?;
            Ok((device, Some(change)))
        })
        .await
    }

    async fn device(&self, application: &str, name: &str) -> Result<Option<Device>, ReadError> {
        let (application, name) = (application.to_owned(), name.to_owned());
        self.ask(move |c| devices::get(c, &application, &name)).await
    }

    async fn device_by_login(&self, application: &str, login: &str) -> Result<Option<Device>, ReadError> {
        let (application, login) = (application.to_owned(), login.to_owned());
        self.ask(move |c| devices::by_login(c, &application, &login)).await
    }

    async fn devices(&self, application: &str, wanted: Wanted) -> Result<Found<Device>, ReadError> {
        let application = application.to_owned();
        self.ask(move |c| devices::list(c, &application, &wanted)).await
    }

    async fn update_device(&self, device: Device, pre: Preconditions) -> Result<Device, WriteError> {
        self.change_device(move |c| devices::update(c, device, pre)).await
    }

    async fn delete_device(&self, application: &str, name: &str, pre: Preconditions) -> Result<(), WriteError> {
        let (application, name) = (application.to_owned(), name.to_owned());
        self.change_device(move |c| Ok(((), Some(devices::delete(c, &application, &name, pre)?))))
            .await
    }

    async fn ensure_user(&self, name: &str, admin: bool) -> Result<User, WriteError> {
        let name = name.to_owned();
        self.change(move |c| Ok((users::ensure(c, &name, admin)?, None))).await
    }

    async fn user(&self, name: &str) -> Result<Option<User>, ReadError> {
        let name = name.to_owned();
        self.ask(move |c| users::get(c, &name)).await
    }

    async fn user_of(&self, identity: &UserIdentity) -> Result<Option<User>, ReadError> {
        let identity = identity.clone();
        self.ask(move |c| users::of(c, &identity)).await
    }

    async fn learn_user(&self, identity: &UserIdentity, name: &str) -> Result<User, WriteError> {
        let (identity, name) = (identity.clone(), name.to_owned());
        self.change(move |c| Ok((users::learn(c, &identity, &name)?, None)))
            .await
    }

    async fn users(&self, page: Page) -> Result<Vec<User>, ReadError> {
        self.ask(move |c| users::list(c, page)).await
    }

    async fn set_user_disabled(&self, name: &str, disabled: bool) -> Result<User, WriteError> {
        let name = name.to_owned();
        self.change(move |c| {
            let (user, changed) = users::set_disabled(c, &name, disabled)?;
            Ok((user, changed.then_some(Change::User(name))))
        })
        .await
    }

    async fn create_key(&self, key: AccessKey) -> Result<(), KeyError> {
        let (user, prefix) = (key.user.clone(), key.prefix.clone());
        let change = Change::Key(prefix.clone());
        let stored = self.store(move |c| {
            let stored = users::create_key(c, &key)?;
            let change = stored.is_ok().then_some(change);
            Ok((stored, change))
        });
        stored.await?.map_err(|reason| match reason {
            NoKey::User => KeyError::NoUser(user),
            NoKey::Prefix => KeyError::Taken(prefix),
        })
    }

    async fn key(&self, prefix: &str) -> Result<Option<AccessKey>, ReadError> {
        let prefix = prefix.to_owned();
        self.ask(move |c| users::key(c, &prefix)).await
    }

    async fn keys(&self, user: &str) -> Result<Vec<AccessKey>, ReadError> {
        let user = user.to_owned();
        self.ask(move |c| users::keys(c, &user)).await
    }

    async fn set_key_disabled(&self, prefix: &str, disabled: bool) -> Result<bool, WriteError> {
        let prefix = prefix.to_owned();
        self.change(move |c| {
            let (there, changed) = users::set_key_disabled(c, &prefix, disabled)?;
            Ok((there, changed.then_some(Change::Key(prefix))))
        })
        .await
    }

    async fn note_key_used(&self, prefix: &str, at: Timestamp) -> Result<(), WriteError> {
        let prefix = prefix.to_owned();
        self.change(move |c| Ok((users::note_key_used(c, &prefix, at)?, None)))
            .await
    }

    async fn delete_key(&self, prefix: &str) -> Result<bool, WriteError> {
        let prefix = prefix.to_owned();
        self.change(move |c| {
            let deleted = users::delete_key(c, &prefix)?;
            Ok((deleted, deleted.then_some(Change::Key(prefix))))
        })
        .await
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.inner.listeners.subscribe()
    }
}

impl SqliteEngine {
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, ReadError> {
        Ok(self.inner.readers.run(question).await?)
    }

    /// Makes a change that rules may forbid.
    async fn change<T: Send + 'static, C: IntoIterator<Item = Change>>(
        &self,
        job: impl FnOnce(&Connection) -> Result<(T, C), Refusal> + Send + 'static,
    ) -> Result<T, WriteError> {
        self.store(move |connection| ruled(job(connection).map(told))).await?
    }

    /// As [`Self::change`], of a device, which is told in its application's stream too.
    async fn change_device<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<(T, Option<DeviceChange>), Refusal> + Send + 'static,
    ) -> Result<T, WriteError> {
        let notes = Notes::of(self);
        self.store_adding(move |connection, added| {
            let changed = notes.have_room(connection).and_then(|()| job(connection));
            let changed = changed.and_then(|(value, change)| {
                let Some(change) = change else {
                    return Ok((value, Vec::new()));
                };
                notes.put(connection, &change, added)?;
                let gone = change.what == origin::Change::Deleted;
                let (application, device) = (change.application, change.device);
                let last = gone
                    .then(|| applications::let_go(connection, &application))
                    .transpose()?;
                let of_application = last.flatten().map(Change::Application);
                let changes = [Change::Device { application, device }]
                    .into_iter()
                    .chain(of_application);
                Ok((value, changes.collect()))
            });
            ruled(changed)
        })
        .await?
    }

    /// Runs a job in the writer's next commit. Listeners are told before the caller is, and also if the caller is gone.
    async fn store<T: Send + 'static, C: IntoIterator<Item = Change>>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<(T, C)> + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.store_adding(move |connection, _| job(connection).map(told)).await
    }

    /// As [`Self::store`], of a job that adds records to the log.
    async fn store_adding<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection, &mut Added) -> rusqlite::Result<Changed<T>> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let listeners = self.inner.listeners.clone();
        let tell = move |(_, changes): &Changed<T>| {
            for change in changes {
                // Without listeners there is nobody to tell.
                let _ = listeners.send(change.clone());
            }
        };
        Ok(self.inner.writer.run_adding(job, tell).await?.0)
    }
}

fn told<T, C: IntoIterator<Item = Change>>((value, changes): (T, C)) -> Changed<T> {
    (value, changes.into_iter().collect())
}

/// What a rule forbids is an answer, and nothing was stored; else the job is undone.
fn ruled<T>(changed: Result<Changed<T>, Refusal>) -> rusqlite::Result<Changed<Result<T, WriteError>>> {
    match changed {
        Ok((value, changes)) => Ok((Ok(value), changes)),
        Err(Refusal::Rule(error)) => Ok((Err(error), Vec::new())),
        Err(Refusal::Sql(error)) => Err(error),
    }
}
