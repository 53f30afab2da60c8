//! Structured mode: an event as one line of JSON (CloudEvents JSON format 1.0.2, compat/drogue.md 1.9).
//!
//! The order of the members is the reference's: `specversion`, `id`, `type`, `source`, `datacontenttype`, `dataschema`,
//! `subject`, `time`, then `data` or `data_base64`, then the extensions. A JSON payload is spliced in as it came, less the
//! white space between tokens (decision 6).

mod decode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};

use crate::attribute::SPEC_VERSION;
use crate::content_type::{WireForm, wire_form};
use crate::{Event, Value, json, time};

pub use decode::{BatchError, decode, decode_batch};
pub(crate) use decode::{Reading, decode_as};

// ----------------------------------------------------------------------------------------------

/// Appends the event as one line of JSON, without a line end. What is in the buffer stays: a frame header may stand there.
pub fn encode(event: &Event, out: &mut BytesMut) {
    out.reserve(512 + event.data.as_ref().map_or(0, Bytes::len));
    out.put_slice(b"{\"specversion\":\"");
    out.put_slice(SPEC_VERSION.as_bytes());
    member(out, b"\",\"id\":\"", &event.id);
    member(out, b"\",\"type\":\"", &event.ty);
    member(out, b"\",\"source\":\"", &event.source);
    if let Some(content_type) = &event.data_content_type {
        member(out, b"\",\"datacontenttype\":\"", content_type);
    }
    if let Some(data_schema) = &event.data_schema {
        member(out, b"\",\"dataschema\":\"", data_schema);
    }
    if let Some(subject) = &event.subject {
        member(out, b"\",\"subject\":\"", subject);
    }
    if let Some(time) = event.time {
        out.put_slice(b"\",\"time\":\"");
        out.put_slice(time::format(time).as_bytes());
    }
    out.put_u8(b'"');
    if let Some(payload) = &event.data {
        data(payload, wire_form(event.data_content_type.as_deref()), out);
    }
    for (name, value) in &event.extensions {
        member(out, b",\"", name);
        match value {
            Value::String(text) => {
                member(out, b"\":\"", text);
                out.put_u8(b'"');
            }
            Value::Integer(number) => display(out, number),
            Value::Boolean(truth) => display(out, truth),
        }
    }
    out.put_u8(b'}');
}

/// What stands before the text, and the text; the closing quote is the caller's.
#[inline]
fn member(out: &mut BytesMut, before: &[u8], text: &str) {
    out.put_slice(before);
    json::escape_into(text, out);
}

/// The end of a name and a value without quotes.
fn display(out: &mut BytesMut, value: impl std::fmt::Display) {
    out.put_slice(b"\":");
    out.put_slice(value.to_string().as_bytes());
}

/// The member for the payload: the table of compat/drogue.md 1.9.
fn data(payload: &[u8], form: WireForm, out: &mut BytesMut) {
    const DATA: &[u8] = b",\"data\":";
    let start = out.len();
    let written = match form {
        WireForm::Json => {
            out.put_slice(DATA);
            json::compact(payload, out).is_ok()
        }
        WireForm::Text => std::str::from_utf8(payload).is_ok_and(|text| {
            out.put_slice(DATA);
            member(out, b"\"", text);
            out.put_u8(b'"');
            true
        }),
        WireForm::Binary => false,
    };
    if !written {
        out.truncate(start);
        data_base64(payload, out);
    }
}

fn data_base64(payload: &[u8], out: &mut BytesMut) {
    out.put_slice(b",\"data_base64\":\"");
    let start = out.len();
    out.resize(start + payload.len().div_ceil(3) * 4, 0);
    STANDARD
        .encode_slice(payload, &mut out[start..])
        .expect("the length is that of padded Base64");
    out.put_u8(b'"');
}
