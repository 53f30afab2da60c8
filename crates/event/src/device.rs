//! Events of devices: what an ingest path knows, made into an event (compat/drogue.md 2.2).

use bytes::Bytes;
use bytestring::ByteString;
use jiff::Timestamp;
use sockeye_limits::{EVENT_PAYLOAD, EXTENSIONS};

use crate::attribute::{absolute_uri, extension_name, printable};
use crate::event::TYPE_EVENT;
use crate::json::{self, JsonError};
use crate::name::{self, NameError};
use crate::origin::{OWN, Origin, random_id};
use crate::{Event, EventError, Value, content_type};

/// What an ingest path knows of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceEvent {
    /// Where it comes from.
    pub origin: Origin,
    /// The channel it was published to.
    pub channel: ByteString,
    /// The device's own id; else it becomes a random UUID.
    pub id: Option<ByteString>,
    /// When it happened by the device's own clock, or when it came in.
    pub time: Timestamp,
    /// The content type as declared; empty is undeclared.
    pub content_type: Option<ByteString>,
    /// The schema of the payload: an absolute URI.
    pub data_schema: Option<ByteString>,
    /// Extensions that the device sent. Those of Sockeye (`application`, `device`, .., `partitionkey`) are replaced: a device
    /// does not choose who it is.
    pub extensions: Vec<(ByteString, Value)>,
    /// The payload as it came; `None` if the event has none.
    pub payload: Option<Bytes>,
}

/// Why an event of a device is not taken. The text names the field and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The payload is not what its content type says.
    #[error("the payload is {error}; its content type says `{content_type}`: correct one of them")]
    NotJson {
        /// The type as declared.
        content_type: ByteString,
        /// What is wrong with the payload.
        error: JsonError,
    },
    /// The payload is too large.
    #[error("the payload has {size} bytes, {EVENT_PAYLOAD} are allowed")]
    TooLarge {
        /// Its bytes.
        size: usize,
    },
    /// An attribute is not what CloudEvents or a limit allows.
    #[error(transparent)]
    Attribute(#[from] EventError),
    /// The channel is not allowed.
    #[error(transparent)]
    Name(#[from] NameError),
}

// ----------------------------------------------------------------------------------------------

impl DeviceEvent {
    /// Makes the event.
    ///
    /// # Errors
    /// Something that the device sent is not allowed.
    pub fn into_event(self) -> Result<Event, Rejected> {
        name::channel(&self.channel)?;
        if let Some(id) = &self.id {
            printable("id", id)?;
            if id.is_empty() {
                return Err(EventError::invalid("id", "must not be empty").into());
            }
        }
        if let Some(uri) = &self.data_schema {
            printable("data_schema", uri)?;
            absolute_uri("data_schema", uri)?;
        }
        let mut extensions = self.origin.extensions();
        add_extensions(&mut extensions, self.extensions)?;
        Ok(Event {
            id: self.id.unwrap_or_else(random_id),
            source: self.origin.source(),
            ty: ByteString::from_static(TYPE_EVENT),
            data_content_type: checked_content_type(self.content_type, self.payload.as_deref())?,
            data_schema: self.data_schema,
            subject: Some(self.channel),
            time: Some(self.time),
            extensions,
            data: self.payload,
        })
    }
}

/// The type to store: as declared, if the payload is what it says; by the payload's look if none was declared.
fn checked_content_type(declared: Option<ByteString>, payload: Option<&[u8]>) -> Result<Option<ByteString>, Rejected> {
    if let Some(size) = payload.map(<[u8]>::len).filter(|size| *size > EVENT_PAYLOAD) {
        return Err(Rejected::TooLarge { size });
    }
    let declared = declared
        .map(|text| content_type::normalised(&text))
        .filter(|text| !text.is_empty());
    match (declared, payload) {
        (Some(content_type), payload) => {
            printable("datacontenttype", &content_type)?;
            if let Some(payload) = payload.filter(|_| content_type::is_json(&content_type))
                && let Err(error) = json::validate(payload)
            {
                return Err(Rejected::NotJson { content_type, error });
            }
            Ok(Some(content_type))
        }
        (None, Some(payload)) => {
            let found = if json::is_json(payload) {
                content_type::JSON
            } else {
                content_type::OCTET_STREAM
            };
            Ok(Some(ByteString::from_static(found)))
        }
        (None, None) => Ok(None),
    }
}

/// Adds the device's own extensions, checked, without those that are Sockeye's to set.
fn add_extensions(to: &mut Vec<(ByteString, Value)>, from: Vec<(ByteString, Value)>) -> Result<(), EventError> {
    for (at, (name, value)) in from.into_iter().enumerate() {
        if at == EXTENSIONS {
            return Err(EventError::invalid(
                &*name,
                format!("is one too many: {EXTENSIONS} extensions are allowed"),
            ));
        }
        if OWN.contains(&&*name) {
            continue;
        }
        extension_name(name.as_bytes())?;
        if let Value::String(text) = &value {
            printable(&name, text)?;
        }
        to.push((name, value));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::origin::Party;

    fn party(name: &str, uid: Option<&str>) -> Party {
        Party {
            name: name.into(),
            uid: uid.map(Into::into),
        }
    }

    fn plain() -> DeviceEvent {
        DeviceEvent {
            origin: Origin {
                application: party("my-app", Some("a-uid")),
                device: party("room 1/ü", Some("d-uid")),
                sender: party("gw.1", None),
                instance: "drogue".into(),
            },
            channel: "sensor".into(),
            id: None,
            time: Timestamp::from_second(1).unwrap(),
            content_type: None,
            data_schema: None,
            extensions: vec![],
            payload: Some(Bytes::from_static(b"{ }")),
        }
    }

    fn text(pairs: &[(&str, &str)]) -> Vec<(ByteString, Value)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect()
    }

    #[test]
    fn every_attribute_has_its_value() {
        let mut event = plain().into_event().unwrap();
        assert_eq!(Uuid::try_parse(&event.id).unwrap().get_version_num(), 4);
        event.id = "id".into();
        let expected = Event {
            id: "id".into(),
            source: "drogue://my-app/room%201%2F%C3%BC".into(),
            ty: "io.drogue.event.v1".into(),
            data_content_type: Some("application/json".into()),
            data_schema: None,
            subject: Some("sensor".into()),
            time: Some(Timestamp::from_second(1).unwrap()),
            extensions: text(&[
                ("application", "my-app"),
                ("applicationuid", "a-uid"),
                ("device", "room 1/ü"),
                ("deviceuid", "d-uid"),
                ("sender", "gw.1"),
                ("instance", "drogue"),
                ("partitionkey", "my%2Dapp/gw%2E1"),
            ]),
            data: Some(Bytes::from_static(b"{ }")),
        };
        assert_eq!(event, expected);
    }

    #[test]
    fn content_types() {
        for (declared, payload, stored) in [
            (None, Some("{\"a\": 1}"), Some("application/json")),
            (None, Some("21.5"), Some("application/json")),
            (None, Some("21,5"), Some("application/octet-stream")),
            (None, Some(""), Some("application/octet-stream")),
            (Some(""), Some(""), Some("application/octet-stream")),
            (None, None, None),
            (Some("application/json"), None, Some("application/json")),
            (
                Some("application/json; charset=utf-8"),
                Some("[]"),
                Some("application/json; charset=utf-8"),
            ),
            (
                Some("Application/Senml+JSON; X=Y"),
                Some("[]"),
                Some("application/senml+json; X=Y"),
            ),
            (Some("text/plain"), Some("{"), Some("text/plain")),
            (
                Some("application/json-seq"),
                Some("{}\n{}"),
                Some("application/json-seq"),
            ),
        ] {
            let given = (declared, payload);
            let payload = payload.map(str::as_bytes);
            let found = checked_content_type(declared.map(Into::into), payload).unwrap();
            assert_eq!(found.as_deref(), stored, "{given:?}");
        }
    }

    #[test]
    fn what_is_not_allowed_is_told_by_name() {
        type Change = fn(&mut DeviceEvent);
        let cases: [(Change, &str); 13] = [
            (
                |e| (e.content_type, e.payload) = (Some("application/json".into()), Some(Bytes::from_static(b"{a}"))),
                "the payload is not JSON at byte 1: expected a key in double quotes; its content type says \
                 `application/json`: correct one of them",
            ),
            (
                |e| (e.content_type, e.payload) = (Some("a/b+json; c=d".into()), Some(Bytes::new())),
                "the payload is not JSON at byte 0: expected a value; its content type says `a/b+json; c=d`: correct one of \
                 them",
            ),
            (
                |e| e.payload = Some(vec![b'1'; 65_537].into()),
                "the payload has 65537 bytes, 65536 are allowed",
            ),
            (
                |e| e.channel = "".into(),
                "the name of a channel must have 1 to 255 bytes and no control characters",
            ),
            (|e| e.id = Some("".into()), "the attribute `id` must not be empty"),
            (
                |e| e.id = Some("a\u{9}".into()),
                "the attribute `id` must not contain control characters",
            ),
            (
                |e| e.id = Some("x".repeat(4097).into()),
                "the attribute `id` has 4097 bytes, 4096 are allowed",
            ),
            (
                |e| e.data_schema = Some("foo".into()),
                "the attribute `data_schema` must be an absolute URI, such as `https://example.com/schema`",
            ),
            (
                |e| e.content_type = Some("a/b;\0".into()),
                "the attribute `datacontenttype` must not contain control characters",
            ),
            (
                |e| e.extensions = text(&[("Site", "x")]),
                "the attribute `Site` must have a name of lower-case letters (a-z) and digits",
            ),
            (
                |e| e.extensions = text(&[("time", "x")]),
                "the attribute `time` cannot be an extension: CloudEvents defines it",
            ),
            (
                |e| e.extensions = text(&[("site", "\n")]),
                "the attribute `site` must not contain control characters",
            ),
            (
                |e| e.extensions = (0..33).map(|n| (format!("x{n}").into(), "".into())).collect(),
                "the attribute `x32` is one too many: 32 extensions are allowed",
            ),
        ];
        for (change, message) in cases {
            let mut event = plain();
            change(&mut event);
            assert_eq!(event.into_event().unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn a_device_does_not_choose_who_it_is() {
        let mut event = plain();
        event.extensions = text(&[
            ("device", "other"),
            ("senderuid", "x"),
            ("site", ""),
            ("partitionkey", "x"),
        ]);
        let event = event.into_event().unwrap();
        assert_eq!(event.device().map(|name| &**name), Some("room 1/ü"));
        assert_eq!(event.extension("senderuid"), None);
        assert_eq!(
            event
                .extensions
                .iter()
                .filter(|(name, _)| name == "partitionkey")
                .count(),
            1
        );
        assert_eq!(event.extensions.last(), Some(&("site".into(), "".into())));
    }
}
