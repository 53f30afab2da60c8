//! What all requests and sockets share, and what goes on beside them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use jiff::Timestamp;
use sockeye_access::{Access, Caller};
use sockeye_delivery::{Cause, Closing, Delivery, Remote};
use sockeye_limits as limits;
use sockeye_log::{Log, Retention};
use sockeye_registry::{Application, Change, Registry, Stream, WriteError};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::frames::{Frames, Ids, Seen};
use crate::id::StreamId;
use crate::rest::{self, Places};
use crate::sessions::Sessions;
use crate::socket::Socket;
use crate::{Metrics, http_session};

/// The dialect: what its requests share.
pub struct Octave {
    pub(crate) access: Arc<Access>,
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) retention: Retention,
    pub(crate) instance: String,
    pub(crate) bounds: Bounds,
    pub(crate) metrics: Metrics,
    pub(crate) sessions: Arc<Sessions>,
    /// One permit for each byte that the bodies of all requests may hold.
    pub(crate) bodies: Semaphore,
    shared: Mutex<Shared>,
    seen: mpsc::Sender<Seen>,
    /// Taken by whoever runs [`Octave::run`].
    noted: Mutex<Option<mpsc::Receiver<Seen>>>,
}

/// What sockets of one application have in common, for as long as there is one.
#[derive(Default)]
struct Shared {
    /// By the application's uid.
    ids: HashMap<String, Weak<Ids>>,
    /// By uid and company.
    frames: HashMap<(String, String), Weak<Frames>>,
    sockets: Vec<Weak<Socket>>,
    /// Where events are in the logs that were read last, by uid.
    places: HashMap<String, Arc<Places>>,
    /// When more are there, those that have gone are forgotten.
    crowded: usize,
}

/// What clients may have at once (compat/octave.md 5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How long a session without a connection counts.
    pub session_time: Duration,
    /// Sessions of one application.
    pub sessions: usize,
    /// Connections of one session.
    pub connections: usize,
    /// Subscriptions of one connection; no more than [`limits::WS_SUBSCRIPTIONS`].
    pub subscriptions: usize,
}

// ----------------------------------------------------------------------------------------------

const POLICY: u16 = 1008;

impl Default for Bounds {
    fn default() -> Self {
        Self {
            session_time: limits::OCTAVE_SESSION_TIME,
            sessions: limits::OCTAVE_SESSIONS,
            connections: limits::OCTAVE_CONNECTIONS_PER_SESSION,
            subscriptions: limits::WS_SUBSCRIPTIONS,
        }
    }
}

impl Octave {
    /// The dialect over these engines; `log` is the one that `delivery` reads. `retention` is that of topics which have to be made,
    /// `instance` the name of the installation.
    pub fn new(
        access: Arc<Access>,
        registry: Arc<dyn Registry>,
        log: Arc<dyn Log>,
        delivery: Arc<Delivery>,
        retention: Retention,
        instance: impl Into<String>,
        metrics: Metrics,
    ) -> Self {
        let (seen, noted) = mpsc::channel(limits::OCTAVE_NOTED_STREAMS);
        Self {
            access,
            registry,
            log,
            delivery,
            retention,
            instance: instance.into(),
            bounds: Bounds::default(),
            metrics,
            sessions: Arc::default(),
            bodies: Semaphore::new(limits::OCTAVE_BODIES),
            shared: Mutex::default(),
            seen,
            noted: Mutex::new(Some(noted)),
        }
    }

    /// With other bounds than the usual ones.
    #[must_use]
    pub fn with_bounds(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// Prolongs sessions, notes streams that clients were told of, and ends subscriptions of streams that were removed: until the
    /// registry has stopped. A second one has nothing to do.
    pub async fn run(&self) {
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut noted) = noted else { return };
        let mut changes = self.registry.changes();
        let mut step = interval(
            (self.bounds.session_time / 4)
                .min(limits::OCTAVE_SESSION_STEP)
                .max(Duration::from_millis(10)),
        );
        step.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = step.tick() => self.prolong(self.sessions.due()).await,
                () = self.sessions.closed.notified() => self.prolong(self.sessions.left()).await,
                Some(seen) = noted.recv() => self.note(seen).await,
                change = changes.recv() => match change {
                    Ok(Change::Stream { application, id }) => self.removed(&application, &id),
                    // What was missed is found by whoever subscribes again.
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                },
            }
        }
    }

    async fn prolong(&self, hashes: Vec<String>) {
        if !hashes.is_empty()
            && let Err(error) = self.access.extend_sessions(&hashes, self.bounds.session_time).await
        {
            tracing::warn!(%error, "sessions of Octave clients cannot be prolonged now");
        }
    }

    /// Notes a stream whose id a client has seen, so that it is found by it.
    async fn note(&self, seen: Seen) {
        let Seen { ids, name, id } = seen;
        let stream = Stream {
            application: ids.application.to_string(),
            id: id.to_string(),
            device: name.device.as_deref().map(str::to_owned),
            channel: name.channel.to_string(),
            description: String::new(),
            capacity: limits::OCTAVE_CAPACITY,
            created: Timestamp::now(),
            creator: String::new(),
        };
        match self.registry.create_stream(stream).await {
            Ok(()) | Err(WriteError::Taken(_)) => ids.is_there(id),
            Err(error) => tracing::debug!(%error, "a stream cannot be noted now"),
        }
    }

    fn removed(&self, application: &str, id: &str) {
        let Some(id) = StreamId::parse(id) else { return };
        let sockets: Vec<_> = {
            let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            for ids in shared.ids.values().filter_map(Weak::upgrade) {
                if ids.application == application {
                    ids.forget(id);
                }
            }
            shared.sockets.iter().filter_map(Weak::upgrade).collect()
        };
        for socket in sockets {
            if socket.application.metadata.name == application {
                // Who does not read is not waited for.
                self.delivery.spawn(async move { socket.removed(id).await });
            }
        }
    }

    /// The ids of an application's streams, and how events look to who calls it so.
    pub(crate) fn frames(&self, application: &Application, company: &str) -> (Arc<Ids>, Arc<Frames>) {
        let uid = application.metadata.uid.to_string();
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let ids = shared.ids.get(&uid).and_then(Weak::upgrade).unwrap_or_else(|| {
            let ids = Arc::new(Ids::new(&application.metadata.name, &uid, self.seen.clone()));
            shared.ids.retain(|_, ids| ids.strong_count() > 0);
            shared.ids.insert(uid.clone(), Arc::downgrade(&ids));
            ids
        });
        let key = (uid, company.to_owned());
        let frames = shared.frames.get(&key).and_then(Weak::upgrade).unwrap_or_else(|| {
            let frames = Arc::new(Frames::new(company, Arc::clone(&ids), None));
            shared.frames.retain(|_, frames| frames.strong_count() > 0);
            shared.frames.insert(key, Arc::downgrade(&frames));
            frames
        });
        (ids, frames)
    }

    /// Where the events of an application's streams are in its log.
    pub(crate) fn places(&self, application: &Application) -> Arc<Places> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let uid = application.metadata.uid.to_string();
        if let Some(places) = shared.places.get(&uid) {
            return Arc::clone(places);
        }
        if shared.places.len() >= limits::OCTAVE_NOTED_LOGS {
            // Whichever: it is found again.
            shared.places.clear();
        }
        Arc::clone(shared.places.entry(uid).or_default())
    }

    /// A socket is open.
    pub(crate) fn open(&self, socket: &Arc<Socket>) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.sockets.len() >= shared.crowded {
            shared.sockets.retain(|socket| socket.strong_count() > 0);
            shared.crowded = 2 * shared.sockets.len() + 64;
        }
        shared.sockets.push(Arc::downgrade(socket));
    }

    /// What is bound to a time ends by itself.
    pub(crate) fn bind_to_time(caller: &Caller, remote: &Remote) {
        let Some(expires) = caller.expires() else { return };
        let left: Duration = expires.duration_since(Timestamp::now()).try_into().unwrap_or_default();
        if let Some(at) = Instant::now().checked_add(left) {
            remote.close_at(
                at,
                Cause::Unauthorized,
                Closing::new(POLICY, "the access key has expired"),
            );
        }
    }
}

/// The routes: `/session` and what is below it, and `/v5.0`.
pub fn router(state: Arc<Octave>) -> Router {
    Router::new()
        .route("/session", any(http_session::create))
        .route("/session//ws", any(http_session::no_session))
        .route("/session/{id}/ws", any(http_session::open))
        .route("/v5.0", any(rest::serve))
        .route("/v5.0/{*rest}", any(rest::serve))
        .with_state(state)
}
