//! The first line that a connection brings: that of its request. Clients of dojot put filters into the query as people write them
//! (compat/dojot.md 10), with characters that a URI cannot have (RFC 3986 section 2): they become what stands for them.

use bytes::{BufMut as _, BytesMut};

/// Where in the first line a reader is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FirstLine {
    /// Before the query.
    #[default]
    Start,
    /// In the query.
    Query,
    /// The line is over, and nothing is changed any more.
    Over,
}

// ----------------------------------------------------------------------------------------------

impl FirstLine {
    /// Goes on by these bytes. `None`: they stay as they are.
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> Option<BytesMut> {
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
}
