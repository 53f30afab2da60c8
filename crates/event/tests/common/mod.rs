//! Events nobody thought of.

use bytes::Bytes;
use bytestring::ByteString;
use jiff::Timestamp;
use proptest::option;
use proptest::prelude::*;
use sockeye_event::{Event, Value};

fn text(pattern: &'static str) -> impl Strategy<Value = ByteString> {
    pattern.prop_map(Into::into)
}

/// Any printable text that is not empty, characters that JSON escapes included.
fn any_text() -> impl Strategy<Value = ByteString> {
    prop_oneof![
        text("[a-z0-9/:%-]{1,20}"),
        text("\\PC{1,12}"),
        text("[\"\\\\\n\té\u{1f600}\u{0}]{1,8}")
    ]
}

fn content_type() -> impl Strategy<Value = Option<ByteString>> {
    let types = [
        "application/json",
        "application/json; charset=utf-8",
        "text/json",
        "application/senml+json",
        "application/problem+json; charset=utf-8",
        "Application/JSON",
        "application/json-seq",
        "text/plain",
        "text/plain; charset=utf-8",
        "TEXT/PLAIN",
        "text/html",
        "application/octet-stream",
    ];
    option::of(prop::sample::select(types.to_vec()).prop_map(Into::into))
}

fn payload() -> impl Strategy<Value = Option<Bytes>> {
    let json = [
        "null",
        "true",
        " 21.5 ",
        "-0",
        "[1, 2,\n3]",
        "{\"b\": 1, \"a\" : [null, {\"é\": \"\\u00e9 \\\\ \"}]}",
        "\"text\"",
        "18446744073709551616",
        "1e400",
        "\"\\ud800\"",
        "{",
        "",
    ];
    option::of(prop_oneof![
        prop::sample::select(json.to_vec()).prop_map(|text: &'static str| Bytes::from_static(text.as_bytes())),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from),
        any_text().prop_map(ByteString::into_bytes),
    ])
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any_text().prop_map(Value::String),
        Just(Value::String(ByteString::new())),
        any::<i64>().prop_map(Value::Integer),
        any::<bool>().prop_map(Value::Boolean),
    ]
}

prop_compose! {
    /// Any event that Sockeye could hold.
    pub fn event()(
        required in (any_text(), any_text(), any_text()),
        data_content_type in content_type(),
        data_schema in option::of(prop::sample::select(vec!["https://example.com/schema?a=b#c", "urn:example:schema"])),
        subject in option::of(any_text()),
        time in option::of((-62_167_219_200_i64..253_402_207_200, 0..1_000_000_000_i32)),
        extensions in prop::collection::btree_map("x[a-z0-9]{0,8}", value(), 0..6),
        data in payload(),
    ) -> Event {
        let (id, source, ty) = required;
        Event {
            id,
            source,
            ty,
            data_content_type,
            data_schema: data_schema.map(Into::into),
            subject,
            time: time.map(|(seconds, nanoseconds)| {
                Timestamp::new(seconds, 0).expect("within the years 0 to 9999") + jiff::SignedDuration::from_nanos(nanoseconds.into())
            }),
            extensions: extensions.into_iter().map(|(name, value)| (name.into(), value)).collect(),
            data,
        }
    }
}
