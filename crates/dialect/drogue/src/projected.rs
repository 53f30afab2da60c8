//! Events of whose payload only some fields are wanted (compat/drogue.md, decision 9). Each stays a CloudEvent: its attributes are
//! all there.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sockeye_delivery::Encoder;
use sockeye_event::content_type::{WireForm, wire_form};
use sockeye_event::{Event, json};
use sockeye_filter::{Fields, Scratch};
use sockeye_log::Position;

/// Events as another encoder shows them, with what the selector selects of their payload.
pub(crate) struct Projected {
    encoder: Arc<dyn Encoder>,
    fields: Fields,
    name: String,
}

// ----------------------------------------------------------------------------------------------

impl Projected {
    pub(crate) fn new(encoder: Arc<dyn Encoder>, fields: Fields) -> Self {
        Self {
            name: format!("{}, fields={fields}", encoder.name()),
            encoder,
            fields,
        }
    }
}

impl Encoder for Projected {
    fn name(&self) -> &str {
        &self.name
    }

    fn encode(&self, event: &Event, behind: &Position, out: &mut BytesMut) {
        let mut event = event.clone();
        event.data = selected(&event, &self.fields);
        if event.data.is_none() {
            event.data_content_type = None;
        }
        self.encoder.encode(&event, behind, out);
    }

    fn redelivered(&self) -> Option<Arc<dyn Encoder>> {
        let encoder = self.encoder.redelivered()?;
        Some(Arc::new(Self::new(encoder, self.fields.clone())))
    }
}

/// An object or array of which nothing is selected is an empty one. What is neither has no fields, so that nothing is left.
fn selected(event: &Event, fields: &Fields) -> Option<Bytes> {
    let payload = event.data.as_ref()?;
    if wire_form(event.data_content_type.as_deref()) != WireForm::Json || !json::is_json(payload) {
        return None;
    }
    let mut out = BytesMut::new();
    if fields.project(payload, &mut Scratch::default(), &mut out) {
        return Some(out.freeze());
    }
    match payload.trim_ascii_start().first() {
        Some(b'{') => Some(Bytes::from_static(b"{}")),
        Some(b'[') => Some(Bytes::from_static(b"[]")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use sockeye_event::structured;
    use sockeye_log::Incarnation;

    use super::*;
    use crate::session::DrogueSession;

    fn check(fields: &str, content_type: &str, payload: Option<&str>, expected: &str) {
        let mut session = DrogueSession::default();
        session.fields = Some(fields.parse().unwrap());
        let event = Event {
            id: "1".into(),
            source: "s".into(),
            ty: "t".into(),
            data_content_type: Some(content_type.into()),
            data_schema: None,
            subject: Some("c".into()),
            time: None,
            extensions: vec![("device".into(), "d".into())],
            data: payload.map(|payload| Bytes::copy_from_slice(payload.as_bytes())),
        };
        let mut out = BytesMut::new();
        let encoder = sockeye_delivery::Session::encoder(&session);
        encoder.encode(&event, &Position::new(Incarnation(1), [(0, 5)]), &mut out);
        let text = std::str::from_utf8(&out).unwrap();
        let middle = if expected.is_empty() {
            String::new()
        } else {
            format!("\"datacontenttype\":\"{content_type}\",")
        };
        let expected = format!(
            r#"{{"specversion":"1.0","id":"1","type":"t","source":"s",{middle}"subject":"c"{expected},"device":"d"}}"#
        );
        assert_eq!(text, expected, "{fields} of {payload:?}");
        structured::decode(&out.freeze()).expect("it is a CloudEvent");
    }

    #[test]
    fn a_projected_event_is_an_event() {
        let json = "application/vnd.x+json";
        check("a", json, Some(r#"{ "a": 1.50, "b": 2 }"#), r#","data":{"a":1.50}"#);
        check(
            "b,a",
            json,
            Some(r#"{"a":{ "x" : [ ] },"b":2}"#),
            r#","data":{"b":2,"a":{"x":[]}}"#,
        );
        check("x", json, Some(r#"{"a":1}"#), r#","data":{}"#);
        check("x", json, Some(" [1,2]"), r#","data":[]"#);
        check("x", json, Some("42"), "");
        check("x", json, Some("{no"), "");
        check("x", "text/plain", Some(r#"{"x":1}"#), "");
        check("x", json, None, "");
    }

    #[test]
    fn other_fields_are_another_lane() {
        let name = |fields: Option<&str>| {
            let mut session = DrogueSession::default();
            session.fields = fields.map(|fields| fields.parse().unwrap());
            sockeye_delivery::Session::encoder(&session).name().to_owned()
        };
        assert_ne!(name(Some("a")), name(None));
        assert_ne!(name(Some("a")), name(Some("b")));
        assert_eq!(name(Some("a/b,a/c")), name(Some("a(b,c)")));
    }
}
