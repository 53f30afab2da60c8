//! An event as filters see it.

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};

use bytes::{Bytes, BytesMut};
use sockeye_event::content_type::{WireForm, wire_form};
use sockeye_event::{Event, Value, json, time};
use sockeye_filter::{Filter, Scratch, View};

use crate::document::Document;

/// An event, and whether its payload is JSON once a filter has asked: the fields of any other payload are not there.
pub(crate) struct Seen<'a> {
    pub(crate) event: &'a Event,
    payload: OnceCell<&'a [u8]>,
    /// What dialects made of it for their filters.
    documents: RefCell<Vec<(Document, Bytes)>>,
}

// ----------------------------------------------------------------------------------------------

impl<'a> Seen<'a> {
    pub(crate) fn new(event: &'a Event) -> Self {
        Self {
            event,
            payload: OnceCell::new(),
            documents: RefCell::default(),
        }
    }

    /// Whether the event, or this document of it, passes.
    pub(crate) fn passes(&self, filter: &Filter, document: Option<Document>) -> bool {
        match document {
            None => with_scratch(|scratch| filter.passes(self, scratch)),
            Some(document) => {
                let text = self.document(document);
                with_scratch(|scratch| filter.passes(&*text, scratch))
            }
        }
    }

    /// A document of the event, made when it is asked for first.
    pub(crate) fn document(&self, document: Document) -> Bytes {
        let mut made = self.documents.borrow_mut();
        if let Some((_, text)) = made.iter().find(|(known, _)| *known == document) {
            return text.clone();
        }
        let mut text = BytesMut::new();
        document.make(self.event, &mut text);
        let text = text.freeze();
        made.push((document, text.clone()));
        text
    }
}

/// What filters need while they run: one for each core.
pub(crate) fn with_scratch<R>(run: impl FnOnce(&mut Scratch) -> R) -> R {
    thread_local! {
        static SCRATCH: RefCell<Scratch> = RefCell::default();
    }
    SCRATCH.with_borrow_mut(run)
}

impl View for Seen<'_> {
    fn document(&self) -> &[u8] {
        self.payload.get_or_init(|| match &self.event.data {
            Some(payload) if is_json(self.event) && json::is_json(payload) => payload,
            _ => &[],
        })
    }

    fn attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        let event = self.event;
        let text = match name {
            "specversion" => "1.0",
            "id" => &event.id,
            "source" => &event.source,
            "type" => &event.ty,
            "datacontenttype" => event.data_content_type.as_deref()?,
            "dataschema" => event.data_schema.as_deref()?,
            "subject" => event.subject.as_deref()?,
            "time" => {
                let text = time::format(event.time?);
                return Some(String::from_utf8_lossy(text.as_bytes()).into_owned().into());
            }
            _ => match event.extensions.iter().find(|(known, _)| known == name)? {
                (_, Value::String(text)) => text,
                (_, Value::Integer(number)) => return Some(number.to_string().into()),
                (_, Value::Boolean(true)) => "true",
                (_, Value::Boolean(false)) => "false",
            },
        };
        Some(text.into())
    }
}

fn is_json(event: &Event) -> bool {
    wire_form(event.data_content_type.as_deref()) == WireForm::Json
}

#[cfg(test)]
mod tests {
    use sockeye_filter::Shape;

    use super::*;

    fn event() -> Event {
        Event {
            id: "1".into(),
            source: "s".into(),
            ty: "t".into(),
            data_content_type: Some("application/json".into()),
            data_schema: None,
            subject: Some("c".into()),
            time: Some("2026-01-01T00:00:00.5Z".parse().unwrap()),
            extensions: vec![
                ("device".into(), "d".into()),
                ("number".into(), Value::Integer(-5)),
                ("truth".into(), Value::Boolean(true)),
            ],
            data: Some(r#"{"celsius":21.50,"device":"other"}"#.into()),
        }
    }

    fn check(event: &Event, text: &str, passes: bool) {
        let filter = Filter::parse(text, Shape::Event).unwrap();
        assert_eq!(Seen::new(event).passes(&filter, None), passes, "{text}");
    }

    #[test]
    fn the_payload_by_bare_name_and_attributes_behind_ce() {
        let event = event();
        for text in [
            "celsius=21.5",
            "device=is:other",
            "ce.device=is:d",
            "ce.id=1",
            "ce.source=is:s;ce.type=is:t;ce.subject=is:c;ce.specversion=is:1.0",
            "ce.datacontenttype=in:json",
            "ce.time=is:2026-01-01T00:00:00.500Z",
            "ce.number=lt:0;ce.truth=bool:true",
            "ce.dataschema=has:false;ce.nothing=has:false",
        ] {
            check(&event, text, true);
        }
        check(&event, "ce.celsius=has:true", false);
        check(&event, "ce.device=is:other", false);
    }

    #[test]
    fn a_payload_that_is_no_json_has_no_fields() {
        for (content_type, data) in [
            (Some("text/plain"), Some(r#"{"a":1}"#)),
            (Some("application/json"), Some(r#"{"a":1"#)),
            (Some("application/json"), None),
            (Some("application/json"), Some("1")),
        ] {
            let event = Event {
                data_content_type: content_type.map(Into::into),
                data: data.map(Into::into),
                ..event()
            };
            check(&event, "a=has:true", false);
            check(&event, "a=has:false;ce.device=is:d", true);
        }
    }

    #[test]
    fn a_document_is_made_once_for_all_filters_about_it() {
        thread_local! {
            static MADE: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
        }
        let document = Document::new("device", |event, out| {
            MADE.set(MADE.get() + 1);
            out.extend_from_slice(format!(r#"{{"d":"{}"}}"#, event.device().unwrap()).as_bytes());
        });
        let (event, of_document) = (event(), |text| Filter::parse(text, Shape::Document).unwrap());
        let seen = Seen::new(&event);
        for (text, passes) in [("d=is:d", true), ("d=is:e", false), ("celsius=has:true", false)] {
            assert_eq!(seen.passes(&of_document(text), Some(document)), passes, "{text}");
        }
        assert!(seen.passes(&of_document("celsius=21.5"), None));
        assert_eq!(MADE.get(), 1);
        let nothing = Document::new("nothing", |_, _| {});
        assert!(seen.passes(&of_document("d=has:false"), Some(nothing)));
    }
}
