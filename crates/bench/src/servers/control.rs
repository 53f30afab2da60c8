//! Requests that tell a server what to send to all its sockets: as little HTTP as it takes.

/// The answer to a POST.
pub const ACCEPTED: &[u8] = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";

/// A request at the start of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Request<'a> {
    pub is_post: bool,
    pub body: &'a [u8],
    /// Bytes of the whole request.
    pub length: usize,
}

// ----------------------------------------------------------------------------------------------

/// The first request, once it is whole.
pub fn first(bytes: &[u8]) -> Option<Request<'_>> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).ok()?;
    let body = text
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok())
        .unwrap_or(0);
    let length = head + body;
    Some(Request {
        is_post: text.starts_with("POST "),
        body: bytes.get(head..length)?,
        length,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_ends_with_its_body() {
        let bytes = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\n";
        let request = first(bytes).unwrap();
        assert_eq!(
            request,
            Request {
                is_post: true,
                body: b"abc",
                length: bytes.len() - 18
            }
        );
        assert_eq!(first(&bytes[..request.length - 1]), None);
        let upgrade = first(&bytes[request.length..]).unwrap();
        assert_eq!(
            upgrade,
            Request {
                is_post: false,
                body: b"",
                length: 18
            }
        );
    }
}
