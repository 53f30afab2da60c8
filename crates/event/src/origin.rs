//! Where an event comes from, and the attributes that say so (compat/drogue.md 2.2, 2.3).

use std::fmt::Display;

use bytes::Bytes;
use bytestring::ByteString;
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use crate::event::{TYPE_CONNECTION, extension};
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
}
