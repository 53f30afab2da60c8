//! Which payloads are JSON or text.
//!
//! Two questions, two answers:
//!
//! - *Is it declared as JSON?* ([`is_json`]) by media type, as HTTP means it: parameters and letter case do not matter.
//!   Asked where a payload comes in or is looked into.
//! - *In which member does it stand on the wire?* ([`wire_form`]) by the reference's three rules, bytes compared as they are
//!   (compat/drogue.md 1.9). The CloudEvents SDK reads with these very rules: were `application/problem+json;
//!   charset=utf-8` sent as JSON in `data`, as its media type suggests, the console and every Rust client would lose the whole
//!   event, while all clients can read `data_base64`. So that letter case never decides, ingest stores media types in lower
//!   case ([`normalised`]).

use bytestring::ByteString;

/// Media type of one event in structured mode.
pub const CLOUDEVENT: &str = "application/cloudevents+json";
/// Media type of a JSON array of events.
pub const CLOUDEVENTS_BATCH: &str = "application/cloudevents-batch+json";
/// Media type of JSON.
pub const JSON: &str = "application/json";
/// Media type of bytes nothing is known of.
pub const OCTET_STREAM: &str = "application/octet-stream";

/// The member in which a payload stands in structured mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireForm {
    /// `data`, as JSON; `data_base64` if it is none.
    Json,
    /// `data`, as a string; `data_base64` if it is no UTF-8.
    Text,
    /// `data_base64`.
    Binary,
}

// ----------------------------------------------------------------------------------------------

/// The member for a payload of this type.
pub fn wire_form(content_type: Option<&str>) -> WireForm {
    match content_type {
        Some(t) if t.starts_with(JSON) || t.starts_with("text/json") || t.ends_with("+json") => WireForm::Json,
        Some(t) if media_type(t).eq_ignore_ascii_case("text/plain") => WireForm::Text,
        _ => WireForm::Binary,
    }
}

/// Whether the media type is JSON: `application/json`, `text/json` or one with the suffix `+json` (RFC 6839 section 3.1).
pub fn is_json(content_type: &str) -> bool {
    let media_type = media_type(content_type);
    let suffix = media_type
        .len()
        .checked_sub("+json".len())
        .and_then(|at| media_type.get(at..));
    media_type.eq_ignore_ascii_case(JSON)
        || media_type.eq_ignore_ascii_case("text/json")
        || suffix.is_some_and(|s| s.eq_ignore_ascii_case("+json"))
}

/// Whether the media type is this one, whatever the parameters.
pub fn is(content_type: &str, expected: &str) -> bool {
    media_type(content_type).eq_ignore_ascii_case(expected)
}

/// The type without white space around it and with its media type in lower case, which means the same (RFC 9110 section
/// 8.3.1); parameters stay as they are.
pub fn normalised(content_type: &ByteString) -> ByteString {
    let trimmed = content_type.trim();
    let media_type = media_type(trimmed);
    if media_type.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return (media_type.to_ascii_lowercase() + &trimmed[media_type.len()..]).into();
    }
    content_type.slice_ref(trimmed)
}

/// What stands before the parameters.
fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_by_both_rules() {
        use WireForm::{Binary, Json, Text};
        for (content_type, form, json) in [
            ("application/json", Json, true),
            ("application/json; charset=utf-8", Json, true),
            ("application/json;charset=utf-8", Json, true),
            ("text/json", Json, true),
            ("application/vnd.acme+json", Json, true),
            ("application/problem+json; charset=utf-8", Binary, true),
            ("Application/JSON", Binary, true),
            ("application/senml+JSON ; x=1", Binary, true),
            // Many values in one body are no JSON text, though the wire's prefix rule looks at each.
            ("application/json-seq", Json, false),
            ("text/plain", Text, false),
            ("text/plain; charset=utf-8", Text, false),
            ("TEXT/PLAIN", Text, false),
            ("text/plainer", Binary, false),
            ("text/html", Binary, false),
            ("application/xml", Binary, false),
            ("application/octet-stream", Binary, false),
            ("+json", Json, true),
            ("ü", Binary, false),
            ("", Binary, false),
        ] {
            assert_eq!(wire_form(Some(content_type)), form, "{content_type}");
            assert_eq!(is_json(content_type), json, "{content_type}");
        }
        assert_eq!(wire_form(None), Binary);
    }

    #[test]
    fn only_the_media_type_becomes_lower_case() {
        for (given, stored) in [
            ("application/json", "application/json"),
            (" Application/JSON; Charset=UTF-8 ", "application/json; Charset=UTF-8"),
            ("application/x; Name=V", "application/x; Name=V"),
            ("", ""),
        ] {
            assert_eq!(normalised(&given.into()), stored, "{given}");
        }
    }
}
