//! A request that carries the number of its event, so that the event is recognised where it arrives.

use std::fmt;

use crate::target::basic;

/// What stands before the number in a payload: a member of a JSON object.
pub const MARK: &str = "\"n\":\"";
/// The media type of a batch of events (CloudEvents, HTTP binding section 3.3).
pub const BATCH: &str = "application/cloudevents-batch+json";
/// Digits of the number.
const DIGITS: usize = 16;

/// Bytes to be sent, with the place of the number in them.
#[derive(Clone, Debug)]
pub struct Template {
    bytes: Vec<u8>,
    /// Where the digits are; a template without the mark is sent as it is.
    at: Option<usize>,
}

// ----------------------------------------------------------------------------------------------

impl Template {
    /// Bytes in which the number takes the place of the digits behind the first [`MARK`].
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let at = memchr::memmem::find(&bytes, MARK.as_bytes()).map(|at| at + MARK.len());
        Self {
            at: at.filter(|at| bytes.get(*at..at + DIGITS).is_some()),
            bytes,
        }
    }

    /// A POST over HTTP/1.1 to this `Host` on a connection that stays open.
    pub fn post(
        host: impl fmt::Display,
        path: &str,
        login: Option<(&str, &str)>,
        content_type: &str,
        body: &[u8],
    ) -> Self {
        let login = login.map_or_else(String::new, |(user, password)| basic(user, password));
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n{login}\r\n"
        );
        Self::new([head.as_bytes(), body].concat())
    }

    /// A JSON payload of this many bytes with a place for the number; never shorter than that place needs.
    pub fn payload(bytes: usize) -> String {
        payload(0, bytes)
    }

    /// A body of the type [`BATCH`] with these JSON payloads, each one event. Ids repeat from batch to batch: nobody reads
    /// them.
    pub fn batch<P: AsRef<str>>(payloads: impl IntoIterator<Item = P>) -> String {
        let event = |(id, payload): (usize, P)| {
            let payload = payload.as_ref();
            format!(
                r#"{{"specversion":"1.0","id":"{id}","type":"bench","source":"/","datacontenttype":"application/json","data":{payload}}}"#
            )
        };
        let events: Vec<_> = payloads.into_iter().enumerate().map(event).collect();
        format!("[{}]", events.join(","))
    }

    /// Appends the request with this number.
    pub(crate) fn write(&self, number: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        if let Some(at) = self.at {
            let digits = format!("{number:0DIGITS$}");
            out[start + at..start + at + DIGITS].copy_from_slice(digits.as_bytes());
        }
    }
}

/// As [`Template::payload`], with this number.
pub(crate) fn payload(number: u64, bytes: usize) -> String {
    let of = |pad: &str| format!("{{{MARK}{number:0DIGITS$}\",\"pad\":\"{pad}\"}}");
    of(&"x".repeat(bytes.saturating_sub(of("").len())))
}

/// The number behind a mark.
pub(crate) fn number(behind_mark: &[u8]) -> Option<u64> {
    std::str::from_utf8(behind_mark.get(..DIGITS)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_arrives_as_it_was_sent() {
        let payload = Template::payload(100);
        assert_eq!(payload.len(), 100);
        let mut sent = b"before".to_vec();
        Template::post("host:1", "/", Some(("u", "p")), "a/b", payload.as_bytes()).write(4_711, &mut sent);
        let at = memchr::memmem::find(&sent, MARK.as_bytes()).unwrap() + MARK.len();
        assert_eq!(number(&sent[at..]), Some(4_711));
        assert!(sent.ends_with(b"x\"}"));
    }

    #[test]
    fn a_batch_holds_each_payload() {
        assert_eq!(Template::batch([""; 0]), "[]");
        let batch = Template::batch((3..6).map(|number| payload(number, 100)));
        assert_eq!(batch.matches(r#""specversion":"1.0""#).count(), 3);
        for number in 3..6 {
            assert!(
                batch.contains(&format!("\"data\":{}}}", payload(number, 100))),
                "{batch}"
            );
        }
    }

    #[test]
    fn a_template_without_a_place_is_sent_as_it_is() {
        for bytes in ["no mark", "\"n\":\"12"] {
            let mut sent = Vec::new();
            Template::new(bytes).write(1, &mut sent);
            assert_eq!(sent, bytes.as_bytes());
        }
        assert_eq!(number(b"12"), None);
    }
}
