//! Every event that is written is read by the CloudEvents SDK as the same event.

mod common;

use std::collections::HashMap;

use bytes::BytesMut;
use cloudevents::event::ExtensionValue;
use cloudevents::{AttributesReader, Data};
use proptest::prelude::*;
use sockeye_event::content_type::{WireForm, wire_form};
use sockeye_event::{Event, Value, structured};

/// What the SDK's reader should make of the payload.
fn expected_data(event: &Event) -> Option<Data> {
    let payload = event.data.as_deref()?;
    let json = || serde_json::from_slice(payload).ok().map(Data::Json);
    let text = || {
        std::str::from_utf8(payload)
            .ok()
            .map(|text| Data::String(text.to_owned()))
    };
    let known = match wire_form(event.data_content_type.as_deref()) {
        WireForm::Json => json(),
        WireForm::Text => text(),
        // Without a type the SDK takes bytes for JSON if it can.
        WireForm::Binary if event.data_content_type.is_none() => json(),
        WireForm::Binary => None,
    };
    Some(known.unwrap_or_else(|| Data::Binary(payload.to_vec())))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn the_sdk_reads_the_same_event(event in common::event()) {
        let mut line = BytesMut::new();
        structured::encode(&event, &mut line);
        let read: cloudevents::Event = serde_json::from_slice(&line).unwrap();

        prop_assert_eq!(read.specversion().to_string(), "1.0");
        prop_assert_eq!(read.id(), &*event.id);
        prop_assert_eq!(read.source().as_str(), &*event.source);
        prop_assert_eq!(read.ty(), &*event.ty);
        prop_assert_eq!(read.datacontenttype(), event.data_content_type.as_deref());
        prop_assert_eq!(read.dataschema().map(url::Url::as_str), event.data_schema.as_deref());
        prop_assert_eq!(read.subject(), event.subject.as_deref());
        let time = read.time().map(|time| (time.timestamp(), time.timestamp_subsec_nanos()));
        let expected_time = event.time.map(|time| {
            let nanoseconds = time.as_nanosecond();
            (nanoseconds.div_euclid(1_000_000_000) as i64, nanoseconds.rem_euclid(1_000_000_000) as u32)
        });
        prop_assert_eq!(time, expected_time);
        let extensions: HashMap<&str, &ExtensionValue> = read.iter_extensions().collect();
        let expected: HashMap<String, ExtensionValue> = event
            .extensions
            .iter()
            .map(|(name, value)| {
                let value = match value {
                    Value::String(text) => ExtensionValue::String(text.to_string()),
                    Value::Integer(number) => ExtensionValue::Integer(*number),
                    Value::Boolean(truth) => ExtensionValue::Boolean(*truth),
                };
                (name.to_string(), value)
            })
            .collect();
        prop_assert_eq!(extensions, expected.iter().map(|(name, value)| (&**name, value)).collect());
        prop_assert_eq!(read.data().cloned(), expected_data(&event));
    }

    #[test]
    fn what_the_sdk_writes_is_read_as_the_same_event(event in common::event()) {
        let mut line = BytesMut::new();
        structured::encode(&event, &mut line);
        let sdk: cloudevents::Event = serde_json::from_slice(&line).unwrap();
        let again = structured::decode(&serde_json::to_vec(&sdk).unwrap().into()).unwrap();

        prop_assert_eq!((&again.id, &again.source, &again.ty), (&event.id, &event.source, &event.ty));
        prop_assert_eq!((&again.data_schema, &again.subject, again.time), (&event.data_schema, &event.subject, event.time));
        let sorted = |event: &Event| {
            let mut extensions = event.extensions.clone();
            extensions.sort_by(|a, b| a.0.cmp(&b.0));
            extensions
        };
        prop_assert_eq!(sorted(&again), sorted(&event));
        prop_assert_eq!(expected_data(&again), expected_data(&event));
    }
}
