//! An event as groups hold it until its receipt: in memory of its own, with its frames, each made once for all groups and
//! members.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use bytestring::ByteString;
use jiff::Timestamp;
use sockeye_event::Event;
use sockeye_log::Position;

use crate::lanes::deflated;
use crate::metrics::{Held, Metrics};
use crate::segment::Entry;
use crate::session::{Encoder, text_frame};

/// A share of an event.
#[derive(Clone, Debug)]
pub(crate) struct Item(Arc<Shared>);

/// Where a segment keeps the event for the next group that wants it, as long as one has it.
#[derive(Debug, Default)]
pub(crate) struct Place(Mutex<Weak<Shared>>);

#[derive(Debug)]
struct Shared {
    event: Event,
    /// Of the texts and the payload.
    bytes: usize,
    partition: u32,
    offset: u64,
    time: Timestamp,
    /// Behind the event.
    behind: Position,
    frames: Mutex<Vec<Made>>,
    _held: Held,
}

/// A frame that was made: by which encoder, compressed or not.
#[derive(Debug)]
struct Made {
    form: Box<str>,
    deflate: bool,
    frame: Bytes,
    _held: Held,
}

/// How events look to a member.
#[derive(Clone)]
pub(crate) struct Form {
    first: Arc<dyn Encoder>,
    /// For events that were delivered before, if they look otherwise.
    again: Option<Arc<dyn Encoder>>,
    deflate: bool,
}

// ----------------------------------------------------------------------------------------------

impl Item {
    /// The event of an entry; `behind` is the position behind it.
    pub(crate) fn of(entry: &Entry, behind: &Position, metrics: &Metrics) -> Self {
        let mut place = entry.item.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = place.upgrade() {
            return Self(shared);
        }
        let event = entry.event.detached();
        let bytes = event.size();
        let shared = Arc::new(Shared {
            event,
            bytes,
            partition: entry.partition,
            offset: entry.offset,
            time: entry.time,
            behind: behind.clone(),
            frames: Mutex::default(),
            _held: metrics.hold_for_groups(bytes + size_of::<Shared>()),
        });
        *place = Arc::downgrade(&shared);
        Self(shared)
    }

    pub(crate) fn event(&self) -> &Event {
        &self.0.event
    }

    /// Partition and offset.
    pub(crate) fn place(&self) -> (u32, u64) {
        (self.0.partition, self.0.offset)
    }

    /// When it was appended.
    pub(crate) fn time(&self) -> Timestamp {
        self.0.time
    }

    /// Its frame for a member.
    pub(crate) fn frame(&self, form: &Form, redelivered: bool, metrics: &Metrics) -> Bytes {
        let encoder = match &form.again {
            Some(again) if redelivered => again,
            _ => &form.first,
        };
        let (name, deflate) = (encoder.name(), form.deflate);
        let mut frames = self.0.frames.lock().unwrap_or_else(PoisonError::into_inner);
        let find = |frames: &[Made], deflate| {
            let made = frames
                .iter()
                .find(|made| (&*made.form, made.deflate) == (name, deflate));
            made.map(|made| made.frame.clone())
        };
        if let Some(frame) = find(&frames, deflate) {
            return frame;
        }
        let plain = find(&frames, false).or_else(|| {
            let Shared {
                partition,
                offset,
                time,
                ..
            } = *self.0;
            let place = crate::session::Place {
                partition,
                offset,
                time,
            };
            text_frame(&**encoder, self.event(), place, &self.0.behind)
        });
        let frame = if deflate { plain.map(deflated) } else { plain };
        // What is not shown is nothing on the wire, and receipted like the rest.
        let frame = frame.unwrap_or_default();
        frames.push(Made {
            form: name.into(),
            deflate,
            frame: frame.clone(),
            _held: metrics.hold_for_groups(frame.len() + size_of::<Made>()),
        });
        frame
    }
}

impl sockeye_group::Item for Item {
    fn id(&self) -> &str {
        &self.0.event.id
    }

    /// Events of no device stay together.
    fn device(&self) -> &ByteString {
        static NONE: ByteString = ByteString::from_static("");
        self.0.event.device().unwrap_or(&NONE)
    }

    fn bytes(&self) -> usize {
        self.0.bytes
    }
}

impl Form {
    pub(crate) fn new(encoder: Arc<dyn Encoder>, deflate: bool) -> Self {
        Self {
            again: encoder.redelivered(),
            first: encoder,
            deflate,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::segment::tests::{entry, position};

    /// Counts what it encodes.
    #[derive(Default)]
    struct Counting(Arc<Mutex<u32>>, bool);

    impl Encoder for Counting {
        fn name(&self) -> &'static str {
            if self.1 { "again" } else { "first" }
        }

        fn encode(&self, _: &Event, behind: &Position, out: &mut BytesMut) {
            *self.0.lock().unwrap() += 1;
            out.extend_from_slice(self.name().repeat(30).as_bytes());
            out.extend_from_slice(behind.to_string().as_bytes());
        }

        fn redelivered(&self) -> Option<Arc<dyn Encoder>> {
            Some(Arc::new(Self(Arc::clone(&self.0), true)))
        }
    }

    #[test]
    fn frames_are_made_once_for_all() {
        let (metrics, entry) = (Metrics::default(), entry(0, 7));
        let encoded = Arc::new(Mutex::new(0));
        let form = |deflate| Form::new(Arc::new(Counting(Arc::clone(&encoded), false)), deflate);
        let (one, two) = (
            Item::of(&entry, &position(8), &metrics),
            Item::of(&entry, &position(8), &metrics),
        );
        assert!(Arc::ptr_eq(&one.0, &two.0), "groups share it");
        assert_eq!(one.place(), (0, 7));
        let plain = one.frame(&form(false), false, &metrics);
        assert_eq!(two.frame(&form(false), false, &metrics).as_ptr(), plain.as_ptr());
        let small = two.frame(&form(true), false, &metrics);
        assert!(small.len() < plain.len());
        assert_eq!(*encoded.lock().unwrap(), 1);
        let again = one.frame(&form(false), true, &metrics);
        assert_ne!(again, plain);
        assert_eq!(two.frame(&form(false), true, &metrics), again);
        assert_eq!(*encoded.lock().unwrap(), 2);
        let frames = plain.len() + small.len() + again.len() + 3 * size_of::<Made>();
        assert_eq!(metrics.group_bytes(), frames + one.0.bytes + size_of::<Shared>());
        drop(two);
        assert!(Arc::ptr_eq(&one.0, &Item::of(&entry, &position(8), &metrics).0));
        drop(one);
        assert_eq!(metrics.group_bytes(), 0, "a segment keeps nothing that no group has");
    }
}
