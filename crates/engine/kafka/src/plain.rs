//! Plain JSON: records of programs that know nothing of CloudEvents become events, if the operator has said where in them device,
//! channel, time and payload are. For dojot (compat/dojot.md 12):
//! `device=metadata.deviceid channel='device-data' time=metadata.timestamp data=attrs`.

use std::collections::BTreeMap;

use bytes::Bytes;
use bytestring::ByteString;
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::value::RawValue;
use sockeye_event::{
    Event, Headers, Value, binary, content_type,
    event::{TYPE_EVENT, extension},
    time,
};

/// Where plain JSON has what an event needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlainJson {
    device: Option<Source>,
    channel: Option<Source>,
    time: Option<Source>,
    /// Without it, the whole record is the payload.
    data: Option<Source>,
}

/// Where one thing is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    /// The names of fields, from the outermost.
    Path(Vec<String>),
    /// The record's key.
    Key,
    /// Always this.
    Text(String),
}

/// What there is of a record beside its payload.
pub(crate) struct Plain<'a> {
    pub(crate) application: &'a str,
    /// Of Kafka.
    pub(crate) topic: &'a str,
    pub(crate) partition: u32,
    pub(crate) offset: u64,
    pub(crate) time: Timestamp,
    pub(crate) key: Option<&'a [u8]>,
}

/// What a record says of itself.
#[derive(Default)]
pub(crate) struct Said {
    device: Option<String>,
    channel: Option<String>,
    time: Option<Timestamp>,
}

/// Longest text that is taken over into an attribute, in bytes; a longer one is as if it were not there.
const LONGEST: usize = sockeye_limits::DEVICE_NAME;

// ----------------------------------------------------------------------------------------------

impl PlainJson {
    /// Reads a mapping such as `device=metadata.deviceid channel='device-data' time=metadata.timestamp data=attrs`: words with a
    /// path of fields, `@key` for the record's key, or a text in quotes. `data` takes a path only.
    pub fn parse(text: &str) -> Option<Self> {
        let mut mapping = Self::default();
        for word in text.split_whitespace() {
            let (name, value) = word.split_once('=')?;
            let place = match name {
                "device" => &mut mapping.device,
                "channel" => &mut mapping.channel,
                "time" => &mut mapping.time,
                "data" => &mut mapping.data,
                _ => return None,
            };
            let source = Source::parse(value)?;
            let is_sound = name != "data" || matches!(source, Source::Path(_));
            if !is_sound || place.replace(source).is_some() {
                return None;
            }
        }
        (mapping != Self::default()).then_some(mapping)
    }

    /// The headers and the payload that make an event of a record; `None` if it is no JSON object, or lacks what is the payload.
    pub(crate) fn event(&self, plain: &Plain<'_>, payload: &Bytes) -> Option<(Headers, Bytes)> {
        let fields = fields(payload)?;
        let text = |source: &Option<Source>| {
            let found = source.as_ref()?.text(&fields, plain.key)?;
            (!found.is_empty() && found.len() <= LONGEST && !found.contains(char::is_control)).then_some(found)
        };
        let headers = plain.headers(Said {
            device: text(&self.device),
            channel: text(&self.channel),
            time: text(&self.time).and_then(|said| moment(&said)),
        });
        let data = match &self.data {
            Some(Source::Path(path)) => payload.slice_ref(value(&fields, path)?.get().as_bytes()),
            _ => payload.clone(),
        };
        Some((headers, data))
    }
}

impl Plain<'_> {
    /// The headers that make an event of JSON that says this of itself.
    pub(crate) fn headers(&self, said: Said) -> Headers {
        let Said { device, channel, time } = said;
        let mut extensions = Vec::new();
        let mut put = |name, value: &str| {
            extensions.push((ByteString::from_static(name), Value::String(value.into())));
        };
        put(extension::APPLICATION, self.application);
        let source = if let Some(device) = &device {
            put(extension::DEVICE, device);
            put(extension::SENDER, device);
            let device = utf8_percent_encode(device, NON_ALPHANUMERIC);
            format!("drogue://{}/{device}", self.application)
        } else {
            format!("kafka:{}", self.topic)
        };
        let event = Event {
            // The same whenever it is read.
            id: format!("{}/{}/{}", self.topic, self.partition, self.offset).into(),
            source: source.into(),
            ty: ByteString::from_static(TYPE_EVENT),
            data_content_type: Some(ByteString::from_static(content_type::JSON)),
            data_schema: None,
            subject: channel.map(Into::into),
            time: Some(time.unwrap_or(self.time)),
            extensions,
            data: None,
        };
        binary::encode(&event).0
    }
}

/// Whether a record says by its headers that it is a CloudEvent, in whichever mode.
pub(crate) fn is_cloud_event(headers: &Headers) -> bool {
    headers.iter().any(|(name, value)| {
        let begins = |text: &[u8], with: &[u8]| text.get(..with.len()).is_some_and(|b| b.eq_ignore_ascii_case(with));
        begins(name, b"ce_")
            || (name.eq_ignore_ascii_case(b"content-type")
                && value.is_some_and(|value| begins(value, b"application/cloudevents")))
    })
}

impl Source {
    fn parse(text: &str) -> Option<Self> {
        if text == "@key" {
            return Some(Self::Key);
        }
        if let Some(quoted) = text.strip_prefix('\'') {
            let text = quoted.strip_suffix('\'').filter(|text| !text.is_empty())?;
            return Some(Self::Text(text.to_owned()));
        }
        let path: Vec<String> = text.split('.').map(str::to_owned).collect();
        let is_name = |name: &String| !name.is_empty() && !name.contains(['\'', '@', '=']);
        path.iter().all(is_name).then_some(Self::Path(path))
    }

    /// The text that is there; a number as it is written.
    fn text(&self, fields: &BTreeMap<String, &RawValue>, key: Option<&[u8]>) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Key => Some(str::from_utf8(key?).ok()?.to_owned()),
            Self::Path(path) => {
                let found = value(fields, path)?.get();
                match found.as_bytes().first()? {
                    b'"' => serde_json::from_str(found).ok(),
                    b'0'..=b'9' | b'-' => Some(found.to_owned()),
                    _ => None,
                }
            }
        }
    }
}

/// The value at a path of names.
fn value<'a>(fields: &BTreeMap<String, &'a RawValue>, path: &[String]) -> Option<&'a RawValue> {
    let (first, rest) = path.split_first()?;
    let mut found = *fields.get(first)?;
    for name in rest {
        let inner: BTreeMap<String, &RawValue> = serde_json::from_str(found.get()).ok()?;
        found = *inner.get(name)?;
    }
    Some(found)
}

/// The fields of a JSON object; `None` if it is none.
fn fields(payload: &[u8]) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_slice(payload).ok()
}

/// A time as RFC 3339, or in seconds or milliseconds since 1970, whichever gives a time of this century.
fn moment(text: &str) -> Option<Timestamp> {
    /// As milliseconds this is 1973, as seconds the year 5138.
    const MILLISECONDS: f64 = 1e11;
    if let Some(time) = time::parse(text) {
        return Some(time);
    }
    let number: f64 = text.parse().ok()?;
    let millis = if number.abs() < MILLISECONDS {
        number * 1e3
    } else {
        number
    };
    Timestamp::from_millisecond(millis as i64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(mapping: &str, key: Option<&[u8]>, payload: &str) -> Option<Event> {
        let payload = Bytes::copy_from_slice(payload.as_bytes());
        let plain = Plain {
            application: "admin",
            topic: "admin.device-data",
            partition: 2,
            offset: 7,
            time: Timestamp::UNIX_EPOCH,
            key,
        };
        let (headers, payload) = PlainJson::parse(mapping).unwrap().event(&plain, &payload)?;
        Some(binary::decode(&headers, Some(&payload)).unwrap())
    }

    #[test]
    fn a_record_of_dojot_is_an_event() {
        let mapping = "device=metadata.deviceid channel='device-data' time=metadata.timestamp";
        let payload =
            r#"{"metadata":{"deviceid":"c6ea4b","tenant":"admin","timestamp":1604587064592},"attrs":{"t":1.50}}"#;
        let event = event(mapping, None, payload).unwrap();
        assert_eq!(event.id, "admin.device-data/2/7");
        assert_eq!(event.source, "drogue://admin/c6ea4b");
        assert_eq!(event.device().map(|device| &**device), Some("c6ea4b"));
        assert_eq!(event.channel().map(|channel| &**channel), Some("device-data"));
        assert_eq!(event.time.unwrap().to_string(), "2020-11-05T14:37:44.592Z");
        assert_eq!(event.data.as_deref(), Some(payload.as_bytes()), "as it came");
        let inner = self::event(&format!("{mapping} data=attrs"), None, payload).unwrap();
        assert_eq!(inner.data.as_deref(), Some(&br#"{"t":1.50}"#[..]), "as it came");
        assert_eq!((inner.id, inner.time), (event.id, event.time));
        assert_eq!(self::event("data=other", None, payload), None);
    }

    #[test]
    fn what_is_not_there_is_left_out_and_what_is_no_object_is_no_event() {
        let read = |payload| event("device=@key channel=kind time=at", Some(b"k 1"), payload);
        let found = read(r#"{"at":1604587064,"kind":5}"#).unwrap();
        assert_eq!(found.device().map(|device| &**device), Some("k 1"));
        assert_eq!(found.source, "drogue://admin/k%201");
        assert_eq!(found.channel().map(|channel| &**channel), Some("5"));
        assert_eq!(found.time.unwrap().as_second(), 1_604_587_064);
        let bare = event("channel=a.b.c", None, r#"{"a":{"b":1}}"#).unwrap();
        assert_eq!((bare.subject, &*bare.source), (None, "kafka:admin.device-data"));
        assert_eq!(bare.time, Some(Timestamp::UNIX_EPOCH), "when it was stored");
        for payload in ["", "1", "[]", "{", r#"{"a":1} x"#, "\u{1}"] {
            assert_eq!(read(payload), None, "{payload}");
        }
    }

    #[test]
    fn mappings() {
        for text in ["device=@key", "device=a.b-c", "time=ts  channel='x'", "data=a.b"] {
            assert!(PlainJson::parse(text).is_some(), "{text}");
        }
        for text in [
            "",
            "device",
            "device=",
            "device=a..b",
            "device=a device=b",
            "id=a",
            "channel='x",
            "channel=''",
            "data=@key",
            "data='x'",
        ] {
            assert_eq!(PlainJson::parse(text), None, "{text}");
        }
    }
}
