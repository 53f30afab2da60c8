//! What every request gets, whatever room answers it: an id, a span in the log that carries it, and the limit of its head.

use std::borrow::Cow;
use std::net::IpAddr;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use hyper::body::Incoming;
use sockeye_limits as limits;
use tower::Service;
use tracing::Instrument;

use crate::not_found;

/// Ties an answer, and all lines of the log about it, to a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

// ----------------------------------------------------------------------------------------------

/// Answers one request. The span has the address of the client and the path, but not the query, which may hold secrets.
pub(crate) async fn answer(mut router: Router, mut request: Request<Incoming>, client: IpAddr) -> Response<Body> {
    // Before an id is added to it.
    let too_large = head_length(&request) > limits::HTTP_HEAD;
    let id = id(request.headers_mut());
    let text = id.to_str().unwrap_or_default();
    let span = tracing::info_span!("request", id = text, %client, method = %request.method(), path = &*shown(request.uri().path()));
    let answered = async {
        if let Some(uri) = sockeye_dialect_dojot::respell(request.uri()) {
            *request.uri_mut() = uri;
        }
        let response = if too_large {
            not_found::head_too_large().into_response()
        } else {
            let Ok(response) = router.call(request).await;
            response
        };
        tracing::debug!(status = response.status().as_u16(), "answered");
        response
    };
    let mut response = answered.instrument(span).await;
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// A path as the log shows it: the id of a session of Octave admits whoever has it (compat/octave.md 8), wherever a client puts it.
fn shown(path: &str) -> Cow<'_, str> {
    let below = path.trim_start_matches('/').strip_prefix("session/");
    if below.is_some_and(|below| !below.is_empty()) {
        return "/session/..".into();
    }
    if path.split('/').any(is_session) {
        return "..".into();
    }
    path.into()
}

/// Whether it looks like the id of a session: 11 characters, a dot, 32 characters.
fn is_session(segment: &str) -> bool {
    let of_id = |part: &str, length: usize| {
        part.len() == length
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let parts = segment.split_once('.');
    parts.is_some_and(|(name, secret)| of_id(name, 11) && of_id(secret, 32))
}

/// Bytes of the head as it came, but for white space around values. The connection itself knows them only roughly: it reads
/// ahead.
fn head_length<B>(request: &Request<B>) -> usize {
    let uri = request.uri();
    let origin = uri.scheme_str().map_or(0, |scheme| scheme.len() + "://".len());
    let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let line = request.method().as_str().len() + origin + authority + path + "  HTTP/1.1\r\n".len();
    let fields = request.headers().iter();
    let fields: usize = fields
        .map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len())
        .sum();
    line + fields + "\r\n".len()
}

/// The id that the request brought, if it can stand in a log; else a new one, for the rooms to find in its place.
fn id(headers: &mut HeaderMap) -> HeaderValue {
    if let Some(id) = headers.get(REQUEST_ID)
        && is_sane(id.as_bytes())
    {
        return id.clone();
    }
    let id = HeaderValue::from_str(&format!("{:016x}", rand::random::<u64>())).expect("hex is visible ASCII");
    headers.insert(REQUEST_ID, id.clone());
    id
}

/// Long enough for a UUID or a W3C trace parent, and nothing that could be taken for more than one word of a log line.
fn is_sane(id: &[u8]) -> bool {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(byte);
    (1..=limits::REQUEST_ID).contains(&id.len()) && id.iter().all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_session_is_not_shown() {
        for path in [
            "/session/abc.def/ws",
            "/session/abc.def",
            "//session/abc.def/ws",
            "/session//abc",
        ] {
            assert_eq!(shown(path), "/session/..");
        }
        let id = format!("{}.{}", "a".repeat(11), "-_0B".repeat(8));
        for path in [format!("/{id}"), format!("/x/{id}/ws")] {
            assert_eq!(shown(&path), "..");
        }
        for path in [
            "/",
            "/session",
            "/session/",
            "/sessions/x",
            "/v5.0/app/stream",
            "/pump.example.org",
        ] {
            assert_eq!(shown(path), path);
        }
    }

    #[test]
    fn a_sane_id_is_taken_over_and_any_other_replaced() {
        let too_long = "a".repeat(limits::REQUEST_ID + 1);
        for (brought, taken) in [
            (Some("4bf92f3577b34da6a3ce929d0e0e4736"), true),
            (Some("web:1/2.3_4-5+6=7@8"), true),
            (Some(""), false),
            (Some("two words"), false),
            (Some("\"quoted\""), false),
            (Some(too_long.as_str()), false),
            (None, false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(brought) = brought {
                headers.insert(REQUEST_ID, HeaderValue::from_str(brought).unwrap());
            }
            let id = id(&mut headers);
            assert_eq!(headers.get(REQUEST_ID), Some(&id), "rooms find it in the request");
            assert_eq!(brought == id.to_str().ok(), taken, "{brought:?} became {id:?}");
            assert!(is_sane(id.as_bytes()), "{id:?}");
        }
    }
}
