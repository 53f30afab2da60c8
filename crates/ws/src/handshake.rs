//! The upgrade request, judged without I/O (RFC 6455 section 4.2).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use sha1::{Digest as _, Sha1};

/// The version of the protocol (RFC 6455 section 4.1).
pub const VERSION: &str = "13";
/// Appended to the client's key (RFC 6455 section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Why a request cannot become a WebSocket. The text says what a client has to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// Not a WebSocket client at all: answered by 426.
    #[error("this address speaks WebSocket: send `Upgrade: websocket`")]
    NoUpgrade,
    /// RFC 6455 section 4.1, point 2.
    #[error("a WebSocket begins with a GET request")]
    Method,
    /// RFC 6455 section 4.1, point 6.
    #[error("send `Connection: Upgrade`")]
    NoConnection,
    /// RFC 6455 section 4.1, point 9.
    #[error("send `Sec-WebSocket-Version: 13`")]
    Version,
    /// RFC 6455 section 4.1, point 7.
    #[error("send one `Sec-WebSocket-Key` of 16 bytes in base64")]
    Key,
    /// RFC 6455 section 9.1.
    #[error("send `Sec-WebSocket-Extensions` as a list of `name; parameter; parameter=value`")]
    Extensions,
}

// ----------------------------------------------------------------------------------------------

/// The value of `Sec-WebSocket-Accept`, if the request is a proper upgrade.
pub fn accept(method: &Method, headers: &HeaderMap) -> Result<String, HandshakeError> {
    if !has_token(headers, &header::UPGRADE, "websocket") {
        return Err(HandshakeError::NoUpgrade);
    }
    if method != Method::GET {
        return Err(HandshakeError::Method);
    }
    if !has_token(headers, &header::CONNECTION, "upgrade") {
        return Err(HandshakeError::NoConnection);
    }
    if single(headers, &header::SEC_WEBSOCKET_VERSION) != Some(VERSION.as_bytes()) {
        return Err(HandshakeError::Version);
    }
    let key = single(headers, &header::SEC_WEBSOCKET_KEY).ok_or(HandshakeError::Key)?;
    match STANDARD.decode(key) {
        Ok(bytes) if bytes.len() == 16 => Ok(accept_key(key)),
        _ => Err(HandshakeError::Key),
    }
}

/// The answer to a proper upgrade (RFC 6455 section 4.2.2, point 5): with the value of `Sec-WebSocket-Accept`, and of
/// `Sec-WebSocket-Extensions` if some were agreed on.
pub fn switching_protocols(accept: &str, extensions: Option<HeaderValue>) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    let accept = HeaderValue::from_str(accept).expect("base64 is visible ASCII");
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(extensions) = extensions {
        headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, extensions);
    }
    response
}

/// Whether the client offers this sub-protocol.
pub fn offers_protocol(headers: &HeaderMap, protocol: &str) -> bool {
    // Names of sub-protocols differ in case (RFC 6455 section 4.1, point 10).
    tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL).any(|token| token == protocol.as_bytes())
}

/// `Sec-WebSocket-Accept` of a key (RFC 6455 section 4.2.2, point 5.4).
fn accept_key(key: &[u8]) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|found| found.eq_ignore_ascii_case(token.as_bytes()))
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers
        .get_all(name)
        .into_iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
}

/// The value of a header that must not be repeated.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).into_iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes().trim_ascii()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[(&str, &str)] = &[
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn check(method: &Method, headers: &[(&str, &str)]) -> Result<String, HandshakeError> {
        let headers = headers.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap()));
        accept(
            method,
            &headers.collect::<Vec<(HeaderName, HeaderValue)>>().into_iter().fold(
                HeaderMap::new(),
                |mut map, (name, value)| {
                    map.append(name, value);
                    map
                },
            ),
        )
    }

    /// The example of RFC 6455 section 1.3.
    #[test]
    fn the_example_of_the_rfc() {
        assert_eq!(check(&Method::GET, GOOD).as_deref(), Ok("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    }

    /// RFC 6455 section 1.3, and 4.2.2 point 5.
    #[test]
    fn the_answer_has_what_clients_check() {
        let check = |extensions: Option<&'static str>| {
            let answer = switching_protocols("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", extensions.map(HeaderValue::from_static));
            assert_eq!(answer.status(), 101);
            let header = |name: &str| Some(answer.headers().get(name)?.to_str().unwrap().to_owned());
            assert_eq!(header("upgrade").as_deref(), Some("websocket"));
            assert_eq!(header("connection").as_deref(), Some("upgrade"));
            let accept = header("sec-websocket-accept");
            assert_eq!(accept.as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
            assert_eq!(header("sec-websocket-extensions").as_deref(), extensions);
        };
        check(None);
        check(Some("permessage-deflate"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let without = |name: &str| GOOD.iter().copied().filter(|(n, _)| *n != name).collect::<Vec<_>>();
        for (name, error) in [
            ("upgrade", HandshakeError::NoUpgrade),
            ("connection", HandshakeError::NoConnection),
            ("sec-websocket-version", HandshakeError::Version),
            ("sec-websocket-key", HandshakeError::Key),
        ] {
            assert_eq!(check(&Method::GET, &without(name)), Err(error), "without {name}");
        }
        assert_eq!(check(&Method::POST, GOOD), Err(HandshakeError::Method));
        let twice = [GOOD, &[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")]].concat();
        assert_eq!(check(&Method::GET, &twice), Err(HandshakeError::Key));
        let short = [&without("sec-websocket-key")[..], &[("sec-websocket-key", "AAAA")]].concat();
        assert_eq!(check(&Method::GET, &short), Err(HandshakeError::Key));
    }

    #[test]
    fn sub_protocols_are_a_list() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::SEC_WEBSOCKET_PROTOCOL,
            "mqtt, cloudevents.json".parse().unwrap(),
        );
        assert!(offers_protocol(&headers, "cloudevents.json"));
        assert!(!offers_protocol(&headers, "cloudevents"));
    }
}
