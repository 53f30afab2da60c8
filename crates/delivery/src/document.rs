//! What a dialect shows of an event as a JSON document, for filters that are about that document and not about the event.

use std::fmt;
use std::hash::{Hash, Hasher};

use bytes::BytesMut;
use sockeye_event::Event;

/// A kind of document: it is made of an event once, whatever the number of filters that are about it.
#[derive(Clone, Copy)]
pub struct Document {
    name: &'static str,
    make: fn(&Event, &mut BytesMut),
}

// ----------------------------------------------------------------------------------------------

impl Document {
    /// Documents of one name are made in the same way: `make` appends a JSON text, or nothing if the event has none of this kind.
    pub const fn new(name: &'static str, make: fn(&Event, &mut BytesMut)) -> Self {
        Self { name, make }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Appends the document of an event.
    pub fn make(&self, event: &Event, out: &mut BytesMut) {
        (self.make)(event, out);
    }
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Document {}

impl Hash for Document {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
