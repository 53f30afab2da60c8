//! Events read from JSON, one or a batch.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use bytestring::ByteString;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use sockeye_limits::{EVENTS_PER_BATCH, EXTENSIONS_READ};

use crate::attribute::{Draft, extension_name};
use crate::content_type::{self, WireForm, wire_form};
use crate::{Event, EventError, Value};

/// What happens to an extension that CloudEvents does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// It is an error: the sender waits for an answer and can mend it.
    Strict,
    /// It is left out: the event is in a log already, and the rest of it is sound.
    Lenient,
}

/// A batch that is none, or one of its events that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchError {
    /// Place of the event in the batch, from 0; `None` if the batch as a whole is wrong.
    pub index: Option<usize>,
    /// What is wrong.
    pub error: EventError,
}

/// The members of a JSON object, values as they came.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// The elements of a JSON array, as they came.
struct Elements<'a>(Vec<&'a RawValue>);

// ----------------------------------------------------------------------------------------------

/// Reads one event. Its strings and its payload share the buffer where they stand in it as they are.
///
/// # Errors
/// The text is no CloudEvent 1.0: the error names the attribute.
pub fn decode(text: &Bytes) -> Result<Event, EventError> {
    decode_as(text, Reading::Strict)
}

/// Reads a JSON array of events (`application/cloudevents-batch+json`), all or nothing.
///
/// # Errors
/// It is no array, has more than [`EVENTS_PER_BATCH`] events, or one of them is no CloudEvent.
pub fn decode_batch(text: &Bytes) -> Result<Vec<Event>, BatchError> {
    let whole = |error: serde_json::Error| BatchError {
        index: None,
        error: not_json(&error),
    };
    let Elements(elements) = serde_json::from_slice(text).map_err(whole)?;
    let event = |(index, element): (usize, &&RawValue)| {
        decode(&text.slice_ref(element.get().as_bytes())).map_err(|error| BatchError {
            index: Some(index),
            error,
        })
    };
    elements.iter().enumerate().map(event).collect()
}

pub(crate) fn decode_as(text: &Bytes, reading: Reading) -> Result<Event, EventError> {
    let Members(members) = serde_json::from_slice(text).map_err(|error| not_json(&error))?;
    let mut draft = Draft::default();
    let (mut data, mut data_base64) = (None, None);
    for (at, (name, value)) in members.iter().enumerate() {
        if members[..at].iter().any(|(earlier, _)| earlier == name) {
            return Err(EventError::invalid(&**name, "is there twice"));
        }
        if *name == "data" {
            data = Some(*value);
        } else if value.get() == "null" {
            // An attribute that is not there (CloudEvents JSON format section 2.2).
        } else if *name == "data_base64" {
            data_base64 = Some(string(text, name, value)?);
        } else if let Some(slot) = draft.slot(name.as_bytes()) {
            *slot = Some(string(text, name, value)?);
        } else {
            match extension(text, name, value) {
                Ok(value) => draft.push_extension(shared(text, name), value)?,
                Err(_) if reading == Reading::Lenient => {}
                Err(error) => return Err(error),
            }
        }
    }
    let payload = match (data, data_base64) {
        (None, None) => None,
        (None, Some(encoded)) => {
            let problem = "must be Base64 (RFC 4648 section 4, with padding)";
            Some(
                STANDARD
                    .decode(encoded)
                    .map_err(|_| EventError::invalid("data_base64", problem))?
                    .into(),
            )
        }
        (Some(value), None) => payload(text, value, &mut draft.data_content_type)?,
        (Some(_), Some(_)) => {
            return Err(EventError::invalid(
                "data_base64",
                "cannot stand beside `data`: one of them at most",
            ));
        }
    };
    draft.finish(payload)
}

/// The payload in `data`: JSON as it came under a JSON type (which an absent one is, JSON format section 3.1), else the text.
fn payload(text: &Bytes, value: &RawValue, content_type: &mut Option<ByteString>) -> Result<Option<Bytes>, EventError> {
    let declared = content_type.take().filter(|text| !text.is_empty());
    let declared = content_type.insert(declared.unwrap_or_else(|| ByteString::from_static(content_type::JSON)));
    if content_type::is_json(declared) || wire_form(Some(declared)) == WireForm::Json {
        return Ok(Some(text.slice_ref(value.get().as_bytes())));
    }
    match value.get() {
        "null" => Ok(None),
        raw if raw.starts_with('"') => Ok(Some(string(text, "data", value)?.into_bytes())),
        _ => Err(EventError::invalid(
            "data",
            format!("must be a string, because `datacontenttype` is `{declared}`; bytes go into `data_base64`"),
        )),
    }
}

fn extension(text: &Bytes, name: &str, value: &RawValue) -> Result<Value, EventError> {
    extension_name(name.as_bytes())?;
    match value.get() {
        "true" => Ok(Value::Boolean(true)),
        "false" => Ok(Value::Boolean(false)),
        raw if raw.starts_with('"') => string(text, name, value).map(Value::String),
        raw => match raw.parse() {
            Ok(number) => Ok(Value::Integer(number)),
            Err(_) => Err(EventError::invalid(name, "must be a string, an integer or a boolean")),
        },
    }
}

/// The text of a JSON string.
fn string(text: &Bytes, name: &str, value: &RawValue) -> Result<ByteString, EventError> {
    let raw = value.get();
    match raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        None => Err(EventError::invalid(name, "must be a string")),
        Some(plain) if !plain.contains('\\') => Ok(shared(text, plain)),
        Some(_) => match serde_json::from_str::<String>(raw) {
            Ok(unescaped) => Ok(unescaped.into()),
            Err(_) => Err(EventError::invalid(
                name,
                "must be a string without halves of surrogate pairs",
            )),
        },
    }
}

/// The part of the text that shares its buffer; a copy if it is no part.
fn shared(text: &Bytes, part: &str) -> ByteString {
    if text.as_ptr_range().contains(&part.as_ptr()) {
        return ByteString::try_from(text.slice_ref(part.as_bytes())).expect("it was text");
    }
    part.into()
}

fn not_json(error: &serde_json::Error) -> EventError {
    EventError::Json(error.to_string())
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// A key, borrowed if it has no escapes.
        #[derive(Deserialize)]
        struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a CloudEvent as a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(16);
                while let Some((Key(name), value)) = map.next_entry()? {
                    // Names are compared with each other: a bound keeps that cheap.
                    if members.len() == EXTENSIONS_READ + 10 {
                        return Err(A::Error::custom(format_args!(
                            "an event has at most {EXTENSIONS_READ} extensions"
                        )));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Reader)
    }
}

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Elements<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a batch of CloudEvents as a JSON array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element()? {
                    if elements.len() == EVENTS_PER_BATCH {
                        return Err(A::Error::custom(format_args!(
                            "a batch has at most {EVENTS_PER_BATCH} events"
                        )));
                    }
                    elements.push(element);
                }
                Ok(Elements(elements))
            }
        }

        deserializer.deserialize_seq(Reader)
    }
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "event {index} of the batch (counted from 0): {}", self.error),
            None => write!(f, "the batch is no JSON array of events: {}", self.error),
        }
    }
}

impl std::error::Error for BatchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
