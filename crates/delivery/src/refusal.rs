//! What HTTP refuses by itself, before anybody here is asked: hyper answers with a status alone. Clients are told in words what is
//! wrong, as with every other error.

use bytes::Bytes;
use sockeye_limits as limits;

/// The answer that stands for one of hyper's. `None`: the bytes are something else, and stay as they are.
pub(crate) fn in_words(answer: &[u8]) -> Option<Bytes> {
    let answer = str::from_utf8(answer).ok()?;
    // What rooms answer has a body, and keeps the connection.
    let rest = answer.strip_suffix("\r\n\r\n")?;
    let (status, headers) = rest.split_once("\r\n")?;
    if !headers.starts_with("connection: close\r\ncontent-length: 0\r\n") {
        return None;
    }
    let (error, message) = match status.strip_prefix("HTTP/1.1 ")?.split_once(' ')?.0 {
        "400" => (
            "BadRequest",
            "this is no request of HTTP/1.1 (RFC 9112): look at the first line, at the headers, and whether TLS is spoken".to_owned(),
        ),
        "414" => (
            "UriTooLong",
            format!(
                "the target of the request is longer than {} bytes: send less in the query",
                limits::HTTP_TARGET
            ),
        ),
        "431" => (
            "RequestHeaderFieldsTooLarge",
            format!(
                "there are more than {} headers, or they are longer than {} bytes: send less",
                limits::HTTP_HEADERS,
                limits::HTTP_HEAD_READ
            ),
        ),
        _ => return None,
    };
    let body = format!(r#"{{"error":"{error}","message":"{message}"}}"#);
    let head = format!(
        "{status}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    Some((head + &body).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_no_body_gets_one() {
        let head =
            |status: &str| format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\ndate: d\r\n\r\n");
        for (status, error) in [
            ("400 Bad Request", "BadRequest"),
            ("414 URI Too Long", "UriTooLong"),
            ("431 Request Header Fields Too Large", "RequestHeaderFieldsTooLarge"),
        ] {
            let told = in_words(head(status).as_bytes()).expect(status);
            let (head, body) = str::from_utf8(&told).unwrap().split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{head}");
            assert!(head.ends_with(&format!("content-length: {}", body.len())), "{head}");
            assert!(
                body.starts_with(&format!(r#"{{"error":"{error}","message":""#)),
                "{body}"
            );
        }
        for other in [
            head("404 Not Found"),
            head("400 Bad Request").replace("content-length: 0", "content-length: 5"),
            head("400 Bad Request") + "more",
            "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
            "\u{81}\0".to_owned(),
        ] {
            assert_eq!(in_words(other.as_bytes()), None, "{other}");
        }
    }
}
