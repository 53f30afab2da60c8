//! Agreeing on permessage-deflate: the first offer that fits is accepted (RFC 7692 sections 5 and 7.1).

use http::{HeaderMap, HeaderValue, header};

use super::parse::{Extension, extensions};
use crate::handshake::HandshakeError;

/// RFC 7692 section 7.
const NAME: &str = "permessage-deflate";

/// What is answered. A server may ask for both whatever the client offers (RFC 7692 sections 7.1.1.1 and 7.1.1.2):
/// without context on our side a compressed frame serves all sockets, without context on theirs an idle connection needs
/// no window. `client_max_window_bits` is left out: any window of a client can be inflated (section 7.1.2.2).
const ANSWER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
/// The answer to an offer that limits our window to what it is anyway: the limit has to be in it (section 7.1.2.1).
const ANSWER_WITH_WINDOW: &str =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15";

/// The parameters of an offer that have been seen: none may come twice (RFC 7692 section 7.1).
#[derive(Default)]
struct Seen {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: bool,
    client_max_window_bits: bool,
}

// ----------------------------------------------------------------------------------------------

/// The value of `Sec-WebSocket-Extensions` for the answer, if permessage-deflate is agreed on; the connection then is one
/// [`with_deflate`](crate::Connection::with_deflate). A header that cannot be read must fail the handshake (RFC 6455
/// section 9.1).
pub fn agree(headers: &HeaderMap) -> Result<Option<HeaderValue>, HandshakeError> {
    let mut agreed = None;
    // A header that is repeated is one list (RFC 6455 section 9.1).
    for value in headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS) {
        for extension in extensions(value.as_bytes()).ok_or(HandshakeError::Extensions)? {
            agreed = agreed.or_else(|| answer(&extension));
        }
    }
    Ok(agreed.map(HeaderValue::from_static))
}

/// The answer to an offer; `None` declines it.
fn answer(extension: &Extension<'_>) -> Option<&'static str> {
    if extension.name != NAME {
        return None;
    }
    let mut seen = Seen::default();
    for (name, value) in &extension.parameters {
        let value = value.as_deref();
        let (before, fits) = match *name {
            // RFC 7692 sections 7.1.1.1 and 7.1.1.2: neither has a value.
            "server_no_context_takeover" => (&mut seen.server_no_context_takeover, value.is_none()),
            "client_no_context_takeover" => (&mut seen.client_no_context_takeover, value.is_none()),
            // Section 7.1.2.1. A smaller window of ours would be another frame, for this socket alone.
            "server_max_window_bits" => (&mut seen.server_max_window_bits, value == Some("15")),
            // Section 7.1.2.2: a hint with or without a value.
            "client_max_window_bits" => (&mut seen.client_max_window_bits, value.is_none_or(is_window)),
            // Section 7.1: an offer with an unknown parameter is declined.
            _ => return None,
        };
        if !fits || std::mem::replace(before, true) {
            return None;
        }
    }
    Some(if seen.server_max_window_bits {
        ANSWER_WITH_WINDOW
    } else {
        ANSWER
    })
}

/// RFC 7692 section 7.1.2: a number from 8 to 15 without leading zeros.
fn is_window(value: &str) -> bool {
    matches!(value, "8" | "9" | "10" | "11" | "12" | "13" | "14" | "15")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(offers: &[&str], expected: Result<Option<&str>, HandshakeError>) {
        let mut headers = HeaderMap::new();
        for offer in offers {
            headers.append(header::SEC_WEBSOCKET_EXTENSIONS, offer.parse().unwrap());
        }
        let agreed = agree(&headers).map(|agreed| agreed.map(|value| value.to_str().unwrap().to_owned()));
        assert_eq!(agreed, expected.map(|value| value.map(str::to_owned)), "{offers:?}");
    }

    #[test]
    fn the_answers() {
        assert!(ANSWER_WITH_WINDOW.starts_with(ANSWER));
        for (offers, answer) in [
            (&[][..], None),
            (&[""], None),
            (&["permessage-deflate"], Some(ANSWER)),
            // Chromium and Firefox; Safari speaks of another extension first.
            (&["permessage-deflate; client_max_window_bits"], Some(ANSWER)),
            (
                &["x-webkit-deflate-frame, permessage-deflate; client_max_window_bits"],
                Some(ANSWER),
            ),
            (
                &["permessage-deflate; client_no_context_takeover; server_no_context_takeover"],
                Some(ANSWER),
            ),
            (&["permessage-deflate; client_max_window_bits=8"], Some(ANSWER)),
            (&[r#"permessage-deflate; client_max_window_bits="10""#], Some(ANSWER)),
            (
                &["permessage-deflate; server_max_window_bits=15"],
                Some(ANSWER_WITH_WINDOW),
            ),
            (
                &[r#"permessage-deflate; client_max_window_bits; server_max_window_bits="15""#],
                Some(ANSWER_WITH_WINDOW),
            ),
            // Declined: RFC 7692 sections 7.1 and 7.1.2.1.
            (&["permessage-deflate; server_max_window_bits=14"], None),
            (&["permessage-deflate; server_max_window_bits=8"], None),
            (&["permessage-deflate; server_max_window_bits=16"], None),
            (&["permessage-deflate; server_max_window_bits=015"], None),
            (&["permessage-deflate; server_max_window_bits"], None),
            (&["permessage-deflate; client_max_window_bits=7"], None),
            (&["permessage-deflate; client_max_window_bits=16"], None),
            (&["permessage-deflate; client_max_window_bits=010"], None),
            (&["permessage-deflate; client_max_window_bits=x"], None),
            (&["permessage-deflate; server_no_context_takeover=1"], None),
            (&["permessage-deflate; client_no_context_takeover=true"], None),
            (
                &["permessage-deflate; client_max_window_bits; client_max_window_bits=15"],
                None,
            ),
            (
                &["permessage-deflate; server_no_context_takeover; server_no_context_takeover"],
                None,
            ),
            (&["permessage-deflate; level=9"], None),
            (&["permessage-bzip2", "permessage-deflate-frame"], None),
            // The next offer, in the same header or in another (RFC 7692 section 5.2).
            (
                &["permessage-deflate; server_max_window_bits=10, permessage-deflate"],
                Some(ANSWER),
            ),
            (
                &[
                    "permessage-deflate; server_max_window_bits=10",
                    "permessage-deflate; server_max_window_bits=15",
                    "permessage-deflate",
                ],
                Some(ANSWER_WITH_WINDOW),
            ),
        ] {
            check(offers, Ok(answer));
        }
    }

    #[test]
    fn a_header_that_cannot_be_read_fails_the_handshake() {
        for offers in [
            &["permessage-deflate; "][..],
            &["permessage-deflate; server_max_window_bits="],
            &["permessage-deflate", "foo bar"],
        ] {
            check(offers, Err(HandshakeError::Extensions));
        }
    }
}
