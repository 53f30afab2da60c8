//! The first lines of the requests that a connection brings. Clients of dojot put filters into the query as people write them
//! (compat/dojot.md 10), with characters that a URI cannot have (RFC 3986 section 2): they become what stands for them.
//!
//! The first bytes of a connection are a first line. Later ones are one only if they come behind an answer and look like it: a proxy
//! that keeps connections forwards what it got, while a payload must never change.

use bytes::{BufMut as _, BytesMut};

/// Where in a first line a reader is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FirstLine {
    /// Before the query.
    #[default]
    Start,
    /// In the query.
    Query,
    /// The line is over, and nothing is changed until the request is answered.
    Over,
    /// The request was answered: there may be another one.
    Answered,
    /// What comes is no HTTP.
    Never,
}

/// With which the first line of another request begins: only those have filters in them.
const ANOTHER: &[u8] = b"GET /";
/// With which an answer begins that is not the last one of its request.
const INTERIM: &[u8] = b"HTTP/1.1 1";

// ----------------------------------------------------------------------------------------------

impl FirstLine {
    /// Whether what comes next stays as it is.
    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::Over | Self::Never)
    }

    /// Whether what is sent is HTTP.
    pub(crate) fn is_http(self) -> bool {
        self != Self::Never
    }

    /// These bytes are sent.
    pub(crate) fn answer(&mut self, bytes: &[u8]) {
        if *self == Self::Over && !bytes.is_empty() && !bytes.starts_with(INTERIM) {
            *self = Self::Answered;
        }
    }

    /// Goes on by these bytes. `None`: they stay as they are.
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> Option<BytesMut> {
        if *self == Self::Answered && !bytes.is_empty() {
            *self = if bytes.starts_with(ANOTHER) {
                Self::Start
            } else {
                Self::Over
            };
        }
        if self.is_over() {
            return None;
        }
        let mut changed: Option<BytesMut> = None;
        for (at, byte) in bytes.iter().enumerate() {
            match (*self, byte) {
                (_, b'\n') => {
                    *self = Self::Over;
                    if let Some(changed) = &mut changed {
                        changed.put_slice(&bytes[at..]);
                    }
                    break;
                }
                (Self::Start, b'?') => *self = Self::Query,
                // Behind it is the version.
                (Self::Query, b' ') => *self = Self::Start,
                _ => {}
            }
            let stands_for = match byte {
                b'"' => "%22",
                b'<' => "%3C",
                b'>' => "%3E",
                _ => "",
            };
            if *self == Self::Query && !stands_for.is_empty() {
                let changed = changed.get_or_insert_with(|| bytes[..at].into());
                changed.put_slice(stands_for.as_bytes());
            } else if let Some(changed) = &mut changed {
                changed.put_u8(*byte);
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However the bytes come, what is read is the same.
    #[test]
    fn only_the_query_of_the_first_line_changes() {
        let rest = "host: \"<x>\"?\"\r\n\r\n?\"<>";
        for (line, read) in [
            ("GET /a HTTP/1.1\r\n", "GET /a HTTP/1.1\r\n"),
            ("GET /<a>\"?b HTTP/1.1\r\n", "GET /<a>\"?b HTTP/1.1\r\n"),
            (
                "GET /a?where=b=in:\"x;y\",<>?\"; HTTP/1.1\"\r\n",
                "GET /a?where=b=in:%22x;y%22,%3C%3E?%22; HTTP/1.1\"\r\n",
            ),
            ("GET /a?\"\n", "GET /a?%22\n"),
        ] {
            let (text, expected) = (format!("{line}{rest}"), format!("{read}{rest}"));
            for size in 1..=text.len() {
                let (mut first, mut out) = (FirstLine::default(), Vec::new());
                for part in text.as_bytes().chunks(size) {
                    match first.pass(part) {
                        Some(changed) => out.extend_from_slice(&changed),
                        None => out.extend_from_slice(part),
                    }
                    if first == FirstLine::Over {
                        break;
                    }
                }
                assert_eq!(first, FirstLine::Over);
                let read = String::from_utf8(out).unwrap();
                assert!(expected.starts_with(&read) && read.contains('\n'), "{size}: {read}");
            }
        }
    }

    #[test]
    fn behind_an_answer_there_may_be_another_request_and_never_a_payload() {
        let after = |answer: &str, bytes: &str| {
            let mut first = FirstLine::default();
            first.pass(b"GET / HTTP/1.1\r\n");
            first.answer(answer.as_bytes());
            first.pass(bytes.as_bytes()).is_some()
        };
        let raw = "GET /?\"\n";
        assert!(after("HTTP/1.1 200 OK\r\n", raw));
        assert!(!after("", raw));
        assert!(!after("HTTP/1.1 100 Continue\r\n", raw));
        assert!(!after("HTTP/1.1 202 Accepted\r\n", "{\"a\":\"what?\"}"));
        assert!(!after("HTTP/1.1 202 Accepted\r\n", "POST /?\"\n"));
        let mut websocket = FirstLine::Never;
        websocket.answer(b"\x81\x00");
        assert_eq!(websocket.pass(raw.as_bytes()), None);
    }
}
