//! Where an event comes from, and the attributes that say so (compat/drogue.md 2.2); events of the platform itself (2.3, 2.4).

use std::fmt::Display;

use bytes::Bytes;
use bytestring::ByteString;
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use crate::event::{TYPE_CONNECTION, TYPE_REGISTRY, extension};
use crate::{Event, Value, content_type};

/// Where an event comes from and who delivered it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The application.
    pub application: Party,
    /// The device in which the event originated.
    pub device: Party,
    /// The device that delivered it; the same unless a gateway did.
    pub sender: Party,
    /// The configured name of this installation.
    pub instance: ByteString,
}

/// An application or a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Its name.
    pub name: ByteString,
    /// Its uid as text (made once where it is cached); `None` if unknown.
    pub uid: Option<ByteString>,
}

/// What became of a device in the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was made.
    Created,
    /// It is another now.
    Updated,
    /// It is gone.
    Deleted,
}

/// Names of the extensions that say who sent what; only Sockeye sets them.
pub(crate) const OWN: [&str; 8] = [
    extension::APPLICATION,
    extension::APPLICATION_UID,
    extension::DEVICE,
    extension::DEVICE_UID,
    extension::SENDER,
    extension::SENDER_UID,
    extension::INSTANCE,
    extension::PARTITION_KEY,
];

// ----------------------------------------------------------------------------------------------

/// The event that a device connected or disconnected.
pub fn connection_event(origin: &Origin, connected: bool, time: Timestamp) -> Event {
    let data: &[u8] = if connected {
        b"{\"connected\":true}"
    } else {
        b"{\"connected\":false}"
    };
    Event {
        id: random_id(),
        source: origin.source(),
        ty: ByteString::from_static(TYPE_CONNECTION),
        data_content_type: Some(ByteString::from_static(content_type::JSON)),
        data_schema: None,
        subject: Some(ByteString::from_static("connection")),
        time: Some(time),
        extensions: origin.extensions(),
        data: Some(Bytes::from_static(data)),
    }
}

/// The event that a device was changed in the registry (compat/drogue.md 2.4, decision 6): without payload. What the reference does
/// not tell, the extension `change` does: `created`, `updated` or `deleted`.
pub fn registry_event(origin: &Origin, change: Change, id: impl Into<ByteString>, time: Timestamp) -> Event {
    let mut extensions = origin.extensions();
    extensions.push((ByteString::from_static(extension::CHANGE), change.as_str().into()));
    Event {
        id: id.into(),
        source: origin.source(),
        ty: ByteString::from_static(TYPE_REGISTRY),
        data_content_type: None,
        data_schema: None,
        subject: Some(ByteString::from_static("devices")),
        time: Some(time),
        extensions,
        data: None,
    }
}

impl Change {
    /// As the extension `change` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        }
    }

    /// What the extension `change` says.
    pub fn of(text: &str) -> Option<Self> {
        [Self::Created, Self::Updated, Self::Deleted]
            .into_iter()
            .find(|change| change.as_str() == text)
    }
}

pub(crate) fn random_id() -> ByteString {
    Uuid::new_v4().to_string().into()
}

impl Origin {
    /// `drogue://<application>/<device>`, the device percent-encoded.
    pub(crate) fn source(&self) -> ByteString {
        format!("drogue://{}/{}", self.application.name, encoded(&self.device.name)).into()
    }

    /// The extensions that every event of this origin carries.
    pub(crate) fn extensions(&self) -> Vec<(ByteString, Value)> {
        let mut extensions = Vec::with_capacity(OWN.len());
        let mut put = |name, value: &ByteString| {
            extensions.push((ByteString::from_static(name), Value::String(value.clone())));
        };
        for (name_of, uid_of, party) in [
            (extension::APPLICATION, extension::APPLICATION_UID, &self.application),
            (extension::DEVICE, extension::DEVICE_UID, &self.device),
            (extension::SENDER, extension::SENDER_UID, &self.sender),
        ] {
            put(name_of, &party.name);
            if let Some(uid) = &party.uid {
                put(uid_of, uid);
            }
        }
        put(extension::INSTANCE, &self.instance);
        let partition_key = format!("{}/{}", encoded(&self.application.name), encoded(&self.sender.name));
        put(extension::PARTITION_KEY, &partition_key.into());
        extensions
    }
}

/// Percent-encoded as the reference does it: everything but letters and digits of ASCII.
fn encoded(name: &str) -> impl Display {
    utf8_percent_encode(name, NON_ALPHANUMERIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        let party = |name: &str, uid: Option<&str>| Party {
            name: name.into(),
            uid: uid.map(Into::into),
        };
        Origin {
            application: party("my-app", Some("a-uid")),
            device: party("dev.1", Some("d-uid")),
            sender: party("dev.1", Some("d-uid")),
            instance: "drogue".into(),
        }
    }

    #[test]
    fn a_connection_event_tells_of_the_device() {
        let event = connection_event(&origin(), true, Timestamp::UNIX_EPOCH);
        assert_eq!(
            (&*event.ty, event.subject.as_deref()),
            ("io.drogue.connection.v1", Some("connection"))
        );
        assert_eq!(event.data.as_deref(), Some(&br#"{"connected":true}"#[..]));
        assert_eq!(event.data_content_type.as_deref(), Some("application/json"));
        assert_eq!(event.source, "drogue://my-app/dev%2E1");
        assert_eq!(event.device().map(|name| &**name), Some("dev.1"));
        let event = connection_event(&origin(), false, Timestamp::UNIX_EPOCH);
        assert_eq!(event.data.as_deref(), Some(&br#"{"connected":false}"#[..]));
    }

    #[test]
    fn a_registry_event_tells_what_became_of_the_device_and_has_no_payload() {
        for change in [Change::Created, Change::Updated, Change::Deleted] {
            let event = registry_event(&origin(), change, "7", Timestamp::UNIX_EPOCH);
            let mut text = bytes::BytesMut::new();
            crate::structured::encode(&event, &mut text);
            let text = std::str::from_utf8(&text).unwrap();
            let expected = format!(
                r#"{{"specversion":"1.0","id":"7","type":"io.drogue.registry.v1","source":"drogue://my-app/dev%2E1","subject":"devices","time":"1970-01-01T00:00:00Z","application":"my-app","applicationuid":"a-uid","device":"dev.1","deviceuid":"d-uid","sender":"dev.1","senderuid":"d-uid","instance":"drogue","partitionkey":"my%2Dapp/dev%2E1","change":"{}"}}"#,
                change.as_str()
            );
            assert_eq!(text, expected);
            assert_eq!(Change::of(change.as_str()), Some(change));
        }
        assert_eq!(Change::of("moved"), None);
    }
}
