//! Structured mode: the tables of compat/drogue.md 1.9, and what is read back.

mod common;

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use proptest::prelude::*;
use sockeye_event::structured::{decode, decode_batch, encode};
use sockeye_event::{Event, EventError, Value};
use sockeye_limits::{EVENTS_PER_BATCH, EXTENSIONS_READ, JSON_DEPTH};

/// The members that every event has.
const HEAD: &str = r#""specversion":"1.0","id":"1","type":"t","source":"s""#;

fn event(content_type: Option<&str>, data: Option<&[u8]>) -> Event {
    Event {
        id: "1".into(),
        source: "s".into(),
        ty: "t".into(),
        data_content_type: content_type.map(Into::into),
        data_schema: None,
        subject: None,
        time: None,
        extensions: vec![],
        data: data.map(Bytes::copy_from_slice),
    }
}

fn line(event: &Event) -> String {
    let mut out = BytesMut::from("frame header ");
    encode(event, &mut out);
    String::from_utf8(out.to_vec())
        .expect("UTF-8")
        .strip_prefix("frame header ")
        .expect("appended")
        .to_owned()
}

fn read(text: &str) -> Result<Event, EventError> {
    decode(&Bytes::copy_from_slice(text.as_bytes()))
}

#[test]
fn the_example_of_the_reference() {
    let extensions = [
        ("device", "dev1"),
        ("partitionkey", "app1/dev1"),
        ("applicationuid", "…"),
        ("senderuid", "…"),
        ("deviceuid", "…"),
        ("sender", "dev1"),
        ("application", "app1"),
        ("instance", "drogue"),
    ];
    let event = Event {
        id: "…".into(),
        source: "drogue://app1/dev1".into(),
        ty: "io.drogue.event.v1".into(),
        data_content_type: Some("application/json".into()),
        data_schema: None,
        subject: Some("sensor".into()),
        time: Some("2023-05-17T12:46:34.123456789Z".parse().unwrap()),
        extensions: extensions
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
        data: Some(Bytes::from_static(b"{\n  \"b\": 1\n}\n")),
    };
    let expected = r#"{"specversion":"1.0","id":"…","type":"io.drogue.event.v1","source":"drogue://app1/dev1","datacontenttype":"application/json","subject":"sensor","time":"2023-05-17T12:46:34.123456789Z","data":{"b":1},"device":"dev1","partitionkey":"app1/dev1","applicationuid":"…","senderuid":"…","deviceuid":"…","sender":"dev1","application":"app1","instance":"drogue"}"#;
    assert_eq!(line(&event), expected);
    let again = read(expected).unwrap();
    assert_eq!(
        again,
        Event {
            data: Some(Bytes::from_static(b"{\"b\":1}")),
            ..event
        }
    );
}

#[test]
fn every_attribute_has_its_place() {
    let mut event = event(None, None);
    assert_eq!(
        line(&event),
        r#"{"specversion":"1.0","id":"1","type":"t","source":"s"}"#
    );
    event.data_schema = Some("urn:x".into());
    event.subject = Some("a\"b\u{1}".into());
    event.extensions = vec![
        ("n".into(), Value::Integer(-7)),
        ("b".into(), Value::Boolean(true)),
        ("s".into(), "\\".into()),
    ];
    event.data = Some(Bytes::from_static(b"x"));
    event.time = Some("2023-05-17T12:46:34.1Z".parse().unwrap());
    let expected = concat!(
        r#"{"specversion":"1.0","id":"1","type":"t","source":"s","dataschema":"urn:x","subject":"a\"b\u0001","#,
        r#""time":"2023-05-17T12:46:34.100Z","data_base64":"eA==","n":-7,"b":true,"s":"\\"}"#
    );
    assert_eq!(line(&event), expected);
    assert_eq!(read(expected).unwrap(), event);
}

#[test]
fn the_member_of_the_payload() {
    let deep = "[".repeat(JSON_DEPTH as usize + 1) + &"]".repeat(JSON_DEPTH as usize + 1);
    let deep_encoded = {
        use base64::Engine;
        format!(
            ",\"data_base64\":\"{}\"",
            base64::engine::general_purpose::STANDARD.encode(&deep)
        )
    };
    type Case<'a> = (Option<&'a str>, Option<&'a [u8]>, &'a str);
    let cases: &[Case] = &[
        (Some("application/json"), None, ""),
        (None, None, ""),
        (
            Some("application/json"),
            Some(b"{\"z\": 1e3, \"a\":1, \"z\":12345678901234567890123}"),
            r#","data":{"z":1e3,"a":1,"z":12345678901234567890123}"#,
        ),
        (Some("application/json; charset=utf-8"), Some(b"1"), ",\"data\":1"),
        (Some("text/json"), Some(b"[ ]"), ",\"data\":[]"),
        (Some("application/senml+json"), Some(b"[]"), ",\"data\":[]"),
        (Some("application/json"), Some(b" null "), ",\"data\":null"),
        (Some("application/json"), Some(b"{a}"), ",\"data_base64\":\"e2F9\""),
        (
            Some("application/json"),
            Some(b"[1e999]"),
            ",\"data_base64\":\"WzFlOTk5XQ==\"",
        ),
        (Some("application/json"), Some(b""), ",\"data_base64\":\"\""),
        (Some("application/json"), Some(deep.as_bytes()), &deep_encoded),
        (
            Some("text/plain"),
            Some("a\n\"ü\"".as_bytes()),
            ",\"data\":\"a\\n\\\"ü\\\"\"",
        ),
        (Some("text/plain; charset=utf-8"), Some(b"x"), ",\"data\":\"x\""),
        (Some("text/plain"), Some(b""), ",\"data\":\"\""),
        (Some("text/plain"), Some(b"\xff"), ",\"data_base64\":\"/w==\""),
        (Some("application/xml"), Some(b"<a/>"), ",\"data_base64\":\"PGEvPg==\""),
        (Some("text/html"), Some(b"1"), ",\"data_base64\":\"MQ==\""),
        (
            Some("application/problem+json; charset=utf-8"),
            Some(b"1"),
            ",\"data_base64\":\"MQ==\"",
        ),
        (Some("application/octet-stream"), Some(b""), ",\"data_base64\":\"\""),
        (None, Some(b"1"), ",\"data_base64\":\"MQ==\""),
        // The one difference from the reference's table: letter case of a text type does not matter, and all clients read both.
        (Some("TEXT/PLAIN"), Some(b"x"), ",\"data\":\"x\""),
    ];
    for (content_type, data, expected) in cases {
        let event = event(*content_type, *data);
        let declared = content_type
            .map(|text| format!(",\"datacontenttype\":\"{text}\""))
            .unwrap_or_default();
        assert_eq!(
            line(&event),
            format!("{{{HEAD}{declared}{expected}}}"),
            "{content_type:?} {data:?}"
        );
    }
}

#[test]
fn what_the_payload_becomes_when_read() {
    for (members, content_type, data) in [
        ("", None, None),
        (
            r#","data":{"a": 1.0}"#,
            Some("application/json"),
            Some(&b"{\"a\": 1.0}"[..]),
        ),
        (r#","data":null"#, Some("application/json"), Some(b"null")),
        (
            r#","datacontenttype":"text/json","data":"a\nb""#,
            Some("text/json"),
            Some(b"\"a\\nb\""),
        ),
        (
            r#","datacontenttype":"a/b+json; c=d","data":1"#,
            Some("a/b+json; c=d"),
            Some(b"1"),
        ),
        (
            r#","datacontenttype":"text/plain","data":"a\nb""#,
            Some("text/plain"),
            Some(b"a\nb"),
        ),
        (
            r#","data":"<a/>","datacontenttype":"text/xml""#,
            Some("text/xml"),
            Some(b"<a/>"),
        ),
        (r#","datacontenttype":"text/xml","data":null"#, Some("text/xml"), None),
        (r#","data_base64":"AP8=""#, None, Some(b"\x00\xff")),
        (
            r#","data_base64":null,"subject":null,"dataschema":null,"time":null,"x":null"#,
            None,
            None,
        ),
        (r#","subject":"","datacontenttype":"""#, None, None),
        (
            r#","datacontenttype":"","data":1"#,
            Some("application/json"),
            Some(b"1"),
        ),
    ] {
        let expected = event(content_type, data);
        assert_eq!(read(&format!(" {{ {HEAD}{members} }} ")), Ok(expected), "{members}");
    }
}

#[test]
fn what_is_no_event_is_told_by_name() {
    for (text, message) in [
        (
            r#"{"specversion":"1.0","type":"t","source":"s"}"#.to_owned(),
            "the attribute `id` is missing",
        ),
        (r#"{"id":"1"}"#.to_owned(), "the attribute `specversion` is missing"),
        (HEAD.replace("1.0", "0.3"), "the attribute `specversion` must be `1.0`"),
        (HEAD.replace("\"t\"", "\"\""), "the attribute `type` must not be empty"),
        (HEAD.replace("\"s\"", "7"), "the attribute `source` must be a string"),
        (format!(r#"{HEAD},"id":"2""#), "the attribute `id` is there twice"),
        (
            format!(r#"{HEAD},"x":1,"\u0078":1"#),
            "the attribute `x` is there twice",
        ),
        (
            format!(r#"{HEAD},"time":"yesterday""#),
            "the attribute `time` must be a time of RFC 3339, such as `2024-05-17T12:46:34.5Z`",
        ),
        (
            format!(r#"{HEAD},"dataschema":"foo""#),
            "the attribute `dataschema` must be an absolute URI, such as `https://example.com/schema`",
        ),
        (
            format!(r#"{HEAD},"data":1,"data_base64":"""#),
            "the attribute `data_base64` cannot stand beside `data`: one of them at most",
        ),
        (
            format!(r#"{HEAD},"data_base64":"A""#),
            "the attribute `data_base64` must be Base64 (RFC 4648 section 4, with padding)",
        ),
        (
            format!(r#"{HEAD},"datacontenttype":"a/b","data":{{}}"#),
            "the attribute `data` must be a string, because `datacontenttype` is `a/b`; bytes go into `data_base64`",
        ),
        (
            format!(r#"{HEAD},"x":1.5"#),
            "the attribute `x` must be a string, an integer or a boolean",
        ),
        (
            format!(r#"{HEAD},"x":[]"#),
            "the attribute `x` must be a string, an integer or a boolean",
        ),
        (
            format!(r#"{HEAD},"aB":1"#),
            "the attribute `aB` must have a name of lower-case letters (a-z) and digits",
        ),
        (
            format!(r#"{HEAD},"x":"\ud800""#),
            "the attribute `x` must be a string without halves of surrogate pairs",
        ),
    ] {
        let text = if text.starts_with('{') {
            text
        } else {
            format!("{{{text}}}")
        };
        assert_eq!(read(&text).unwrap_err().to_string(), message, "{text}");
    }
    for (text, part) in [
        ("", "EOF while parsing"),
        ("[]", "a CloudEvent as a JSON object"),
        ("{\"id\":1,}", "line 1 column 9"),
        ("{} {}", "trailing characters"),
    ] {
        let error = read(text).unwrap_err();
        assert!(
            matches!(&error, EventError::Json(why) if why.contains(part)),
            "{text}: {error}"
        );
    }
    let many: Vec<String> = (0..=EXTENSIONS_READ).map(|n| format!(",\"x{n}\":1")).collect();
    assert!(
        read(&format!("{{{HEAD}{}}}", many.concat()))
            .unwrap_err()
            .to_string()
            .contains("at most 256 extensions")
    );
}

#[test]
fn what_is_read_shares_the_buffer() {
    let text = Bytes::from(format!(
        r#"{{{HEAD},"subject":"channel","data":{{"a":1}},"ext":"value"}}"#
    ));
    let event = decode(&text).unwrap();
    let within = |part: &[u8]| text.as_ptr_range().contains(&part.as_ptr());
    assert!(within(event.subject.unwrap().as_bytes()) && within(&event.data.unwrap()));
    let (name, Value::String(value)) = &event.extensions[0] else {
        panic!("no text")
    };
    assert!(within(name.as_bytes()) && within(value.as_bytes()));
}

#[test]
fn batches_are_all_or_nothing() {
    let batch = |text: &str| decode_batch(&Bytes::copy_from_slice(text.as_bytes()));
    assert_eq!(batch(" [ ] "), Ok(vec![]));
    let ids = |events: Vec<Event>| events.into_iter().map(|event| event.id).collect::<Vec<ByteString>>();
    let second = HEAD.replace("\"1\"", "\"2\"");
    assert_eq!(ids(batch(&format!("[{{{HEAD}}}, {{{second}}}]")).unwrap()), ["1", "2"]);

    let error = batch(&format!("[{{{HEAD}}},{{}}]")).unwrap_err();
    assert_eq!(
        (error.index, error.error.clone()),
        (Some(1), EventError::Missing("specversion"))
    );
    assert_eq!(
        error.to_string(),
        "event 1 of the batch (counted from 0): the attribute `specversion` is missing"
    );
    assert_eq!(batch("[7]").unwrap_err().index, Some(0));
    for text in ["", "{}", "[", "[1,]", "[] []"] {
        assert_eq!(batch(text).unwrap_err().index, None, "{text}");
    }
    let too_many = format!("[{}]", vec!["{}"; EVENTS_PER_BATCH + 1].join(","));
    let error = batch(&too_many).unwrap_err();
    assert!(
        error.index.is_none() && error.to_string().contains("at most 10000 events"),
        "{error}"
    );
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(event in common::event()) {
        let text = line(&event);
        prop_assert!(!text.contains('\n'), "more than one line");
        let mut again = read(&text).unwrap();
        if event.data_content_type.as_deref().is_some_and(|t| t.contains("json"))
            && let (Some(before), Some(after)) = (&event.data, &again.data)
            && let Ok(value) = serde_json::from_slice::<serde_json::Value>(before)
        {
            prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(after).unwrap(), value);
            again.data.clone_from(&event.data);
        }
        prop_assert_eq!(again, event);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..60),
        event in common::event(),
        at in any::<prop::sample::Index>(),
    ) {
        let _ = decode(&bytes.clone().into());
        let _ = decode_batch(&bytes.into());
        let text = line(&event);
        let cut = &text.as_bytes()[..at.index(text.len())];
        prop_assert!(decode(&Bytes::copy_from_slice(cut)).is_err());
    }
}
