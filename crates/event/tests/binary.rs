//! Binary mode: compat/drogue.md 2.5, and what foreign producers write.

mod common;

use bytes::Bytes;
use proptest::prelude::*;
use sockeye_event::binary::{decode, encode};
use sockeye_event::{Event, EventError, Headers, Value};
use sockeye_limits::EXTENSIONS_READ;

/// The least that a record must have.
const LEAST: [(&str, Option<&str>); 4] = [
    ("ce_specversion", Some("1.0")),
    ("ce_id", Some("1")),
    ("ce_type", Some("t")),
    ("ce_source", Some("s")),
];

fn headers(pairs: &[(&str, Option<&str>)]) -> Headers {
    pairs
        .iter()
        .map(|(name, value)| (*name, value.map(str::as_bytes)))
        .collect()
}

/// What becomes of [`LEAST`] with these headers behind it.
fn with(more: &[(&str, Option<&str>)]) -> Result<Event, EventError> {
    decode(&headers(&[&LEAST, more].concat()), None)
}

#[test]
fn the_layout_of_a_record() {
    let event = Event {
        id: "1".into(),
        source: "drogue://app/dev".into(),
        ty: "io.drogue.event.v1".into(),
        data_content_type: Some("application/json".into()),
        data_schema: Some("urn:x".into()),
        subject: Some("sensor".into()),
        time: Some("2023-05-17T12:46:34.5Z".parse().unwrap()),
        extensions: vec![
            ("device".into(), "dev".into()),
            ("n".into(), Value::Integer(7)),
            ("b".into(), Value::Boolean(false)),
        ],
        data: Some(Bytes::from_static(b"{ }")),
    };
    let (written, payload) = encode(&event);
    let expected = headers(&[
        ("ce_specversion", Some("1.0")),
        ("ce_id", Some("1")),
        ("ce_type", Some("io.drogue.event.v1")),
        ("ce_source", Some("drogue://app/dev")),
        ("content-type", Some("application/json")),
        ("ce_dataschema", Some("urn:x")),
        ("ce_subject", Some("sensor")),
        ("ce_time", Some("2023-05-17T12:46:34.500Z")),
        ("ce_device", Some("dev")),
        ("ce_n", Some("7")),
        ("ce_b", Some("false")),
    ]);
    assert_eq!(written, expected);
    assert_eq!(payload.as_deref(), Some(&b"{ }"[..]));
}

#[test]
fn what_foreign_producers_write() {
    let least = with(&[]).unwrap();
    let subject = |text: &str| Event {
        subject: Some(text.into()),
        ..least.clone()
    };
    let extension = |name: &str, text: &str| Event {
        extensions: vec![(name.into(), text.into())],
        ..least.clone()
    };
    let content_type = |text: &str| Event {
        data_content_type: Some(text.into()),
        ..least.clone()
    };
    type Case<'a> = (&'a [(&'a str, Option<&'a str>)], Event);
    let cases: &[Case] = &[
        (&[("CE_Subject", Some("a"))], subject("a")),
        (&[("ce_subject", Some("a")), ("ce_subject", Some("b"))], subject("b")),
        (&[("ce_subject", Some("a")), ("ce_subject", None)], least.clone()),
        (&[("ce_subject", Some(""))], least.clone()),
        (&[("Content-Type", Some("text/plain"))], content_type("text/plain")),
        (
            &[("content-type", None), ("ce_datacontenttype", Some("text/plain"))],
            least.clone(),
        ),
        (&[("ce_X1", Some("v"))], extension("x1", "v")),
        (&[("ce_x", Some("v")), ("ce_X", Some("w"))], extension("x", "w")),
        (&[("ce_x", Some("v")), ("ce_x", None)], least.clone()),
        // No names of extensions: they would break the JSON, or are no CloudEvents.
        (
            &[
                ("ce_", Some("v")),
                ("ce_data", Some("v")),
                ("ce_data_base64", Some("v")),
                ("ce_é", Some("v")),
            ],
            least.clone(),
        ),
        // Not CloudEvents' business.
        (
            &[
                ("traceparent", Some("v")),
                ("ce", Some("v")),
                ("", Some("v")),
                ("é", None),
            ],
            least.clone(),
        ),
    ];
    for (more, expected) in cases {
        assert_eq!(with(more).as_ref(), Ok(expected), "{more:?}");
    }
    let mut not_text = LEAST.map(|(name, value)| (name, value.map(str::as_bytes))).to_vec();
    not_text.push(("ce_x", Some(b"\xff")));
    assert_eq!(decode(&not_text.iter().copied().collect(), None), Ok(least));
    not_text.push(("ce_subject", Some(b"\xff")));
    let error = decode(&not_text.into_iter().collect(), None).unwrap_err();
    assert_eq!(error.to_string(), "the attribute `subject` must be UTF-8");
}

#[test]
fn records_that_are_no_events() {
    for missing in 0..LEAST.len() {
        let mut rest = LEAST;
        let name = rest[missing].0.strip_prefix("ce_").unwrap();
        rest[missing].1 = None;
        let error = decode(&headers(&rest), None).unwrap_err();
        assert_eq!(error.to_string(), format!("the attribute `{name}` is missing"));
        rest[missing].1 = Some("");
        assert!(decode(&headers(&rest), None).unwrap_err().to_string().contains(name));
    }
    assert_eq!(
        decode(&Headers::default(), None),
        Err(EventError::Missing("specversion"))
    );
    for (name, value) in [
        ("ce_specversion", "0.3"),
        ("ce_time", "1684327594"),
        ("ce_dataschema", "foo"),
    ] {
        let error = with(&[(name, Some(value))]).unwrap_err();
        let attribute = name.strip_prefix("ce_").unwrap();
        assert!(
            matches!(&error, EventError::Invalid { name, .. } if name == attribute),
            "{name}: {error}"
        );
    }
    let names: Vec<String> = (0..=EXTENSIONS_READ).map(|n| format!("ce_x{n}")).collect();
    let many: Vec<_> = names.iter().map(|name| (&**name, Some("v"))).collect();
    assert!(with(&many[1..]).is_ok());
    assert!(with(&many).unwrap_err().to_string().contains("at most 256 extensions"));
}

#[test]
fn a_record_in_structured_mode() {
    let headers = headers(&[("Content-Type", Some("application/CloudEvents+json; charset=UTF-8"))]);
    let text = br#"{"specversion":"1.0","id":"1","type":"t","source":"s","n":7,"Odd":1,"f":1.5,"data":[1]}"#;
    let event = decode(&headers, Some(&Bytes::from_static(text))).unwrap();
    assert_eq!(event.data.as_deref(), Some(&b"[1]"[..]));
    assert_eq!(
        event.extensions,
        [("n".into(), Value::Integer(7))],
        "what is no extension is left out"
    );

    let error = decode(&headers, None).unwrap_err();
    assert_eq!(error.to_string(), "the record in structured mode has no payload");
    assert!(decode(&headers, Some(&Bytes::from_static(b"{}"))).is_err());
}

#[test]
fn a_payload_that_is_an_event_does_not_pose_as_the_record() {
    let inner = Bytes::from_static(br#"{"specversion":"1.0","id":"fake","type":"t","source":"s","device":"other"}"#);
    for (declared, stored) in [
        ("application/cloudevents+json", "application/json"),
        ("Application/CloudEvents+JSON; charset=utf-8", "application/json"),
        ("application/cloudevents-batch+json", "application/json"),
        ("application/cloudevents+avro", "application/octet-stream"),
        ("application/cloud+json", "application/cloud+json"),
    ] {
        let event = Event {
            data_content_type: Some(declared.into()),
            data: Some(inner.clone()),
            ..with(&[]).unwrap()
        };
        let (headers, payload) = encode(&event);
        let expected = Event {
            data_content_type: Some(stored.into()),
            ..event
        };
        assert_eq!(decode(&headers, payload.as_ref()), Ok(expected));
    }
}

#[test]
fn what_is_read_shares_the_record() {
    let event = with(&[("ce_subject", Some("channel")), ("ce_x", Some("v"))]).unwrap();
    let (headers, _) = encode(&event);
    let event = decode(&headers, None).unwrap();
    let within = |part: &[u8]| headers.as_block().as_ptr_range().contains(&part.as_ptr());
    let (name, Value::String(value)) = &event.extensions[0] else {
        panic!("no text")
    };
    assert!(
        [&event.id, event.subject.as_ref().unwrap(), name, value]
            .iter()
            .all(|text| within(text.as_bytes()))
    );
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(event in common::event()) {
        let (headers, payload) = encode(&event);
        let again = decode(&Headers::from_block(headers.as_block().clone()).unwrap(), payload.as_ref()).unwrap();
        // Binary mode has one kind of extension: text.
        let as_text = |value: &Value| match value {
            Value::String(text) => text.to_string(),
            Value::Integer(number) => number.to_string(),
            Value::Boolean(truth) => truth.to_string(),
        };
        let extensions = event.extensions.iter().map(|(name, value)| (name.clone(), Value::String(as_text(value).into())));
        let expected = Event { extensions: extensions.collect(), ..event };
        prop_assert_eq!(again, expected);
    }
}
