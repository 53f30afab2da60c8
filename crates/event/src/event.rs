//! One CloudEvents 1.0 event.

use bytes::Bytes;
use bytestring::ByteString;
use jiff::Timestamp;

/// Type of an event that a device published (compat/drogue.md 2.1).
pub const TYPE_EVENT: &str = "io.drogue.event.v1";
/// Type of an event that tells of a device that connected or disconnected.
pub const TYPE_CONNECTION: &str = "io.drogue.connection.v1";
/// Type of an event that tells of a change in the registry.
pub const TYPE_REGISTRY: &str = "io.drogue.registry.v1";

/// Names of the extensions that Sockeye itself writes (compat/drogue.md 2.2).
pub mod extension {
    /// Name of the application.
    pub const APPLICATION: &str = "application";
    /// Uid of the application.
    pub const APPLICATION_UID: &str = "applicationuid";
    /// Name of the device in which the event originated.
    pub const DEVICE: &str = "device";
    /// Uid of the device in which the event originated.
    pub const DEVICE_UID: &str = "deviceuid";
    /// Name of the device that delivered the event.
    pub const SENDER: &str = "sender";
    /// Uid of the device that delivered the event.
    pub const SENDER_UID: &str = "senderuid";
    /// The configured name of this installation.
    pub const INSTANCE: &str = "instance";
    /// What must stay in order: application and sender.
    pub const PARTITION_KEY: &str = "partitionkey";
    /// Of a registry event: what became of the device ([`crate::origin::Change`]).
    pub const CHANGE: &str = "change";
}

/// A CloudEvents 1.0 event. Strings share the buffer of the record they were read from.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// `id`: with `source` unique per event.
    pub id: ByteString,
    /// `source`: a URI reference.
    pub source: ByteString,
    /// `type`.
    pub ty: ByteString,
    /// `datacontenttype`, with its parameters.
    pub data_content_type: Option<ByteString>,
    /// `dataschema`: an absolute URI.
    pub data_schema: Option<ByteString>,
    /// `subject`: the channel of a device event.
    pub subject: Option<ByteString>,
    /// `time`.
    pub time: Option<Timestamp>,
    /// Extension attributes, in the order in which they are written.
    pub extensions: Vec<(ByteString, Value)>,
    /// The payload; `None` if the event carries none, which is not the same as an empty one.
    pub data: Option<Bytes>,
}

/// Value of an extension attribute. Binary mode knows strings only; structured mode carries the JSON kinds too
/// (CloudEvents JSON format 1.0.2, section 2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text.
    String(ByteString),
    /// A JSON number without fraction.
    Integer(i64),
    /// A JSON `true` or `false`.
    Boolean(bool),
}

/// Why something is no CloudEvents 1.0 event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// A required attribute is not there.
    #[error("the attribute `{0}` is missing")]
    Missing(&'static str),
    /// An attribute has a value that CloudEvents does not allow.
    #[error("the attribute `{name}` {problem}")]
    Invalid {
        /// Name of the attribute.
        name: String,
        /// What is wrong and what is allowed, to be read behind the name.
        problem: String,
    },
    /// The text is not JSON, or not the JSON that was expected.
    #[error("{0}")]
    Json(String),
}

// ----------------------------------------------------------------------------------------------

impl Event {
    /// The text of an extension; `None` if it is absent or no string.
    pub fn extension(&self, name: &str) -> Option<&ByteString> {
        self.extensions
            .iter()
            .find(|(n, _)| n == name)
            .and_then(|(_, value)| match value {
                Value::String(text) => Some(text),
                Value::Integer(_) | Value::Boolean(_) => None,
            })
    }

    /// The channel of a device event: its `subject`.
    pub fn channel(&self) -> Option<&ByteString> {
        self.subject.as_ref()
    }

    /// The device in which the event originated.
    pub fn device(&self) -> Option<&ByteString> {
        self.extension(extension::DEVICE)
    }

    /// Bytes of its texts and its payload.
    pub fn size(&self) -> usize {
        let texts: usize = self.texts().map(|text| text.len()).sum();
        texts + self.data.as_ref().map_or(0, Bytes::len)
    }

    /// The same event in memory of its own: one that is kept for long does not hold on to the record that it was read from, and
    /// to others beside it.
    #[must_use]
    pub fn detached(&self) -> Self {
        let mut all = String::with_capacity(self.texts().map(|text| text.len()).sum());
        self.texts().for_each(|text| all.push_str(text));
        let (all, mut at) = (ByteString::from(all), 0);
        let mut next = |text: &ByteString| {
            at += text.len();
            all.slice_ref(&all[at - text.len()..at])
        };
        // In the order of `texts`.
        Self {
            id: next(&self.id),
            source: next(&self.source),
            ty: next(&self.ty),
            data_content_type: self.data_content_type.as_ref().map(&mut next),
            data_schema: self.data_schema.as_ref().map(&mut next),
            subject: self.subject.as_ref().map(&mut next),
            time: self.time,
            extensions: self
                .extensions
                .iter()
                .map(|(name, value)| {
                    let name = next(name);
                    let value = match value {
                        Value::String(text) => Value::String(next(text)),
                        other => other.clone(),
                    };
                    (name, value)
                })
                .collect(),
            data: self.data.as_ref().map(|data| Bytes::copy_from_slice(data)),
        }
    }

    fn texts(&self) -> impl Iterator<Item = &ByteString> {
        let optional = [&self.data_content_type, &self.data_schema, &self.subject];
        let extensions = self.extensions.iter().flat_map(|(name, value)| {
            let value = match value {
                Value::String(text) => Some(text),
                Value::Integer(_) | Value::Boolean(_) => None,
            };
            [Some(name), value]
        });
        let attributes = [&self.id, &self.source, &self.ty].into_iter().map(Some);
        let optional = optional.into_iter().map(Option::as_ref);
        attributes.chain(optional).chain(extensions).flatten()
    }
}

impl EventError {
    /// An [`EventError::Invalid`].
    pub fn invalid(name: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid {
            name: name.into(),
            problem: problem.into(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detached_event_is_the_same_and_shares_nothing() {
        let record = Bytes::from_static(b"1stdappKueche");
        let text = |range: std::ops::Range<usize>| ByteString::try_from(record.slice(range)).unwrap();
        let mut event = Event {
            id: text(0..1),
            source: text(1..2),
            ty: text(2..3),
            data_content_type: None,
            data_schema: None,
            subject: Some(text(7..13)),
            time: Some(Timestamp::UNIX_EPOCH),
            extensions: vec![
                (text(3..4), Value::String(text(4..7))),
                ("n".into(), Value::Integer(7)),
                ("b".into(), Value::Boolean(true)),
            ],
            data: Some(record.slice(1..)),
        };
        let detached = event.detached();
        assert_eq!(detached, event);
        assert_eq!((event.size(), detached.size()), (27, 27));
        let inside = record.as_ptr_range();
        let shares = |text: &ByteString| inside.contains(&text.as_bytes().as_ptr());
        assert!(event.texts().any(shares) && !detached.texts().any(shares));
        assert!(!inside.contains(&detached.data.as_ref().unwrap().as_ptr()));
        event.subject = None;
        event.data = None;
        assert_eq!(event.detached(), event);
    }
}
