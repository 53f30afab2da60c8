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
