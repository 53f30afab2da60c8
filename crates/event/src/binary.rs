//! Binary mode: an event as headers and payload of a record (CloudEvents Kafka binding 1.0.2 section 3.2, compat/drogue.md 2.5).
//!
//! Reading shares the record's buffers. What a foreign producer wrote is kept as far as it makes a CloudEvent: an extension
//! with a name or a text that CloudEvents forbids is left out; an event without its required attributes is an error.

use std::borrow::Cow;

use bytes::Bytes;
use bytestring::ByteString;

use crate::attribute::{Draft, SPEC_VERSION, extension_name};
use crate::event::TYPE_EVENT;
use crate::origin::OWN;
use crate::structured::Reading;
use crate::{Event, EventError, Headers, HeadersBuilder, Value, content_type, structured, time};

/// Name of the header with the type of the payload; all others have the prefix `ce_`.
const CONTENT_TYPE: &[u8] = b"content-type";
/// What a content type begins with that says how the record itself is written (Kafka binding section 3).
const CLOUDEVENTS: &str = "application/cloudevents";
/// Values that attributes of most events have.
const USUAL: [&str; 3] = [SPEC_VERSION, TYPE_EVENT, content_type::JSON];

// ----------------------------------------------------------------------------------------------

/// The event as headers and payload; `None` is a payload that is not there (Kafka's null).
///
/// One thing binary mode cannot say: that the payload is itself a CloudEvent in structured mode. The header would make every
/// reader take it for the record, so that a device could pose as another. Such a payload is plain JSON in the log.
pub fn encode(event: &Event) -> (Headers, Option<Bytes>) {
    let mut headers = HeadersBuilder::with_capacity(size_hint(event));
    let mut put = |name: &str, value: &[u8]| headers.push(name, Some(value));
    put("ce_specversion", SPEC_VERSION.as_bytes());
    put("ce_id", event.id.as_bytes());
    put("ce_type", event.ty.as_bytes());
    put("ce_source", event.source.as_bytes());
    if let Some(content_type) = &event.data_content_type {
        put("content-type", as_header(content_type).as_bytes());
    }
    if let Some(data_schema) = &event.data_schema {
        put("ce_dataschema", data_schema.as_bytes());
    }
    if let Some(subject) = &event.subject {
        put("ce_subject", subject.as_bytes());
    }
    if let Some(time) = event.time {
        put("ce_time", time::format(time).as_bytes());
    }
    let mut header = String::from("ce_");
    for (name, value) in &event.extensions {
        header.truncate("ce_".len());
        header.push_str(name);
        match value {
            Value::String(text) => put(&header, text.as_bytes()),
            Value::Integer(number) => put(&header, number.to_string().as_bytes()),
            Value::Boolean(truth) => put(&header, truth.to_string().as_bytes()),
        }
    }
    (headers.build(), event.data.clone())
}

/// The content type, unless the binding gives it a meaning for the whole record.
fn as_header(content_type: &str) -> &str {
    let start = content_type.get(..CLOUDEVENTS.len()).unwrap_or_default();
    if !start.eq_ignore_ascii_case(CLOUDEVENTS) {
        content_type
    } else if content_type::is_json(content_type) {
        content_type::JSON
    } else {
        content_type::OCTET_STREAM
    }
}

/// Reads an event in binary mode or, if the content type says so, in structured mode. Header names may be in either case; of a
/// header that repeats, the last counts; a null value is an attribute that is not there.
///
/// # Errors
/// The record is no CloudEvent 1.0 (compat/drogue.md 1.9, "Undecodable records"): the error names the attribute.
pub fn decode(headers: &Headers, payload: Option<&Bytes>) -> Result<Event, EventError> {
    let mut draft = Draft {
        extensions: Vec::with_capacity(OWN.len()),
        ..Draft::default()
    };
    for (header, value) in headers.iter() {
        if header.eq_ignore_ascii_case(CONTENT_TYPE) {
            draft.data_content_type = value.map(|value| shared(headers, "content-type", value)).transpose()?;
        } else if let Some((prefix, name)) = header.split_at_checked(3)
            && prefix.eq_ignore_ascii_case(b"ce_")
        {
            attribute(&mut draft, headers, name, value)?;
        }
    }
    if draft
        .data_content_type
        .as_ref()
        .is_some_and(|t| content_type::is(t, content_type::CLOUDEVENT))
    {
        let payload = payload.ok_or_else(|| EventError::Json("the record in structured mode has no payload".into()))?;
        return structured::decode_as(payload, Reading::Lenient);
    }
    draft.finish(payload.cloned())
}

/// Takes in the header `ce_<name>`.
fn attribute(draft: &mut Draft, headers: &Headers, name: &[u8], value: Option<&[u8]>) -> Result<(), EventError> {
    let lower = if name.iter().any(u8::is_ascii_uppercase) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    };
    if let Some(slot) = draft.slot(&lower) {
        // For the type of the payload the binding has the header `content-type`.
        if *lower != *b"datacontenttype" {
            *slot = value
                .map(|value| shared(headers, &String::from_utf8_lossy(&lower), value))
                .transpose()?;
        }
        return Ok(());
    }
    let own = OWN.iter().find(|own| *own.as_bytes() == *lower);
    if own.is_none() && extension_name(&lower).is_err() {
        return Ok(());
    }
    let known = draft.extensions.iter().position(|(n, _)| *n.as_bytes() == *lower);
    let text = value.and_then(|value| ByteString::try_from(headers.as_block().slice_ref(value)).ok());
    match (known, text) {
        (Some(at), Some(text)) => draft.extensions[at].1 = Value::String(text),
        (Some(at), None) => drop(draft.extensions.remove(at)),
        (None, None) => {}
        (None, Some(text)) => {
            let name = match (own, lower) {
                // A share of the buffer costs more than a static name, and most are these.
                (Some(own), _) => ByteString::from_static(own),
                (None, Cow::Borrowed(name)) => {
                    ByteString::try_from(headers.as_block().slice_ref(name)).expect("letters and digits")
                }
                (None, Cow::Owned(name)) => ByteString::try_from(name).expect("letters and digits"),
            };
            draft.push_extension(name, Value::String(text))?;
        }
    }
    Ok(())
}

/// The value as text that shares the record's buffer.
fn shared(headers: &Headers, name: &str, value: &[u8]) -> Result<ByteString, EventError> {
    // A share of the buffer costs more than a static text, and most events have these.
    if let Some(usual) = USUAL.iter().find(|usual| usual.as_bytes() == value) {
        return Ok(ByteString::from_static(usual));
    }
    ByteString::try_from(headers.as_block().slice_ref(value)).map_err(|_| EventError::invalid(name, "must be UTF-8"))
}

/// About the bytes of the header block: one allocation then suffices.
fn size_hint(event: &Event) -> usize {
    let text = |text: &Option<ByteString>| text.as_ref().map_or(0, |text| text.len());
    let length = |value: &Value| {
        if let Value::String(text) = value {
            text.len()
        } else {
            20
        }
    };
    let extensions = event
        .extensions
        .iter()
        .map(|(name, value)| 9 + name.len() + length(value));
    200 + event.id.len()
        + event.ty.len()
        + event.source.len()
        + text(&event.data_content_type)
        + text(&event.data_schema)
        + text(&event.subject)
        + extensions.sum::<usize>()
}
