//! What a path names: a device and a channel, or a channel of no device (compat/octave.md 6.4, decision 8).
//!
//! `/{company}/devices/{device}/{channel}` and `/{company}/{channel}`. A channel with slashes is so many segments. What is not a
//! letter, a digit or one of `_.:-` is percent-escaped, so that each stream has one path.

use std::fmt::{self, Write};

use bytestring::ByteString;
use percent_encoding::percent_decode_str;
use sockeye_event::name;
use sockeye_limits as limits;

/// A stream of an application.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StreamName {
    /// The device; `None`: it is no device's.
    pub device: Option<ByteString>,
    /// The channel.
    pub channel: ByteString,
}

/// A path that names nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It is too short, or has empty segments.
    #[error("`path` must be /{{company}}/devices/{{device}}/{{channel}} or /{{company}}/{{name}}")]
    Shape,
    /// It is too long.
    #[error("`path` is longer than {} bytes", limits::OCTAVE_PATH)]
    TooLong,
    /// A name is not allowed.
    #[error("`path`: {0}")]
    Name(#[from] name::NameError),
    /// It is not how the stream's path is written.
    #[error("`path` must be written {0}")]
    Other(String),
}

// ----------------------------------------------------------------------------------------------

/// The segment behind which devices are.
pub(crate) const DEVICES: &str = "devices";

impl StreamName {
    /// Reads what follows the company in a path: `/devices/d/c`. One slash at the end does not count.
    pub fn parse(below: &str) -> Result<Self, PathError> {
        if below.len() > limits::OCTAVE_PATH {
            return Err(PathError::TooLong);
        }
        let below = below.strip_suffix('/').unwrap_or(below);
        let rest = below.strip_prefix('/').ok_or(PathError::Shape)?;
        let (device, channel) = match rest.strip_prefix("devices/").and_then(|rest| rest.split_once('/')) {
            Some((device, channel)) => (Some(unescaped(device)?), channel),
            None => (None, rest),
        };
        let channel = unescaped(channel)?;
        if let Some(device) = &device {
            name::device(device)?;
        }
        name::channel(&channel)?;
        let name = Self { device, channel };
        let canonical = name.to_string();
        if canonical != below {
            return Err(PathError::Other(format!("..{canonical}")));
        }
        Ok(name)
    }
}

/// The text of segments; those that are empty are none.
fn unescaped(segments: &str) -> Result<ByteString, PathError> {
    if segments.split('/').any(str::is_empty) {
        return Err(PathError::Shape);
    }
    let text = percent_decode_str(segments).decode_utf8();
    text.map(|text| ByteString::from(text.into_owned()))
        .map_err(|_| PathError::Shape)
}

impl fmt::Display for StreamName {
    /// What follows the company in its path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_path(self.device.as_deref(), &self.channel, f)
    }
}

/// Writes what follows the company.
pub(crate) fn write_path(device: Option<&str>, channel: &str, out: &mut impl Write) -> fmt::Result {
    out.write_char('/')?;
    if let Some(device) = device {
        out.write_str(DEVICES)?;
        out.write_char('/')?;
        segment(device, out)?;
        out.write_char('/')?;
    }
    // Segments that are empty cannot be seen: then the slashes are a part of the text.
    if channel.split('/').any(str::is_empty) {
        return segment(channel, out);
    }
    for (at, part) in channel.split('/').enumerate() {
        if at > 0 {
            out.write_char('/')?;
        }
        segment(part, out)?;
    }
    Ok(())
}

pub(crate) fn segment(text: &str, out: &mut impl Write) -> fmt::Result {
    let is_dots = matches!(text, "." | "..");
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"_:-".contains(&byte) || (byte == b'.' && !is_dots) {
            out.write_char(char::from(byte))?;
        } else {
            write!(out, "%{byte:02X}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, device: Option<&str>, channel: &str) {
        let name = StreamName {
            device: device.map(Into::into),
            channel: channel.into(),
        };
        assert_eq!(name.to_string(), path);
        assert_eq!(StreamName::parse(path), Ok(name.clone()));
        assert_eq!(
            StreamName::parse(&format!("{path}/")),
            Ok(name),
            "one slash does not count"
        );
    }

    #[test]
    fn a_stream_has_one_path() {
        check("/devices/pump7/pressure", Some("pump7"), "pressure");
        check("/devices/pump7/:command", Some("pump7"), ":command");
        check("/devices/pump7/a/b", Some("pump7"), "a/b");
        check("/devices/a%2Fb/c", Some("a/b"), "c");
        check("/devices/%C3%BC%20%25/c", Some("ü %"), "c");
        check("/devices/%2E%2E/c..d", Some(".."), "c..d");
        check("/devices/d/a%2F%2Fb", Some("d"), "a//b");
        check("/devices/d/%2F", Some("d"), "/");
        check("/weather", None, "weather");
        check("/:inbox/cloud-actions", None, ":inbox/cloud-actions");
        check("/devices", None, "devices");
        check("/devices/pump7", None, "devices/pump7");
    }

    #[test]
    fn what_names_nothing() {
        for path in ["", "/", "x", "//", "/devices//c", "/devices/d//", "/a//b", "/%ff"] {
            assert_eq!(StreamName::parse(path), Err(PathError::Shape), "{path}");
        }
        for (path, canonical) in [
            ("/devices/%70ump7/c", "../devices/pump7/c"),
            ("/devices/ü/c", "../devices/%C3%BC/c"),
            ("/devices/a%2fb/c", "../devices/a%2Fb/c"),
            ("/a/../b", "../a/%2E%2E/b"),
        ] {
            assert_eq!(
                StreamName::parse(path),
                Err(PathError::Other(canonical.into())),
                "{path}"
            );
        }
        assert!(matches!(StreamName::parse("/devices/%0A/c"), Err(PathError::Name(_))));
        assert_eq!(StreamName::parse(&"/x".repeat(2_000)), Err(PathError::TooLong));
        let long = format!("/{}", "x".repeat(300));
        assert!(matches!(StreamName::parse(&long), Err(PathError::Name(_))));
    }
}
