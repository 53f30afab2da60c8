//! Event frames (compat/octave.md 5.3), the same for all streams of a company: an event is encoded once, however many streams
//! are subscribed to, and by whom.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::{BufMut, BytesMut};
use bytestring::ByteString;
use sockeye_delivery::{Encoder, Place};
use sockeye_event::Event;
use sockeye_filter::Fields;
use sockeye_limits as limits;
use sockeye_log::Position;
use tokio::sync::{OnceCell, mpsc};

use crate::event::Shown;
use crate::id::StreamId;
use crate::name::StreamName;

/// The ids of an application's streams.
pub(crate) struct Ids {
    pub(crate) application: ByteString,
    /// The application's uid.
    pub(crate) uid: ByteString,
    /// Streams with ids that somebody gave them.
    given: RwLock<HashMap<StreamName, StreamId>>,
    /// Ids that the registry has.
    known: Mutex<HashSet<StreamId>>,
    /// Whether all ids that somebody gave are known.
    pub(crate) all: OnceCell<()>,
    /// Where ids go that a client is about to see.
    seen: mpsc::Sender<Seen>,
}

/// A stream whose id a client is about to see.
pub(crate) struct Seen {
    pub(crate) ids: Arc<Ids>,
    pub(crate) name: StreamName,
    pub(crate) id: StreamId,
}

/// Events as a client sees them that calls the application so.
pub(crate) struct Frames {
    name: String,
    company: String,
    ids: Arc<Ids>,
    /// What of the elements is sent, if not all.
    fields: Option<Fields>,
}

// ----------------------------------------------------------------------------------------------

impl Ids {
    pub(crate) fn new(application: &str, uid: &str, seen: mpsc::Sender<Seen>) -> Self {
        Self {
            application: application.into(),
            uid: uid.into(),
            given: RwLock::default(),
            known: Mutex::default(),
            all: OnceCell::new(),
            seen,
        }
    }

    /// The id of a stream.
    pub(crate) fn of(&self, device: Option<&str>, channel: &str) -> StreamId {
        let given = self.given.read().unwrap_or_else(PoisonError::into_inner);
        if !given.is_empty() {
            let name = StreamName {
                device: device.map(ByteString::from),
                channel: channel.into(),
            };
            if let Some(id) = given.get(&name) {
                return *id;
            }
        }
        StreamId::derived(&self.uid, device, channel)
    }

    /// Notes that a stream has this id, if it is not the one that it would have anyway.
    pub(crate) fn learn(&self, name: &StreamName, id: StreamId) {
        if StreamId::derived(&self.uid, name.device.as_deref(), &name.channel) != id {
            let mut given = self.given.write().unwrap_or_else(PoisonError::into_inner);
            given.insert(name.clone(), id);
        }
    }

    /// A client is about to see the id: it is noted in the registry, unless it is there.
    fn show(self: &Arc<Self>, id: StreamId, event: &Event) {
        if self.known().contains(&id) {
            return;
        }
        let name = StreamName {
            device: event.device().cloned(),
            channel: event.channel().cloned().unwrap_or_default(),
        };
        // If there is no room now, its next event has another try.
        let _ = self.seen.try_send(Seen {
            ids: Arc::clone(self),
            name,
            id,
        });
    }

    /// Notes that the registry has this id.
    pub(crate) fn is_there(&self, id: StreamId) {
        let mut known = self.known();
        if known.len() >= limits::OCTAVE_KNOWN_STREAMS {
            known.clear();
        }
        known.insert(id);
    }

    fn known(&self) -> MutexGuard<'_, HashSet<StreamId>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets an id that somebody gave to a stream.
    pub(crate) fn forget(&self, id: StreamId) {
        let mut given = self.given.write().unwrap_or_else(PoisonError::into_inner);
        given.retain(|_, other| *other != id);
        self.known().remove(&id);
    }
}

impl Frames {
    pub(crate) fn new(company: &str, ids: Arc<Ids>, fields: Option<Fields>) -> Self {
        let mut name = format!("octave {company} of {}", ids.uid);
        if let Some(fields) = &fields {
            let _ = write!(name, ", fields={fields}");
        }
        Self {
            name,
            company: company.to_owned(),
            ids,
            fields,
        }
    }
}

impl Encoder for Frames {
    fn name(&self) -> &str {
        &self.name
    }

    /// Who has no place shows the one before.
    fn encode(&self, event: &Event, behind: &Position, out: &mut BytesMut) {
        let (partition, next) = behind.offsets().first().copied().unwrap_or_default();
        let place = Place {
            partition,
            offset: next.saturating_sub(1),
            time: event.time.unwrap_or_default(),
        };
        self.encode_at(event, place, behind, out);
    }

    fn encode_at(&self, event: &Event, place: Place, behind: &Position, out: &mut BytesMut) {
        let device = event.device().map(|name| &**name);
        let channel = event.channel().map_or("", |name| &**name);
        let stream = self.ids.of(device, channel);
        let _ = write!(out, "{{\"type\":\"message\",\"resource\":\"{stream}\",\"value\":");
        let shown = Shown {
            event,
            place,
            incarnation: behind.incarnation(),
            stream,
            company: &self.company,
        };
        shown.write(self.fields.as_ref(), out);
        out.put_u8(b'}');
        self.ids.show(stream, event);
    }
}
