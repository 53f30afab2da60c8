//! The topics of an application, and the shape of what each shows (compat/README.md, "dojot topics of an application").

use std::cell::RefCell;
use std::sync::Arc;

use bytes::{BufMut as _, BytesMut};
use prometheus_client::metrics::counter::Counter;
use sockeye_delivery::{Document, Encoder, Selection};
use sockeye_event::content_type::{WireForm, wire_form};
use sockeye_event::event::{TYPE_EVENT, TYPE_REGISTRY, extension};
use sockeye_event::origin::Change;
use sockeye_event::{Event, json, structured};
use sockeye_filter::{Fields, Filter, Scratch, has_content};
use sockeye_log::Position;

/// What a topic shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape<'a> {
    /// `a.device-data`: device events, in an envelope with `metadata` and `attrs`.
    DeviceData,
    /// `a.dojot.device-manager.device`: what changes about devices.
    DeviceManager,
    /// `a.events`: every event, as a CloudEvent.
    Events,
    /// `a.<channel>`: the payloads of a channel's device events.
    Channel(&'a str),
    /// Any other topic of the tenant, which others fill: what is in it.
    Others,
}

/// Documents as the frames of one topic and one `fields`.
struct Frames {
    name: String,
    document: Document,
    fields: Option<Fields>,
    /// Device events that are not shown, because their payload is no JSON.
    hidden: Counter,
}

// ----------------------------------------------------------------------------------------------

const DEVICE_DATA: Document = Document::new("device-data", device_data);
const DEVICE_MANAGER: Document = Document::new("device-manager", device_manager);
const EVENTS: Document = Document::new("events", structured::encode);
const PAYLOAD: Document = Document::new("payload", payload);

impl<'a> Shape<'a> {
    /// Of a topic, by what stands behind the tenant and its `.`.
    pub fn of(subject: &'a str) -> Self {
        match subject {
            "device-data" => Self::DeviceData,
            "dojot.device-manager.device" => Self::DeviceManager,
            "events" => Self::Events,
            channel => Self::Channel(channel),
        }
    }

    /// Which events of the application are shown, of those that pass the filter.
    pub fn selection(self, filter: Filter) -> Selection {
        Selection {
            channel: match self {
                Self::Channel(channel) => Some(channel.into()),
                _ => None,
            },
            device: None,
            ty: match self {
                Self::DeviceData | Self::Channel(_) => Some(TYPE_EVENT.into()),
                Self::DeviceManager => Some(TYPE_REGISTRY.into()),
                Self::Events | Self::Others => None,
            },
            document: (!filter.is_empty()).then(|| Box::new(self.document())),
            filter: (!filter.is_empty()).then(|| Arc::new(filter)),
        }
    }

    /// How they look. Those that have no document are counted.
    pub fn encoder(self, fields: Option<Fields>, hidden: Counter) -> Arc<dyn Encoder> {
        let document = self.document();
        let name = match &fields {
            None => format!("dojot {}", document.name()),
            Some(fields) => format!("dojot {}, fields={fields}", document.name()),
        };
        Arc::new(Frames {
            name,
            document,
            fields,
            hidden,
        })
    }

    fn document(self) -> Document {
        match self {
            Self::DeviceData => DEVICE_DATA,
            Self::DeviceManager => DEVICE_MANAGER,
            Self::Events => EVENTS,
            Self::Channel(_) | Self::Others => PAYLOAD,
        }
    }
}

impl Encoder for Frames {
    fn name(&self) -> &str {
        &self.name
    }

    /// A message is sent if what is selected of it is an object or an array that is not empty (decision 11).
    fn encode(&self, event: &Event, _behind: &Position, out: &mut BytesMut) {
        thread_local! {
            static SCRATCH: RefCell<(BytesMut, Scratch)> = RefCell::default();
        }
        SCRATCH.with_borrow_mut(|(text, scratch)| {
            text.clear();
            self.document.make(event, text);
            if text.is_empty() {
                self.hidden.inc();
                return;
            }
            match &self.fields {
                None if has_content(text) => out.put_slice(text),
                None => {}
                Some(fields) => drop(fields.project(text, scratch, out)),
            }
        });
    }
}

/// compat/dojot.md 12. What is no object goes under `value`.
fn device_data(event: &Event, out: &mut BytesMut) {
    if event.ty != TYPE_EVENT {
        return;
    }
    let start = out.len();
    out.put_slice(br#"{"metadata":{"deviceid":""#);
    json::escape_into(event.device().map_or("", |device| device), out);
    out.put_slice(br#"","tenant":""#);
    json::escape_into(application(event), out);
    out.put_slice(b"\"");
    if let Some(time) = event.time {
        out.put_slice(format!(",\"timestamp\":{}", time.as_millisecond()).as_bytes());
    }
    out.put_slice(br#"},"attrs":"#);
    let is_object = event
        .data
        .as_ref()
        .is_some_and(|payload| payload.trim_ascii_start().first() == Some(&b'{'));
    if !is_object {
        out.put_slice(br#"{"value":"#);
    }
    let before = out.len();
    payload(event, out);
    if out.len() == before {
        out.truncate(start);
        return;
    }
    out.put_slice(if is_object { b"}" } else { b"}}" });
}

/// compat/dojot.md 12. Of an event that does not tell what was done (Drogue Cloud's own, compat/drogue.md 2.4) is known that the
/// device is another now.
fn device_manager(event: &Event, out: &mut BytesMut) {
    if event.ty != TYPE_REGISTRY {
        return;
    }
    let done = match event.extension(extension::CHANGE).and_then(|change| Change::of(change)) {
        Some(Change::Created) => "create",
        Some(Change::Updated) | None => "update",
        Some(Change::Deleted) => "remove",
    };
    out.put_slice(br#"{"event":""#);
    out.put_slice(done.as_bytes());
    out.put_slice(br#"","meta":{"service":""#);
    json::escape_into(application(event), out);
    out.put_slice(br#""},"data":{"id":""#);
    json::escape_into(event.device().map_or("", |device| device), out);
    out.put_slice(br#""}}"#);
}

/// The payload, if it is JSON.
fn payload(event: &Event, out: &mut BytesMut) {
    if let Some(payload) = &event.data
        && wire_form(event.data_content_type.as_deref()) == WireForm::Json
    {
        // What is no JSON leaves nothing behind.
        let _ = json::compact(payload, out);
    }
}

fn application(event: &Event) -> &str {
    event.extension(extension::APPLICATION).map_or("", |name| name)
}

#[cfg(test)]
mod tests {
    use sockeye_filter::Shape as About;
    use sockeye_log::Incarnation;

    use super::*;

    fn event(ty: &str, content_type: Option<&str>, payload: Option<&str>) -> Event {
        Event {
            id: "1".into(),
            source: "s".into(),
            ty: ty.into(),
            data_content_type: content_type.map(Into::into),
            data_schema: None,
            subject: Some("state".into()),
            time: Some("2020-11-05T14:37:44.592Z".parse().unwrap()),
            extensions: vec![
                ("application".into(), "admin".into()),
                ("device".into(), "c6\"4b".into()),
            ],
            data: payload.map(|payload| payload.as_bytes().to_vec().into()),
        }
    }

    /// What is sent of an event to who asks for this.
    fn sent(subject: &str, filter: &str, fields: Option<&str>, event: &Event) -> Option<String> {
        let shape = Shape::of(subject);
        let selection = shape.selection(Filter::parse(filter, About::Document).unwrap());
        if !selection.wants(event) {
            return None;
        }
        let fields = fields.map(|fields| fields.parse().unwrap());
        let mut out = BytesMut::new();
        let encoder = shape.encoder(fields, Counter::default());
        encoder.encode(event, &Position::new(Incarnation(1), [(0, 5)]), &mut out);
        (!out.is_empty()).then(|| String::from_utf8(out.to_vec()).unwrap())
    }

    const JSON: Option<&str> = Some("application/json");

    #[test]
    fn topics_and_their_shapes() {
        let data = event(TYPE_EVENT, JSON, Some(r#"{ "temperature": 1.50 }"#));
        let envelope = |attrs: &str| {
            format!(
                r#"{{"metadata":{{"deviceid":"c6\"4b","tenant":"admin","timestamp":1604587064592}},"attrs":{attrs}}}"#
            )
        };
        let device_data = |event: &Event| sent("device-data", "", None, event);
        assert_eq!(device_data(&data), Some(envelope(r#"{"temperature":1.50}"#)));
        for (payload, attrs) in [("42", "42"), ("[1]", "[1]"), (" \"x\"", "\"x\""), ("null", "null")] {
            let event = event(TYPE_EVENT, JSON, Some(payload));
            assert_eq!(device_data(&event), Some(envelope(&format!(r#"{{"value":{attrs}}}"#))));
        }
        assert_eq!(
            sent("state", "", None, &data).as_deref(),
            Some(r#"{"temperature":1.50}"#)
        );
        assert_eq!(sent("other", "", None, &data), None);
        assert!(
            sent("events", "", None, &data)
                .unwrap()
                .contains(r#""specversion":"1.0""#)
        );
        // The topic tells which.
        let of_others = Shape::Others.selection("".parse().unwrap());
        assert!(of_others.wants(&data));
        let registry = event(TYPE_REGISTRY, None, None);
        assert_eq!(device_data(&registry), None);
        assert_eq!(sent("dojot.device-manager.device", "", None, &data), None);
        for (change, done) in [
            (None, "update"),
            (Some("created"), "create"),
            (Some("updated"), "update"),
            (Some("deleted"), "remove"),
        ] {
            let mut registry = registry.clone();
            let change = change.map(|change| (extension::CHANGE.into(), change.into()));
            registry.extensions.extend(change);
            assert_eq!(
                sent("dojot.device-manager.device", "", None, &registry),
                Some(format!(
                    r#"{{"event":"{done}","meta":{{"service":"admin"}},"data":{{"id":"c6\"4b"}}}}"#
                ))
            );
        }
    }

    #[test]
    fn a_filter_sees_what_is_sent() {
        let data = event(TYPE_EVENT, JSON, Some(r#"{"a":{"b":5},"s":"x"}"#));
        for (subject, filter, passes) in [
            ("device-data", "attrs.a.b=5;metadata.tenant=is:admin;", true),
            (
                "device-data",
                "metadata.timestamp=1604587064592;metadata.deviceid=in:c6;",
                true,
            ),
            ("device-data", "a.b=5;", false),
            ("state", "a.b=5;s=is:x;", true),
            ("state", "attrs.a.b=5;", false),
            ("events", "data.a.b=5;subject=is:state;device=in:4b;", true),
        ] {
            assert_eq!(
                sent(subject, filter, None, &data).is_some(),
                passes,
                "{subject} {filter}"
            );
        }
        let sent = sent("device-data", "attrs.s=is:x;", Some("attrs/a,metadata/tenant"), &data);
        let expected = r#"{"attrs":{"a":{"b":5}},"metadata":{"tenant":"admin"}}"#;
        assert_eq!(sent.as_deref(), Some(expected));
    }

    /// compat/dojot.md 6 and decision 11.
    #[test]
    fn what_is_empty_or_no_json_is_not_sent() {
        for payload in ["{}", "[]", "42", "true", "\"text\"", "null", "{", "", "\u{feff}{}"] {
            assert_eq!(
                sent("state", "", None, &event(TYPE_EVENT, JSON, Some(payload))),
                None,
                "{payload}"
            );
        }
        let text = event(TYPE_EVENT, Some("text/plain"), Some(r#"{"a":1}"#));
        assert_eq!(sent("state", "", None, &text), None);
        assert_eq!(sent("device-data", "", None, &text), None);
        assert_eq!(sent("device-data", "attrs.a=nin:5;", None, &text), None);
        assert_eq!(sent("state", "", None, &event(TYPE_EVENT, JSON, None)), None);
        let data = event(TYPE_EVENT, JSON, Some(r#"{"a":{"b":1}}"#));
        assert_eq!(sent("state", "", Some("x"), &data), None);
        assert_eq!(sent("state", "", Some("a/x"), &data).as_deref(), Some(r#"{"a":{}}"#));
    }

    /// The rule sharing bug of the original (compat/dojot.md 6): who asks for something else is in another lane.
    #[test]
    fn other_wishes_are_other_lanes() {
        let wish = |subject: &'static str, filter: &str, fields: &str| {
            let shape = Shape::of(subject);
            let filter = Filter::parse(filter, About::Document).unwrap();
            let fields = (!fields.is_empty()).then(|| fields.parse().unwrap());
            let name = shape.encoder(fields, Counter::default()).name().to_owned();
            (shape.selection(filter), name)
        };
        let wishes = [
            wish("x", "", ""),
            wish("device-data", "", ""),
            wish("x", "status=in:\"a,b\";", ""),
            wish("x", "status=in:a,b;", ""),
            wish("x", "", "a(b,c),d(e,f)"),
            wish("x", "", "a(b,f),d(e,c)"),
        ];
        for (at, one) in wishes.iter().enumerate() {
            assert!(wishes[..at].iter().all(|other| other != one), "{one:?}");
        }
    }
}
