//! What CloudEvents 1.0.2 allows in attributes, and an event whose attributes are still being collected.

use bytes::Bytes;
use bytestring::ByteString;
use sockeye_limits::{ATTRIBUTE_VALUE, EXTENSIONS_READ};
use url::Url;

use crate::{Event, EventError, Value, time};

/// The only `specversion` that Sockeye reads and writes.
pub(crate) const SPEC_VERSION: &str = "1.0";

/// Names that CloudEvents gives a meaning; no extension can have them.
const DEFINED: [&[u8]; 9] = [
    b"specversion",
    b"id",
    b"source",
    b"type",
    b"datacontenttype",
    b"dataschema",
    b"subject",
    b"time",
    b"data",
];

/// Attributes as a reader finds them, in any order and not yet checked.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) spec_version: Option<ByteString>,
    pub(crate) id: Option<ByteString>,
    pub(crate) source: Option<ByteString>,
    pub(crate) ty: Option<ByteString>,
    pub(crate) data_content_type: Option<ByteString>,
    pub(crate) data_schema: Option<ByteString>,
    pub(crate) subject: Option<ByteString>,
    pub(crate) time: Option<ByteString>,
    pub(crate) extensions: Vec<(ByteString, Value)>,
}

// ----------------------------------------------------------------------------------------------

impl Draft {
    /// The place of an attribute that CloudEvents itself defines; `None` for an extension.
    pub(crate) fn slot(&mut self, name: &[u8]) -> Option<&mut Option<ByteString>> {
        Some(match name {
            b"specversion" => &mut self.spec_version,
            b"id" => &mut self.id,
            b"source" => &mut self.source,
            b"type" => &mut self.ty,
            b"datacontenttype" => &mut self.data_content_type,
            b"dataschema" => &mut self.data_schema,
            b"subject" => &mut self.subject,
            b"time" => &mut self.time,
            _ => return None,
        })
    }

    /// Adds an extension, whose name is not there yet.
    pub(crate) fn push_extension(&mut self, name: ByteString, value: Value) -> Result<(), EventError> {
        if self.extensions.len() == EXTENSIONS_READ {
            return Err(EventError::invalid(
                &*name,
                format!("is too many: at most {EXTENSIONS_READ} extensions are read"),
            ));
        }
        self.extensions.push((name, value));
        Ok(())
    }

    /// The event, if its attributes are what CloudEvents demands. An empty `subject` or `datacontenttype`, which it forbids,
    /// is one that is not there.
    pub(crate) fn finish(self, data: Option<Bytes>) -> Result<Event, EventError> {
        if required("specversion", self.spec_version)? != SPEC_VERSION {
            return Err(EventError::invalid("specversion", "must be `1.0`"));
        }
        if let Some(uri) = &self.data_schema {
            absolute_uri("dataschema", uri)?;
        }
        let time = self.time.map(|text| {
            let problem = "must be a time of RFC 3339, such as `2024-05-17T12:46:34.5Z`";
            time::parse(&text).ok_or_else(|| EventError::invalid("time", problem))
        });
        Ok(Event {
            id: required("id", self.id)?,
            source: required("source", self.source)?,
            ty: required("type", self.ty)?,
            data_content_type: self.data_content_type.filter(|text| !text.is_empty()),
            data_schema: self.data_schema,
            subject: self.subject.filter(|text| !text.is_empty()),
            time: time.transpose()?,
            extensions: self.extensions,
            data,
        })
    }
}

fn required(name: &'static str, value: Option<ByteString>) -> Result<ByteString, EventError> {
    match value {
        None => Err(EventError::Missing(name)),
        Some(text) if text.is_empty() => Err(EventError::invalid(name, "must not be empty")),
        Some(text) => Ok(text),
    }
}

/// Demands a name that an extension may have: lower-case letters and digits (CloudEvents section 3.1), and none whose place in
/// structured mode is taken.
pub fn extension_name(name: &[u8]) -> Result<(), EventError> {
    let problem = if DEFINED.contains(&name) {
        "cannot be an extension: CloudEvents defines it"
    } else if name.is_empty()
        || !name
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    {
        "must have a name of lower-case letters (a-z) and digits"
    } else {
        return Ok(());
    };
    Err(EventError::invalid(String::from_utf8_lossy(name), problem))
}

/// Demands an absolute URI. It must also be a URL to the `url` crate: clients of the CloudEvents SDK parse it so, and would
/// lose the whole event. That parser alone would let white space through.
pub fn absolute_uri(name: &str, uri: &str) -> Result<(), EventError> {
    let printable = !uri.contains(|c: char| c.is_whitespace() || c.is_control());
    if printable && Url::parse(uri).is_ok() {
        return Ok(());
    }
    Err(EventError::invalid(
        name,
        "must be an absolute URI, such as `https://example.com/schema`",
    ))
}

/// Demands a text that CloudEvents allows (section 2.4, `String`) and that is within the limit.
pub fn printable(name: &str, text: &str) -> Result<(), EventError> {
    if text.len() > ATTRIBUTE_VALUE {
        return Err(EventError::invalid(
            name,
            format!("has {} bytes, {ATTRIBUTE_VALUE} are allowed", text.len()),
        ));
    }
    if text.contains(char::is_control) {
        return Err(EventError::invalid(name, "must not contain control characters"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_uris() {
        for uri in [
            "https://example.com/schema",
            "urn:example:a",
            "dtmi:com:example;1",
            "http://[::1]:80/a?b#c",
            "a:b",
        ] {
            assert_eq!(absolute_uri("x", uri), Ok(()), "{uri}");
        }
        for uri in [
            "",
            "foo",
            "/schema",
            "//example.com/x",
            "http://",
            "http://[x",
            "https://a b",
            " a:b",
            "a:b\n",
            "1:x",
        ] {
            assert!(absolute_uri("x", uri).is_err(), "{uri}");
        }
    }

    #[test]
    fn names_of_extensions() {
        for (name, allowed) in [
            ("a1", true),
            ("partitionkey", true),
            ("", false),
            ("data", false),
            ("id", false),
            ("data_base64", false),
            ("aB", false),
            ("é", false),
        ] {
            assert_eq!(extension_name(name.as_bytes()).is_ok(), allowed, "{name}");
        }
    }
}
