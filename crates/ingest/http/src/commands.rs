//! Devices that wait for a command (compat/drogue.md 5.1, 6.1): after their event is accepted, for as long as they say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use sockeye_access::Publisher;
use sockeye_limits as limits;
use sockeye_registry::{Change, Command, CommandWay, Registry};
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Who waits, and where commands are.
pub struct Commands {
    registry: Arc<dyn Registry>,
    /// By application and device that asks.
    waiters: Mutex<HashMap<(String, String), Waiter>>,
    /// Nobody waits any longer after it.
    stop: CancellationToken,
}

/// Requests of one device that wait.
struct Waiter {
    woken: Arc<Notify>,
    count: usize,
}

/// A request that waits, until it is dropped.
struct Waits<'a> {
    all: &'a Commands,
    key: (String, String),
    woken: Arc<Notify>,
}

/// Tells a device what is to be done.
const COMMAND: HeaderName = HeaderName::from_static("command");
/// Tells a gateway for whom, if not for itself: the original does not.
const COMMAND_DEVICE: HeaderName = HeaderName::from_static("command-device");

// ----------------------------------------------------------------------------------------------

impl Commands {
    /// Commands of this registry; who waits is answered when `stop` comes.
    pub fn new(registry: Arc<dyn Registry>, stop: CancellationToken) -> Self {
        Self {
            registry,
            waiters: Mutex::default(),
            stop,
        }
    }

    /// Wakes those for whom a command has come, until the registry has stopped.
    pub async fn run(&self) {
        let mut changes = self.registry.changes();
        loop {
            match changes.recv().await {
                Ok(Change::Command { application, targets }) => {
                    let waiters = self.waiters();
                    for target in targets {
                        if let Some(waiter) = waiters.get(&(application.clone(), target)) {
                            waiter.woken.notify_waiters();
                        }
                    }
                }
                Ok(Change::All) | Err(RecvError::Lagged(_)) => {
                    for waiter in self.waiters().values() {
                        waiter.woken.notify_waiters();
                    }
                }
                Ok(_) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// The command for a device that has published, if one comes in time. What cannot be looked for does not come.
    pub(crate) async fn wait(&self, publisher: &Publisher, time: Duration) -> Option<Command> {
        let deadline = Instant::now() + time.min(limits::COMMAND_WAIT);
        let application = publisher.application.name.to_string();
        let sender = publisher.sender.name.to_string();
        let way = CommandWay {
            // For itself a gateway takes those of all devices behind it too.
            device: (publisher.device.uid != publisher.sender.uid).then(|| publisher.device.name.to_string()),
            sender: sender.clone(),
        };
        let waits = self.join((application, sender))?;
        loop {
            let woken = waits.woken.notified();
            tokio::pin!(woken);
            // Before it is looked: whatever comes after that is told.
            woken.as_mut().enable();
            let found = self.registry.take_command(&waits.key.0, &way, Timestamp::now()).await;
            match found {
                Ok(Some(command)) => return Some(command),
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, "commands cannot be looked for"),
            }
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep_until(deadline) => return None,
                () = self.stop.cancelled() => return None,
            }
        }
    }

    /// `None`: too many wait.
    fn join(&self, key: (String, String)) -> Option<Waits<'_>> {
        let mut waiters = self.waiters();
        if waiters.len() >= limits::COMMAND_WAITERS && !waiters.contains_key(&key) {
            return None;
        }
        let waiter = waiters.entry(key.clone()).or_insert_with(|| Waiter {
            woken: Arc::default(),
            count: 0,
        });
        waiter.count += 1;
        let woken = Arc::clone(&waiter.woken);
        Some(Waits { all: self, key, woken })
    }

    fn waiters(&self) -> MutexGuard<'_, HashMap<(String, String), Waiter>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let mut waiters = self.all.waiters();
        if let Some(waiter) = waiters.get_mut(&self.key) {
            waiter.count -= 1;
            if waiter.count == 0 {
                waiters.remove(&self.key);
            }
        }
    }
}

/// 200 with the command: its name in a header, its payload as the body.
pub(crate) fn answer(command: Command, sender: &str) -> Response {
    let mut response = command.payload.into_response();
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    // That of the command is set below, if it has one; the original sets none.
    headers.remove(http::header::CONTENT_TYPE);
    let mut put = |name: HeaderName, text: &str| {
        // What the API has taken can stand in a header.
        if let Ok(value) = HeaderValue::from_str(text).or_else(|_| HeaderValue::from_bytes(text.as_bytes())) {
            headers.insert(name, value);
        }
    };
    put(COMMAND, &command.name);
    if command.device != sender {
        put(COMMAND_DEVICE, &command.device);
    }
    if let Some(content_type) = &command.content_type {
        put(http::header::CONTENT_TYPE, content_type);
    }
    response
}
