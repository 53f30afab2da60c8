//! A real registry, and one that can be watched.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]
#![allow(dead_code, reason = "each test uses a part")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use serde_json::Value;
use sockeye_access::DeviceLogin;
use sockeye_engine_sqlite::{Options, SqliteEngine};
use sockeye_log::{GroupError, GroupId, GroupMark, GroupPosition, GroupPositions, Position};
use sockeye_registry::{
    AccessKey, Application, Change, Command, CommandError, CommandWay, Commands, Device, Found, KeyError, Outbox, Page,
    Preconditions, ReadError, Registry, Remains, RemainsKept, Role, Session, Stream, Streams, Taken, Teller, Ticket,
    TicketError, Tickets, Unavailable, User, UserIdentity, Wanted, WantedRemains, WriteError,
};
use tempfile::TempDir;
use tokio::sync::{broadcast, oneshot};
use uuid::Uuid;

/// A registry in a folder of its own, whose reads for logins are counted and can be held up.
pub struct Watched {
    engine: SqliteEngine,
    reads: AtomicUsize,
    away: AtomicBool,
    hold: Mutex<Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>>,
    _folder: TempDir,
}

// ----------------------------------------------------------------------------------------------

impl Watched {
    pub fn new() -> Arc<Self> {
        let folder = tempfile::tempdir().unwrap();
        let engine = SqliteEngine::open(folder.path().join("sockeye.db"), Options::default()).unwrap();
        Arc::new(Self {
            engine,
            reads: AtomicUsize::new(0),
            away: AtomicBool::new(false),
            hold: Mutex::new(None),
            _folder: folder,
        })
    }

    /// Reads since the last call.
    pub fn reads(&self) -> usize {
        self.reads.swap(0, Ordering::Relaxed)
    }

    /// Holds up the next read after it was done: gives what tells that, and what lets it go on.
    pub fn hold(&self) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        let (reached, wait) = oneshot::channel();
        let (go, held) = oneshot::channel();
        *self.hold.lock().unwrap() = Some((reached, held));
        (wait, go)
    }

    /// From now on it does not answer reads for logins, or does again.
    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::Relaxed);
    }

    /// What a read gives: nothing, if it is away.
    async fn give<T>(&self, found: Result<T, ReadError>) -> Result<T, ReadError> {
        if self.away.load(Ordering::Relaxed) {
            return Err(Unavailable("it is away".to_owned()));
        }
        self.after_read().await;
        found
    }

    async fn after_read(&self) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let hold = self.hold.lock().unwrap().take();
        if let Some((reached, held)) = hold {
            reached.send(()).unwrap();
            held.await.unwrap();
        }
    }

    pub async fn put_application(&self, name: &str, spec: Value) {
        let mut application = Application::named(name, "owner");
        application.spec = spec.as_object().unwrap().clone();
        match self.create_application(application.clone()).await {
            Err(WriteError::Taken(_)) => self
                .update_application(application, Preconditions::default())
                .await
                .unwrap(),
            other => other.unwrap(),
        };
    }

    pub async fn put_device(&self, application: &str, name: &str, spec: Value) {
        let mut device = Device::named(application, name);
        device.spec = spec.as_object().unwrap().clone();
        match self.create_device(device.clone()).await {
            Err(WriteError::Taken(_)) => self.update_device(device, Preconditions::default()).await.unwrap(),
            other => other.unwrap(),
        };
    }
}

/// So much time passes.
pub async fn later(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// What a device sends: `?application=`, `?device=`, and `Authorization: Basic` with this text.
pub fn login<'a>(application: Option<&'a str>, device: Option<&'a str>, basic: &str) -> DeviceLogin<'a> {
    let value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(basic))).unwrap();
    let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value)]);
    DeviceLogin::new(application, device, &headers).unwrap()
}

#[async_trait]
impl Registry for Watched {
    async fn create_application(&self, application: Application) -> Result<Application, WriteError> {
        self.engine.create_application(application).await
    }
    async fn application(&self, name: &str) -> Result<Option<Application>, ReadError> {
        let found = self.engine.application(name).await;
        self.give(found).await
    }
    async fn applications(&self, wanted: Wanted) -> Result<Found<Application>, ReadError> {
        self.engine.applications(wanted).await
    }
    async fn update_application(
        &self,
        application: Application,
        pre: Preconditions,
    ) -> Result<Application, WriteError> {
        self.engine.update_application(application, pre).await
    }
    async fn set_members(
        &self,
        application: &str,
        members: BTreeMap<String, Role>,
        pre: Preconditions,
    ) -> Result<Application, WriteError> {
        self.engine.set_members(application, members, pre).await
    }
    async fn offer_application(&self, application: &str, to: Option<&str>) -> Result<Application, WriteError> {
        self.engine.offer_application(application, to).await
    }
    async fn accept_application(&self, application: &str, by: &str) -> Result<Application, WriteError> {
        self.engine.accept_application(application, by).await
    }
    async fn delete_application(&self, name: &str, pre: Preconditions) -> Result<(), WriteError> {
        self.engine.delete_application(name, pre).await
    }
    async fn create_device(&self, device: Device) -> Result<Device, WriteError> {
        self.engine.create_device(device).await
    }
    async fn device(&self, application: &str, name: &str) -> Result<Option<Device>, ReadError> {
        self.engine.device(application, name).await
    }
    async fn device_by_login(&self, application: &str, login: &str) -> Result<Option<Device>, ReadError> {
        let found = self.engine.device_by_login(application, login).await;
        self.give(found).await
    }
    async fn devices(&self, application: &str, wanted: Wanted) -> Result<Found<Device>, ReadError> {
        self.engine.devices(application, wanted).await
    }
    async fn update_device(&self, device: Device, pre: Preconditions) -> Result<Device, WriteError> {
        self.engine.update_device(device, pre).await
    }
    async fn delete_device(&self, application: &str, name: &str, pre: Preconditions) -> Result<(), WriteError> {
        self.engine.delete_device(application, name, pre).await
    }
    async fn ensure_user(&self, name: &str, admin: bool) -> Result<User, WriteError> {
        self.engine.ensure_user(name, admin).await
    }
    async fn user(&self, name: &str) -> Result<Option<User>, ReadError> {
        let found = self.engine.user(name).await;
        self.give(found).await
    }
    async fn user_of(&self, identity: &UserIdentity) -> Result<Option<User>, ReadError> {
        let found = self.engine.user_of(identity).await;
        self.give(found).await
    }
    async fn learn_user(&self, identity: &UserIdentity, name: &str) -> Result<User, WriteError> {
        self.engine.learn_user(identity, name).await
    }
    async fn users(&self, page: Page) -> Result<Vec<User>, ReadError> {
        self.engine.users(page).await
    }
    async fn set_user_disabled(&self, name: &str, disabled: bool) -> Result<User, WriteError> {
        self.engine.set_user_disabled(name, disabled).await
    }
    async fn set_key_disabled(&self, prefix: &str, disabled: bool) -> Result<bool, WriteError> {
        self.engine.set_key_disabled(prefix, disabled).await
    }
    async fn note_key_used(&self, prefix: &str, at: Timestamp) -> Result<(), WriteError> {
        self.engine.note_key_used(prefix, at).await
    }
    async fn create_key(&self, key: AccessKey) -> Result<(), KeyError> {
        self.engine.create_key(key).await
    }
    async fn key(&self, prefix: &str) -> Result<Option<AccessKey>, ReadError> {
        let found = self.engine.key(prefix).await;
        self.give(found).await
    }
    async fn keys(&self, user: &str) -> Result<Vec<AccessKey>, ReadError> {
        self.engine.keys(user).await
    }
    async fn delete_key(&self, prefix: &str) -> Result<bool, WriteError> {
        self.engine.delete_key(prefix).await
    }
    fn changes(&self) -> broadcast::Receiver<Change> {
        self.engine.changes()
    }
}

#[async_trait]
impl Commands for Watched {
    async fn keep_command(&self, command: Command, forget: Timestamp) -> Result<(), CommandError> {
        self.engine.keep_command(command, forget).await
    }
    async fn take_command(
        &self,
        application: &str,
        way: &CommandWay,
        now: Timestamp,
    ) -> Result<Option<Command>, ReadError> {
        self.engine.take_command(application, way, now).await
    }
    async fn command(&self, application: &str, id: Uuid) -> Result<Option<(Command, Option<Taken>)>, ReadError> {
        self.engine.command(application, id).await
    }
}

#[async_trait]
impl Outbox for Watched {
    async fn tell(&self, teller: Box<dyn Teller>) -> Result<(), ReadError> {
        self.engine.tell(teller).await
    }
}

#[async_trait]
impl RemainsKept for Watched {
    async fn take_remains(&self, wanted: WantedRemains) -> Result<Option<Vec<Remains>>, Unavailable> {
        self.engine.take_remains(wanted).await
    }
    async fn forget_remains(&self, application: &str) -> Result<(), Unavailable> {
        self.engine.forget_remains(application).await
    }
}

#[async_trait]
impl Tickets for Watched {
    async fn keep_ticket(&self, ticket: Ticket, now: Timestamp) -> Result<(), TicketError> {
        self.engine.keep_ticket(ticket, now).await
    }
    async fn take_ticket(&self, hash: &str, now: Timestamp) -> Result<Option<String>, ReadError> {
        self.engine.take_ticket(hash, now).await
    }
    async fn ticket(&self, hash: &str, now: Timestamp) -> Result<Option<String>, ReadError> {
        self.engine.ticket(hash, now).await
    }
}

#[async_trait]
impl Streams for Watched {
    async fn create_session(&self, session: Session, most: usize) -> Result<bool, WriteError> {
        self.engine.create_session(session, most).await
    }
    async fn session(&self, hash: &str) -> Result<Option<Session>, ReadError> {
        self.engine.session(hash).await
    }
    async fn extend_sessions(&self, hashes: &[String], expires: Timestamp) -> Result<(), WriteError> {
        self.engine.extend_sessions(hashes, expires).await
    }
    async fn delete_session(&self, hash: &str) -> Result<bool, WriteError> {
        self.engine.delete_session(hash).await
    }
    async fn create_stream(&self, stream: Stream) -> Result<(), WriteError> {
        self.engine.create_stream(stream).await
    }
    async fn stream(&self, application: &str, id: &str) -> Result<Option<Stream>, ReadError> {
        self.engine.stream(application, id).await
    }
    async fn stream_of(
        &self,
        application: &str,
        device: Option<&str>,
        channel: &str,
    ) -> Result<Option<Stream>, ReadError> {
        self.engine.stream_of(application, device, channel).await
    }
    async fn streams(&self, application: &str, page: Page) -> Result<Vec<Stream>, ReadError> {
        self.engine.streams(application, page).await
    }
    async fn delete_stream(&self, application: &str, id: &str) -> Result<bool, WriteError> {
        self.engine.delete_stream(application, id).await
    }
    async fn create_alias(&self, alias: &str, application: &str) -> Result<(), WriteError> {
        self.engine.create_alias(alias, application).await
    }
    async fn alias(&self, alias: &str) -> Result<Option<String>, ReadError> {
        self.engine.alias(alias).await
    }
}

#[async_trait]
impl GroupPositions for Watched {
    async fn group(&self, group: &GroupId) -> Result<Option<GroupPosition>, GroupError> {
        self.engine.group(group).await
    }
    async fn groups(&self, application: &str) -> Result<Vec<(GroupId, GroupPosition)>, GroupError> {
        self.engine.groups(application).await
    }
    async fn create_group(&self, group: &GroupId, position: &Position) -> Result<bool, GroupError> {
        self.engine.create_group(group, position).await
    }
    async fn use_group(&self, group: &GroupId) -> Result<Option<GroupPosition>, GroupError> {
        self.engine.use_group(group).await
    }
    async fn set_group(&self, group: &GroupId, mark: &GroupMark) -> Result<(), GroupError> {
        self.engine.set_group(group, mark).await
    }
    async fn delete_group(&self, group: &GroupId) -> Result<bool, GroupError> {
        self.engine.delete_group(group).await
    }
    async fn expire_groups(&self, before: Timestamp) -> Result<Vec<GroupId>, GroupError> {
        self.engine.expire_groups(before).await
    }
    async fn dead_letters(&self, application: &str) -> Result<Option<(Position, Vec<u8>)>, GroupError> {
        self.engine.dead_letters(application).await
    }
    async fn set_dead_letters(&self, application: &str, position: &Position, settled: &[u8]) -> Result<(), GroupError> {
        self.engine.set_dead_letters(application, position, settled).await
    }
}
