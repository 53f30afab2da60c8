//! The protocol of one open socket (compat/drogue.md 1.6, 1.7, 1.10).

use std::sync::Arc;

use bytes::BytesMut;
use bytestring::ByteString;
use serde::Deserialize;
use sockeye_access::Secret;
use sockeye_delivery::{Closing, Encoder, Message, Remote, Session, Verdict};
use sockeye_event::{Event, structured};
use sockeye_filter::Fields;
use sockeye_log::{Cursor, Position};

use crate::projected::Projected;
use crate::right::SocketRight;

/// An open socket.
#[derive(Default)]
pub(crate) struct DrogueSession {
    /// The application, if its events are to carry cursors.
    pub(crate) cursors_of: Option<ByteString>,
    /// Whether it acknowledges what it got as a member of a group (`ack=client`).
    pub(crate) acknowledges: bool,
    /// What lets the socket be open.
    pub(crate) right: Option<SocketRight>,
    /// The way to its connection, once that is open.
    remote: Option<Remote>,
    /// What of the payloads is sent, if not all of it.
    pub(crate) fields: Option<Fields>,
}

/// Events as CloudEvents in JSON (compat/drogue.md 1.9).
struct StructuredJson;

/// As [`StructuredJson`], each event with an extension that tells the cursor behind it, always the last member.
struct WithCursor {
    application: ByteString,
    /// Events that were delivered to a member of the group before, which another extension says.
    redelivered: bool,
}

/// What a client may say, in a text or a binary frame.
#[derive(Deserialize)]
enum Request {
    RefreshAccessToken(String),
}

/// What a member of a group may say too. By itself, so that other clients are told what the original tells them.
#[derive(Deserialize)]
enum Acknowledgement {
    Ack(String),
    Nack(String),
}

// ----------------------------------------------------------------------------------------------

/// Protocol error (RFC 6455 section 7.4.1).
const PROTOCOL_ERROR: u16 = 1002;
/// The extension attribute that tells the cursor.
const CURSOR: &str = "cursor";
/// The extension attribute of an event that was delivered before.
const REDELIVERED: &str = "redelivered";
/// The reason for who acknowledges and has not said so.
const NO_ACKS: &str = "`Ack` and `Nack` are for members of a group that asked for `ack=client`";
/// Longest name of a message that is given back in a close reason: a longer one may be a token.
const NAME: usize = 32;

impl Encoder for StructuredJson {
    fn name(&self) -> &'static str {
        "cloudevents+json"
    }

    fn encode(&self, event: &Event, _behind: &Position, out: &mut BytesMut) {
        structured::encode(event, out);
    }
}

impl Encoder for WithCursor {
    fn name(&self) -> &'static str {
        if self.redelivered {
            "cloudevents+json, cursor, redelivered"
        } else {
            "cloudevents+json, cursor"
        }
    }

    fn encode(&self, event: &Event, behind: &Position, out: &mut BytesMut) {
        let is_ours = |name: &ByteString| name == CURSOR || self.redelivered && name == REDELIVERED;
        if event.extensions.iter().any(|(name, _)| is_ours(name)) {
            // A device's own extension of this name gives way: who asked for a cursor must get one.
            let mut event = event.clone();
            event.extensions.retain(|(name, _)| !is_ours(name));
            structured::encode(&event, out);
        } else {
            structured::encode(event, out);
        }
        out.truncate(out.len() - 1); // the closing brace
        if self.redelivered {
            for part in [",\"", REDELIVERED, "\":true"] {
                out.extend_from_slice(part.as_bytes());
            }
        }
        for part in [
            ",\"",
            CURSOR,
            "\":\"",
            &Cursor::encode(&self.application, behind),
            "\"}",
        ] {
            out.extend_from_slice(part.as_bytes());
        }
    }

    fn redelivered(&self) -> Option<Arc<dyn Encoder>> {
        Some(Arc::new(Self {
            application: self.application.clone(),
            redelivered: true,
        }))
    }
}

impl Session for DrogueSession {
    const DIALECT: &'static str = "drogue";

    fn encoder(&self) -> Arc<dyn Encoder> {
        let encoder: Arc<dyn Encoder> = match &self.cursors_of {
            None => Arc::new(StructuredJson),
            Some(application) => Arc::new(WithCursor {
                application: application.clone(),
                redelivered: false,
            }),
        };
        match &self.fields {
            None => encoder,
            Some(fields) => Arc::new(Projected::new(encoder, fields.clone())),
        }
    }

    fn opened(&mut self, remote: Remote) {
        if let Some(right) = &self.right {
            right.bind(&remote);
        }
        self.remote = Some(remote);
    }

    fn receive(&mut self, message: Message<'_>) -> Verdict {
        match serde_json::from_slice(message.as_bytes()) {
            Ok(Request::RefreshAccessToken(token)) => match (&self.right, &self.remote) {
                (Some(right), Some(remote)) if right.refresh(Secret::new(token), remote) => Verdict::Taken,
                _ => {
                    tracing::debug!("a refreshed token is ignored: the socket keeps its own right");
                    Verdict::Ignore
                }
            },
            Err(error) => match serde_json::from_slice(message.as_bytes()) {
                Ok(_) if !self.acknowledges => Verdict::Close(Closing::new(PROTOCOL_ERROR, NO_ACKS)),
                Ok(Acknowledgement::Ack(event)) => Verdict::Ack(event.into()),
                Ok(Acknowledgement::Nack(event)) => Verdict::Nack(event.into()),
                Err(_) => Verdict::Close(Closing::new(PROTOCOL_ERROR, reason(&error))),
            },
        }
    }
}

/// The text of the error, as the original gives it, but for what may be a secret in the wrong place.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text
        .strip_prefix("unknown variant `")
        .and_then(|rest| rest.rsplit_once("`, expected `"))
    {
        Some((name, rest)) if name.len() > NAME => format!("unknown variant `..`, expected `{rest}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use sockeye_limits as limits;
    use sockeye_log::Incarnation;

    use super::*;

    /// The reason of the close frame; `None` if the message is taken.
    fn check(message: &[u8], expected: Option<&str>) {
        let text = String::from_utf8_lossy(message);
        let as_text = std::str::from_utf8(message).ok().map(Message::Text);
        for message in as_text.into_iter().chain([Message::Binary(message)]) {
            match (DrogueSession::default().receive(message), expected) {
                (Verdict::Ignore, None) => {}
                (Verdict::Close(closing), Some(reason)) => {
                    assert_eq!((closing.code, &*closing.reason), (1002, reason), "{text}");
                    assert!(closing.reason.len() <= limits::WS_CLOSE_REASON, "{text}");
                }
                (verdict, _) => panic!("{text}: {verdict:?}"),
            }
        }
    }

    #[test]
    fn a_cursor_is_the_last_member_and_there_once() {
        let mut event = Event {
            id: "1".into(),
            source: "s".into(),
            ty: "t".into(),
            data_content_type: None,
            data_schema: None,
            subject: None,
            time: None,
            extensions: vec![("device".into(), "d".into())],
            data: None,
        };
        let behind = Position::new(Incarnation(1), [(0, 5)]);
        let cursors_of = Some("app".into());
        let session = DrogueSession {
            cursors_of,
            ..DrogueSession::default()
        };
        let encoder = session.encoder();
        let plain = DrogueSession::default().encoder();
        assert_ne!(encoder.name(), plain.name(), "other frames are another lane");
        let encoded = |encoder: &dyn Encoder, event: &Event| {
            let mut out = BytesMut::new();
            encoder.encode(event, &behind, &mut out);
            String::from_utf8(out.to_vec()).unwrap()
        };
        let text = encoded(&*plain, &event);
        let cursor = format!(",\"cursor\":\"{}\"}}", Cursor::encode("app", &behind));
        let expected = format!("{}{cursor}", text.strip_suffix('}').unwrap());
        assert_eq!(encoded(&*encoder, &event), expected);
        event.extensions.insert(0, ("cursor".into(), "mine".into()));
        assert_eq!(encoded(&*encoder, &event), expected);
        assert!(encoded(&*plain, &event).contains("mine"));
        // Who did not ask for a cursor sees the same frame again.
        assert!(plain.redelivered().is_none());
        let again = encoder.redelivered().unwrap();
        event.extensions.insert(0, ("redelivered".into(), "mine".into()));
        let expected = format!("{},\"redelivered\":true{cursor}", text.strip_suffix('}').unwrap());
        assert_eq!(encoded(&*again, &event), expected);
        assert_ne!(again.name(), encoder.name());
    }

    #[test]
    fn acknowledgements_are_for_who_asked_for_them() {
        let verdict = |acknowledges, text: &str| {
            let mut session = DrogueSession {
                acknowledges,
                ..DrogueSession::default()
            };
            session.receive(Message::Text(text))
        };
        assert_eq!(verdict(true, r#"{"Ack":"1"}"#), Verdict::Ack("1".into()));
        assert_eq!(verdict(true, r#"{ "Nack" : "\u00fc" }"#), Verdict::Nack("ü".into()));
        assert_eq!(verdict(true, r#"{"RefreshAccessToken":"x"}"#), Verdict::Ignore);
        for text in [r#"{"Ack":"1"}"#, r#"{"Nack":"1"}"#] {
            assert_eq!(verdict(false, text), Verdict::Close(Closing::new(1002, NO_ACKS)));
        }
        for text in [r#"{"Ack":1}"#, r#"{"Ack":"1","more":1}"#, "[]", r#"{"ack":"1"}"#] {
            assert!(
                matches!(verdict(true, text), Verdict::Close(closing) if closing.code == 1002 && closing.reason != NO_ACKS)
            );
        }
        assert!(NO_ACKS.len() <= limits::WS_CLOSE_REASON);
    }

    #[test]
    fn a_refreshed_token_is_ignored() {
        check(br#"{"RefreshAccessToken":"a.b.c"}"#, None);
        check(b" { \"RefreshAccessToken\" : \"\" } \n", None);
    }

    /// compat/drogue.md 1.7 and 1.10.
    #[test]
    fn anything_else_closes_with_the_reason_of_the_original() {
        check(b"", Some("EOF while parsing a value at line 1 column 0"));
        check(b"hello", Some("expected value at line 1 column 1"));
        check(b"5", Some("expected value at line 1 column 1"));
        check(b"{}", Some("expected value at line 1 column 2"));
        check(
            br#"{"Foo":1}"#,
            Some("unknown variant `Foo`, expected `RefreshAccessToken` at line 1 column 6"),
        );
        check(
            br#"{"RefreshAccessToken":5}"#,
            Some("invalid type: integer `5`, expected a string at line 1 column 23"),
        );
        check(
            br#"{"RefreshAccessToken":"x","more":1}"#,
            Some("expected value at line 1 column 25"),
        );
        check(
            br#"{"RefreshAccessToken":"x"} x"#,
            Some("trailing characters at line 1 column 28"),
        );
        check(
            b"{\"RefreshAccessToken\":\"\xff\"}",
            Some("invalid unicode code point at line 1 column 24"),
        );
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_given_back() {
        let hidden = "unknown variant `..`, expected `RefreshAccessToken` at line 1 column ";
        let token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtZSJ9.`, expected `c2lnbmF0dXJl";
        check(
            format!("\"{token}\"").as_bytes(),
            Some(&format!("{hidden}{}", token.len() + 2)),
        );
        check(
            format!("{{\"{token}\":1}}").as_bytes(),
            Some(&format!("{hidden}{}", token.len() + 3)),
        );
    }
}
