//! The protocol of one open socket (compat/octave.md 4, 5), and what it is subscribed to.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sockeye_access::{Caller, Ended, Right};
use sockeye_delivery::{
    Cause, Closing, Encoder, Later, Message, NewSubscription, Remote, RemoteError, Session, SubscriptionId, Verdict,
};
use sockeye_limits as limits;
use sockeye_log::Position;
use sockeye_registry::Application;

use crate::Octave;
use crate::answer;
use crate::frames::{Frames, Ids};
use crate::id::StreamId;
use crate::request::{Options, Problem, Request, Unreadable, Wanted};
use crate::sessions::Connected;

/// One socket of a client.
pub(crate) struct OctaveSession {
    pub(crate) socket: Arc<Socket>,
    /// Messages one after the other that could not be read.
    unreadable: u32,
}

/// What is known of it beyond the message that is being looked at.
pub(crate) struct Socket {
    pub(crate) octave: Arc<Octave>,
    pub(crate) caller: Caller,
    pub(crate) application: Application,
    /// As the client calls the application.
    pub(crate) company: String,
    /// Whether permessage-deflate was agreed on.
    pub(crate) deflate: bool,
    pub(crate) ids: Arc<Ids>,
    pub(crate) frames: Arc<Frames>,
    right: Right,
    _connected: Connected,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    remote: Option<Remote>,
    /// In the order of their ids: many, and small so.
    streams: Vec<(StreamId, Subscribed)>,
    patterns: HashMap<Box<str>, Subscribed>,
}

/// A subscription.
#[derive(Clone, Copy)]
struct Subscribed {
    id: SubscriptionId,
    /// What its options come to.
    options: u32,
    by_id: bool,
    by_path: bool,
}

/// What a subscription is kept under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// A stream; whether its id, and its path, was named.
    Stream { id: StreamId, by_id: bool, by_path: bool },
    /// Streams with such paths.
    Pattern(Box<str>),
}

// ----------------------------------------------------------------------------------------------

const POLICY: u16 = 1008;
/// Before another try to tell a connection something that has too much to do.
const AGAIN: Duration = Duration::from_millis(1);

impl OctaveSession {
    pub(crate) fn new(
        octave: Arc<Octave>,
        caller: Caller,
        application: Application,
        company: String,
        deflate: bool,
        right: Right,
        connected: Connected,
    ) -> Self {
        let (ids, frames) = octave.frames(&application, &company);
        Self {
            socket: Arc::new(Socket {
                octave,
                caller,
                application,
                company,
                deflate,
                ids,
                frames,
                right,
                _connected: connected,
                state: Mutex::default(),
            }),
            unreadable: 0,
        }
    }
}

impl Session for OctaveSession {
    const DIALECT: &'static str = "octave";
    const ONCE: bool = true;

    fn encoder(&self) -> Arc<dyn Encoder> {
        Arc::clone(&self.socket.frames) as _
    }

    fn opened(&mut self, remote: Remote) {
        self.socket.bind(&remote);
        self.socket.state().remote = Some(remote);
        self.socket.octave.open(&self.socket);
    }

    fn receive(&mut self, message: Message<'_>) -> Verdict {
        let request = match Request::read(message.as_bytes()) {
            Ok(request) => request,
            Err(Unreadable(problem)) => {
                self.unreadable += 1;
                if self.unreadable >= limits::OCTAVE_UNREADABLE {
                    let reason = format!("{} messages in a row were no JSON objects", limits::OCTAVE_UNREADABLE);
                    return Verdict::Close(Closing::new(POLICY, reason));
                }
                return self.answered(answer::failed("null", &problem));
            }
        };
        self.unreadable = 0;
        let Request { message, wanted } = request;
        match wanted {
            Ok(Wanted::Heartbeat { answer: false }) => Verdict::Taken,
            Ok(Wanted::Heartbeat { answer: true }) => self.answered(answer::done(&message)),
            Ok(wanted) => {
                let socket = Arc::clone(&self.socket);
                Verdict::Later(Later::new(async move {
                    if let Err(problem) = socket.carry_out(&message, wanted).await {
                        socket.octave.metrics.refused(problem.status);
                        socket.send(answer::failed(&message, &problem)).await;
                    }
                    Verdict::Taken
                }))
            }
            Err(problem) => self.answered(answer::failed(&message, &problem)),
        }
    }
}

impl OctaveSession {
    /// Behind what was asked for before.
    fn answered(&self, text: String) -> Verdict {
        let socket = Arc::clone(&self.socket);
        Verdict::Later(Later::new(async move {
            socket.send(text).await;
            Verdict::Taken
        }))
    }
}

impl Socket {
    /// From now on the end of the right is the end of the socket.
    fn bind(&self, remote: &Remote) {
        Octave::bind_to_time(&self.caller, remote);
        let remote = remote.clone();
        self.right.on_end(move |ended| {
            let cause = match ended {
                Ended::Deleted => Cause::Gone,
                _ => Cause::Unauthorized,
            };
            remote.close(cause, Closing::new(POLICY, ended.to_string()));
        });
    }

    async fn carry_out(&self, message: &str, wanted: Wanted) -> Result<(), Problem> {
        match wanted {
            Wanted::Subscribe(target, options) => {
                let (key, wish) = self.octave.resolve(self, &target, options.filter.as_deref()).await?;
                self.subscribe(message, key, wish, &options).await
            }
            Wanted::Unsubscribe(target) => {
                let key = self.octave.key_of(self, &target).await?;
                self.unsubscribe(message, &key).await;
                Ok(())
            }
            Wanted::Heartbeat { .. } => Ok(()),
        }
    }

    async fn subscribe(
        &self,
        message: &str,
        key: Key,
        wish: crate::pattern::Wish,
        options: &Options,
    ) -> Result<(), Problem> {
        let asked = sum_of(options);
        let before = self.state().get_mut(&key).map(|subscribed| {
            subscribed.name(&key);
            *subscribed
        });
        match before {
            Some(subscribed) if subscribed.options == asked => {
                self.send(answer::done(message)).await;
                return Ok(());
            }
            // What is wanted of it is another thing now.
            Some(subscribed) => {
                self.end(subscribed.id, None, None).await;
                self.state().remove(&key);
            }
            None => {}
        }
        let encoder: Arc<dyn Encoder> = match &options.fields {
            None => Arc::clone(&self.frames) as _,
            Some(fields) => {
                let fields = fields.parse();
                let fields = fields.map_err(|error| Problem::bad(format!("`fields` is wrong: {error}")))?;
                Arc::new(Frames::new(&self.company, Arc::clone(&self.ids), Some(fields)))
            }
        };
        let most = self.octave.bounds.subscriptions;
        if self.state().len() >= most {
            let text = format!("the socket has {most} subscriptions, which is the most: unsubscribe from others");
            return Err(Problem::new(429, text));
        }
        let begun = match &options.group {
            None => self.begin(message, wish, encoder, options).await?,
            Some(group) => self.join(message, group, wish, encoder).await?,
        };
        // Nobody is told any more by a connection that ends.
        if let Some(id) = begun {
            self.state().insert(key, id, asked);
            self.octave.metrics.subscribed();
        }
        Ok(())
    }

    /// A subscription that gets every event.
    async fn begin(
        &self,
        message: &str,
        wish: crate::pattern::Wish,
        encoder: Arc<dyn Encoder>,
        options: &Options,
    ) -> Result<Option<SubscriptionId>, Problem> {
        let Some(remote) = self.remote() else { return Ok(None) };
        let what = self.octave.subscription(self, wish.selection, options).await?;
        let is_live = options.since.is_none() && options.after.is_none();
        loop {
            let new = NewSubscription {
                what: what.clone(),
                is_live,
                encoder: Arc::clone(&encoder),
                acknowledge: Some(answer::done(message)),
            };
            match remote.subscribe(new) {
                Ok(id) => return Ok(Some(id)),
                Err(RemoteError::Gone) => return Ok(None),
                Err(RemoteError::Full) => tokio::time::sleep(AGAIN).await,
                Err(error) => return Err(Problem::new(429, error.to_string())),
            }
        }
    }

    /// A part of the events: those that a group gives this socket, whose Pongs are its receipts.
    async fn join(
        &self,
        message: &str,
        group: &str,
        wish: crate::pattern::Wish,
        encoder: Arc<dyn Encoder>,
    ) -> Result<Option<SubscriptionId>, Problem> {
        let Some(remote) = self.remote() else { return Ok(None) };
        let mut seat = self.octave.seat(self, group, wish.selection, encoder).await?;
        loop {
            match remote.join(seat, Some(&answer::done(message))) {
                Ok(id) => return Ok(Some(id)),
                Err((RemoteError::Gone, _)) => return Ok(None),
                Err((RemoteError::Full, back)) => seat = back,
                Err((error, _)) => return Err(Problem::new(429, error.to_string())),
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn unsubscribe(&self, message: &str, key: &Key) {
        let ended = self.state().leave(key);
        match ended {
            // What was posted before it was unsubscribed comes before the answer.
            Some(id) => {
                let until = self.octave.end(self).await;
                self.end(id, until, Some(&answer::done(message))).await;
            }
            None => self.send(answer::done(message)).await,
        }
    }

    /// A stream was removed: its subscription ends without a word (compat/octave.md 5.3).
    pub(crate) async fn removed(&self, stream: StreamId) {
        let key = Key::Stream {
            id: stream,
            by_id: true,
            by_path: true,
        };
        let ended = self.state().remove(&key);
        if let Some(subscribed) = ended {
            self.end(subscribed.id, None, None).await;
        }
    }

    async fn end(&self, id: SubscriptionId, until: Option<Position>, acknowledge: Option<&str>) {
        let Some(remote) = self.remote() else { return };
        while remote.unsubscribe(id, until.clone(), acknowledge) == Err(RemoteError::Full) {
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn send(&self, text: String) {
        let Some(remote) = self.remote() else { return };
        while remote.send(&text) == Err(RemoteError::Full) {
            tokio::time::sleep(AGAIN).await;
        }
    }

    fn remote(&self) -> Option<Remote> {
        self.state().remote.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn len(&self) -> usize {
        self.streams.len() + self.patterns.len()
    }

    /// Where a stream is, or would be.
    fn place(&self, stream: StreamId) -> Result<usize, usize> {
        self.streams.binary_search_by_key(&stream, |(id, _)| *id)
    }

    fn get_mut(&mut self, key: &Key) -> Option<&mut Subscribed> {
        match key {
            Key::Stream { id, .. } => {
                let at = self.place(*id).ok()?;
                Some(&mut self.streams[at].1)
            }
            Key::Pattern(pattern) => self.patterns.get_mut(pattern),
        }
    }

    fn insert(&mut self, key: Key, id: SubscriptionId, options: u32) {
        let mut subscribed = Subscribed {
            id,
            options,
            by_id: false,
            by_path: false,
        };
        subscribed.name(&key);
        match key {
            Key::Stream { id: stream, .. } => match self.place(stream) {
                Ok(at) => self.streams[at].1 = subscribed,
                Err(at) => self.streams.insert(at, (stream, subscribed)),
            },
            Key::Pattern(pattern) => drop(self.patterns.insert(pattern, subscribed)),
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Subscribed> {
        match key {
            Key::Stream { id, .. } => {
                let at = self.place(*id).ok()?;
                Some(self.streams.remove(at).1)
            }
            Key::Pattern(pattern) => self.patterns.remove(pattern),
        }
    }

    /// Takes back what named a subscription; gives it once nothing names it any more (compat/octave.md 5.3).
    fn leave(&mut self, key: &Key) -> Option<SubscriptionId> {
        let subscribed = self.get_mut(key)?;
        if let Key::Stream { by_id, by_path, .. } = key {
            subscribed.by_id &= !by_id;
            subscribed.by_path &= !by_path;
            if subscribed.by_id || subscribed.by_path {
                return None;
            }
        }
        self.remove(key).map(|subscribed| subscribed.id)
    }
}

impl Subscribed {
    fn name(&mut self, key: &Key) {
        if let Key::Stream { by_id, by_path, .. } = key {
            self.by_id |= by_id;
            self.by_path |= by_path;
        }
    }
}

fn sum_of(options: &Options) -> u32 {
    if *options == Options::default() {
        return 0;
    }
    let mut hasher = DefaultHasher::new();
    let Options {
        filter,
        fields,
        since,
        after,
        group,
    } = options;
    (filter, fields, since, after, group).hash(&mut hasher);
    hasher.finish() as u32 | 1
}
