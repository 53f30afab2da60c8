//! What the body and its headers say: a bare payload, a CloudEvent in one of its HTTP modes, or a batch of them
//! (CloudEvents HTTP binding 1.0.2, section 3).
//!
//! A device chooses `id`, `time`, `dataschema`, the content type and extensions of its own. Type, source, subject and the
//! extensions that say who it is are ours; what it sends there is replaced.

use std::borrow::Cow;

use bytes::Bytes;
use bytestring::ByteString;
use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use percent_encoding::percent_decode;
use sockeye_event::content_type::{self, CLOUDEVENT, CLOUDEVENTS_BATCH};
use sockeye_event::device::Rejected;
use sockeye_event::structured::{decode, decode_batch};
use sockeye_event::{DeviceEvent, Event, EventError, Origin, Value, time};
use sockeye_limits as limits;

use crate::refusal::Refusal;

/// How the body is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The body is the payload; attributes may come as `ce-` headers.
    Payload,
    /// The body is one event as JSON.
    Structured,
    /// The body is a JSON array of events.
    Batch,
}

/// What the request says besides its body.
pub(crate) struct Context<'a> {
    /// Who publishes.
    pub(crate) origin: Origin,
    /// Where to.
    pub(crate) channel: ByteString,
    /// `?data_schema=`, for events that name no schema themselves.
    pub(crate) data_schema: Option<&'a str>,
    /// When it came in, for events that name no time.
    pub(crate) now: Timestamp,
}

// ----------------------------------------------------------------------------------------------

impl Mode {
    /// By `Content-Type`.
    pub(crate) fn of(content_type: Option<&str>) -> Self {
        match content_type {
            Some(declared) if content_type::is(declared, CLOUDEVENT) => Self::Structured,
            Some(declared) if content_type::is(declared, CLOUDEVENTS_BATCH) => Self::Batch,
            _ => Self::Payload,
        }
    }

    /// Most bytes of the body. An event as JSON may be a third longer than its payload in Base64, and has attributes.
    pub(crate) fn limit(self) -> usize {
        match self {
            Self::Payload => limits::EVENT_PAYLOAD,
            Self::Structured => 2 * limits::EVENT_PAYLOAD,
            Self::Batch => limits::EVENT_BATCH,
        }
    }
}

/// The one content type of a request.
pub(crate) fn declared_type(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut declared = headers.get_all(header::CONTENT_TYPE).iter();
    match (declared.next(), declared.next()) {
        (None, _) => Ok(None),
        (Some(one), None) => match one.to_str() {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(Refusal::BadRequest(
                "the header `Content-Type` must be ASCII".to_owned(),
            )),
        },
        (Some(_), Some(_)) => Err(Refusal::BadRequest(
            "the header `Content-Type` is there twice".to_owned(),
        )),
    }
}

/// The events that a request publishes, none of them if one is not as it must be.
pub(crate) fn events(
    context: &Context<'_>,
    mode: Mode,
    declared: Option<&str>,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Vec<Event>, Refusal> {
    match mode {
        Mode::Payload => {
            let event = context.bare(declared, headers, body)?.into_event()?;
            Ok(vec![event])
        }
        Mode::Structured => {
            let event = context.own(decode(&body)?)?.into_event()?;
            Ok(vec![event])
        }
        Mode::Batch => decode_batch(&body)
            .map_err(|refused| Refusal::of_attribute(&refused.error, refused.to_string()))?
            .into_iter()
            .enumerate()
            .map(|(index, event)| {
                let event = context.own(event).and_then(DeviceEvent::into_event);
                event.map_err(|rejected| {
                    let explained = format!("event {index} of the batch (counted from 0): {rejected}");
                    Refusal::of_rejected(&rejected, explained)
                })
            })
            .collect(),
    }
}

impl Context<'_> {
    /// The body as a payload. CloudEvents attributes in headers count if the request says that it is a CloudEvent, with
    /// `ce-specversion`.
    fn bare(&self, declared: Option<&str>, headers: &HeaderMap, body: Bytes) -> Result<DeviceEvent, Refusal> {
        let mut event = DeviceEvent {
            origin: self.origin.clone(),
            channel: self.channel.clone(),
            id: None,
            time: self.now,
            content_type: declared.map(ByteString::from),
            data_schema: self.data_schema.map(ByteString::from),
            extensions: Vec::new(),
            payload: Some(body),
        };
        if let Some(version) = headers.get("ce-specversion") {
            if version != "1.0" {
                return Err(Refusal::BadRequest(
                    "the header `ce-specversion` must be `1.0`".to_owned(),
                ));
            }
            for (name, value) in headers {
                if let Some(attribute) = name.as_str().strip_prefix("ce-") {
                    set(&mut event, attribute, value)?;
                }
            }
        }
        Ok(event)
    }

    /// An event that a device made itself, less what is not a device's to say.
    fn own(&self, event: Event) -> Result<DeviceEvent, Rejected> {
        // A record of such a type is read as an event in structured mode, which could say anything of itself.
        if let Some(declared) = &event.data_content_type
            && Mode::of(Some(declared)) != Mode::Payload
        {
            return Err(
                EventError::invalid("datacontenttype", "must not be a CloudEvent: events hold no events").into(),
            );
        }
        Ok(DeviceEvent {
            origin: self.origin.clone(),
            channel: self.channel.clone(),
            id: Some(event.id),
            time: event.time.unwrap_or(self.now),
            content_type: event.data_content_type,
            data_schema: event.data_schema.or_else(|| self.data_schema.map(ByteString::from)),
            extensions: event.extensions,
            payload: event.data,
        })
    }
}

/// Takes an attribute from a header.
fn set(event: &mut DeviceEvent, attribute: &str, value: &HeaderValue) -> Result<(), Refusal> {
    let bad = |problem| Refusal::BadRequest(format!("the header `ce-{attribute}` {problem}"));
    // Binding section 3.1.3.2: values are percent-encoded UTF-8.
    let text = percent_decode(value.as_bytes())
        .decode_utf8()
        .map_err(|_| bad("must be percent-encoded UTF-8"))?;
    let text = || ByteString::from(Cow::into_owned(text));
    match attribute {
        // Of the type of the payload the header `Content-Type` tells.
        "specversion" | "type" | "source" | "subject" | "datacontenttype" => {}
        "id" => event.id = Some(text()),
        "time" => event.time = time::parse(&text()).ok_or_else(|| bad("must be a time of RFC 3339"))?,
        "dataschema" => event.data_schema = Some(text()),
        name if event.extensions.iter().any(|(known, _)| known == name) => return Err(bad("is there twice")),
        name => event.extensions.push((name.into(), Value::String(text()))),
    }
    Ok(())
}

impl Refusal {
    /// 406 if the body is not the JSON that its type promises, else 400: an attribute is wrong.
    fn of_attribute(error: &EventError, explained: String) -> Self {
        match error {
            EventError::Json(_) => Self::Rejected(explained),
            EventError::Missing(_) | EventError::Invalid { .. } => Self::BadRequest(explained),
        }
    }

    fn of_rejected(rejected: &Rejected, explained: String) -> Self {
        match rejected {
            Rejected::NotJson { .. } => Self::Rejected(explained),
            Rejected::TooLarge { .. } => Self::TooLarge(explained),
            Rejected::Attribute(error) => Self::of_attribute(error, explained),
            Rejected::Name(_) => Self::BadRequest(explained),
        }
    }
}

impl From<EventError> for Refusal {
    fn from(error: EventError) -> Self {
        Self::of_attribute(&error, error.to_string())
    }
}

impl From<Rejected> for Refusal {
    fn from(rejected: Rejected) -> Self {
        Self::of_rejected(&rejected, rejected.to_string())
    }
}
