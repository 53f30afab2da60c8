//! How an event looks (compat/octave.md 5.3, 6.2): every key is there, null where nothing is known.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, BytesMut};
use jiff::Timestamp;
use sockeye_delivery::Place;
use sockeye_event::content_type::{WireForm, wire_form};
use sockeye_event::{Event, json};
use sockeye_filter::{Fields, Scratch};
use sockeye_log::Incarnation;

use crate::id::{self, EventId, StreamId};
use crate::name::write_path;

/// An event, and where it stands.
pub(crate) struct Shown<'a> {
    pub(crate) event: &'a Event,
    pub(crate) place: Place,
    pub(crate) incarnation: Incarnation,
    pub(crate) stream: StreamId,
    /// As the client calls the application.
    pub(crate) company: &'a str,
}

// ----------------------------------------------------------------------------------------------

/// The extension attribute with the `hash` of an event.
pub(crate) const HASH: &str = "hash";
/// The extension attribute with the id of whoever posted it.
pub(crate) const CREATOR: &str = "creator";

impl Shown<'_> {
    pub(crate) fn id(&self) -> EventId {
        EventId::of(self.place, self.incarnation)
    }

    pub(crate) fn created(&self) -> i64 {
        self.place.time.as_millisecond()
    }

    pub(crate) fn generated(&self) -> i64 {
        self.event.time.map_or(self.created(), Timestamp::as_millisecond)
    }

    /// Appends the object; with `fields` only what of the elements they select.
    pub(crate) fn write(&self, fields: Option<&Fields>, out: &mut BytesMut) {
        let event = self.event;
        out.reserve(512 + event.data.as_ref().map_or(0, bytes::Bytes::len));
        // To write to a buffer that grows does not fail.
        let _ = write!(
            out,
            "{{\"id\":\"{}\",\"streamId\":\"{}\",\"path\":\"",
            self.id(),
            self.stream
        );
        self.write_path(out);
        let creator = event.extension(CREATOR).map_or(id::DEVICES, |creator| &**creator);
        out.put_slice(b"\",\"creatorId\":\"");
        json::escape_into(creator, out);
        let (created, generated) = (self.created(), self.generated());
        let _ = write!(
            out,
            "\",\"lastEditorId\":null,\"creationDate\":{created},\"lastEditDate\":null,\"generatedDate\":{generated},\"hash\":"
        );
        match event.extension(HASH) {
            Some(hash) => {
                out.put_u8(b'"');
                json::escape_into(hash, out);
                out.put_u8(b'"');
            }
            None => out.put_slice(b"null"),
        }
        out.put_slice(b",\"location\":null,\"metadata\":null,\"tags\":{},\"version\":0,\"elems\":");
        elements(event, fields, out);
        out.put_u8(b'}');
    }

    /// Appends its path.
    pub(crate) fn write_path(&self, out: &mut BytesMut) {
        let device = self.event.device().map(|name| &**name);
        let channel = self.event.channel().map_or("", |name| &**name);
        out.put_u8(b'/');
        out.put_slice(self.company.as_bytes());
        let _ = write_path(device, channel, out);
    }
}

/// The payload, if it is a JSON object; else an object with it (compat/README.md).
fn elements(event: &Event, fields: Option<&Fields>, out: &mut BytesMut) {
    let Some(payload) = &event.data else {
        return out.put_slice(b"{}");
    };
    let start = out.len();
    let is_json = wire_form(event.data_content_type.as_deref()) == WireForm::Json;
    let is_object = payload.trim_ascii_start().first() == Some(&b'{');
    if is_json && (is_object || fields.is_none()) {
        if !is_object {
            out.put_slice(b"{\"value\":");
        }
        let written = match fields {
            None => json::compact(payload, out).is_ok(),
            Some(fields) if json::is_json(payload) => {
                if !fields.project(payload, &mut Scratch::default(), out) {
                    out.put_slice(b"{}");
                }
                true
            }
            Some(_) => false,
        };
        if written {
            if !is_object {
                out.put_u8(b'}');
            }
            return;
        }
        out.truncate(start);
    }
    if fields.is_some() {
        // What has no fields has nothing that could be selected.
        return out.put_slice(b"{}");
    }
    out.put_slice(b"{\"value\":\"");
    out.put_slice(STANDARD.encode(payload).as_bytes());
    out.put_slice(b"\"}");
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use sockeye_event::event::TYPE_EVENT;

    use super::*;

    fn shown(content_type: &str, payload: Option<&str>, fields: Option<&str>) -> serde_json::Value {
        let event = Event {
            id: "1".into(),
            source: "s".into(),
            ty: TYPE_EVENT.into(),
            data_content_type: Some(content_type.into()),
            data_schema: None,
            subject: Some("a/b".into()),
            time: Some(Timestamp::from_millisecond(1_705_095_874_002).unwrap()),
            extensions: vec![("device".into(), "pump 7".into())],
            data: payload.map(|payload| Bytes::copy_from_slice(payload.as_bytes())),
        };
        let shown = Shown {
            event: &event,
            place: Place {
                partition: 0,
                offset: 5,
                time: Timestamp::from_microsecond(1_705_095_875_123_999).unwrap(),
            },
            incarnation: Incarnation(1),
            stream: StreamId::parse("s64f0c1a2b3d4e5f60718293a").unwrap(),
            company: "acme",
        };
        let mut out = BytesMut::new();
        shown.write(fields.map(|fields| fields.parse().unwrap()).as_ref(), &mut out);
        assert!(!out.contains(&b'\n'));
        let text = std::str::from_utf8(&out).unwrap();
        let before = r#"{"id":"e000000000000000005000001","streamId":"s64f0c1a2b3d4e5f60718293a","path":"/acme/devices/pump%207/a/b","creatorId":"i000000000000000000000001","lastEditorId":null,"creationDate":1705095875123,"lastEditDate":null,"generatedDate":1705095874002,"hash":null,"location":null,"metadata":null,"tags":{},"version":0,"elems":"#;
        let elements = text.strip_prefix(before).unwrap_or_else(|| panic!("{text}"));
        serde_json::from_str(elements.strip_suffix('}').unwrap()).unwrap()
    }

    fn check(content_type: &str, payload: Option<&str>, fields: Option<&str>, expected: &str) {
        let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
        assert_eq!(
            shown(content_type, payload, fields),
            expected,
            "{content_type} {payload:?} {fields:?}"
        );
    }

    #[test]
    fn every_key_is_there_and_elements_are_an_object() {
        let json = "application/json";
        check(json, Some("{ \"a\" : {\n\"b\": 1.50 } }"), None, r#"{"a":{"b":1.50}}"#);
        check(json, Some("{}"), None, "{}");
        check(json, Some(" [1,\n2]"), None, r#"{"value":[1,2]}"#);
        check(json, Some("42"), None, r#"{"value":42}"#);
        check(json, Some("{no"), None, r#"{"value":"e25v"}"#);
        check("text/plain", Some("{}"), None, r#"{"value":"e30="}"#);
        check("application/octet-stream", Some(""), None, r#"{"value":""}"#);
        check(json, None, None, "{}");
        check(
            json,
            Some(r#"{"a":{"b":1,"c":2},"d":3}"#),
            Some("a/b"),
            r#"{"a":{"b":1}}"#,
        );
        check(json, Some(r#"{"a":1}"#), Some("x"), "{}");
        check(json, Some("[1]"), Some("x"), "{}");
        check("text/plain", Some("x"), Some("x"), "{}");
    }
}
