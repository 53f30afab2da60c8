//! Clients made of bytes: what no library would send.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::support::{APP, DEVICE, PASSWORD, PATIENCE, Server};

/// An answer to a request.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

/// Request line, headers and body; status, `error`, and a part of `message`.
pub type Case<'a> = (&'a str, &'a [&'a str], &'a str, u16, &'a str, &'a str);

/// A client's end of an open WebSocket.
pub struct RawSocket(pub TcpStream);

/// A frame of the server.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// First byte: FIN and opcode.
    pub kind: u8,
    pub payload: Vec<u8>,
}

/// What most requests say of their body.
pub const JSON: &str = "content-type: application/json";

/// First bytes of whole frames.
pub const TEXT: u8 = 0x81;
pub const BINARY: u8 = 0x82;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8A;
/// Second byte: the payload is masked. A length of 126 or 127 says how many bytes the length itself has.
pub const MASKED: u8 = 0x80;

// ----------------------------------------------------------------------------------------------

/// Connects to a server; whoever waits longer than [`PATIENCE`] for it fails.
pub fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(address(server)).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
    stream
}

/// The server's address and port.
pub fn address(server: &Server) -> &str {
    server.url.trim_start_matches("http://")
}

/// Sends a request, and reads the answer.
pub fn ask(server: &Server, request: &str, headers: &[&str], body: &[u8]) -> Answer {
    let mut bytes = format!("{request} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n").into_bytes();
    for header in headers {
        bytes.extend(format!("{header}\r\n").bytes());
    }
    let has_length = headers
        .iter()
        .any(|header| header.starts_with("content-length") || header.starts_with("transfer"));
    if !has_length {
        bytes.extend(format!("content-length: {}\r\n", body.len()).bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(body);
    exchange(server, &bytes)
}

/// Sends bytes, and reads the answer.
pub fn exchange(server: &Server, bytes: &[u8]) -> Answer {
    let mut stream = connect(server);
    // A server that has heard enough may close before all of it is sent.
    let _ = stream.write_all(bytes);
    answer(&mut stream)
}

/// Reads an answer up to the end of the connection.
pub fn answer(stream: &mut TcpStream) -> Answer {
    let text = String::from_utf8_lossy(&rest(stream).0).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Answer {
        status: status.unwrap_or_else(|| panic!("no answer: {text:?}")),
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}

/// What comes until the connection ends, and the error if it does not end well.
pub fn rest(stream: &mut TcpStream) -> (Vec<u8>, Option<io::Error>) {
    let mut bytes = Vec::new();
    let error = stream.read_to_end(&mut bytes).err();
    if let Some(error) = &error {
        assert_ne!(error.kind(), io::ErrorKind::WouldBlock, "the server goes on for ever");
    }
    (bytes, error)
}

/// The header with which somebody logs in.
pub fn basic(credentials: &str) -> String {
    format!("authorization: Basic {}", STANDARD.encode(credentials))
}

/// The header with which the device of [`Server::with_device`] logs in.
pub fn device() -> String {
    basic(&format!("{DEVICE}@{APP}:{PASSWORD}"))
}

/// Sends a request that is refused, and says how.
pub fn check(server: &Server, &(request, headers, body, status, error, message): &Case<'_>) {
    let answer = ask(server, request, headers, body.as_bytes());
    let about = format!("{} {headers:?}: {answer:?}", &request[..request.len().min(100)]);
    assert_eq!(answer.status, status, "{about}");
    let (said, why) = answer.explained();
    assert_eq!(said, error, "{about}");
    assert!(why.contains(message), "`{message}`: {about}");
    told(&answer, &about);
}

/// What goes with a status (RFC 9110).
fn told(answer: &Answer, about: &str) {
    assert!(answer.has("x-request-id") && answer.has("content-type"), "{about}");
    assert_eq!(answer.has("allow"), answer.status == 405, "{about}");
    assert_eq!(answer.has("www-authenticate"), answer.status == 401, "{about}");
    assert!(!about.contains("panicked"), "{about}");
}

/// Publishes an event, as the device.
pub fn publish(server: &Server, payload: &str) -> Answer {
    ask(
        server,
        "POST /v1/c",
        &[&device(), "content-type: application/json"],
        payload.as_bytes(),
    )
}

impl Answer {
    /// The error in the body: `error` and `message`.
    pub fn explained(&self) -> (String, String) {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        let text = |name: &str| {
            body[name]
                .as_str()
                .unwrap_or_else(|| panic!("no `{name}`: {self:?}"))
                .to_owned()
        };
        (text("error"), text("message"))
    }

    /// Whether there is such a header.
    pub fn has(&self, name: &str) -> bool {
        self.head.lines().any(|line| line.starts_with(&format!("{name}: ")))
    }
}

impl RawSocket {
    /// Opens a stream with these credentials in its header.
    pub fn open(server: &Server, path: &str, credentials: &str) -> Self {
        let mut stream = connect(server);
        let head = format!(
            "GET /{path} HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{}\r\n\r\n",
            basic(credentials)
        );
        stream.write_all(head.as_bytes()).expect("the head is sent");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("the answer goes on");
            answer.push(byte[0]);
        }
        assert!(
            answer.starts_with(b"HTTP/1.1 101 "),
            "{}",
            String::from_utf8_lossy(&answer)
        );
        Self(stream)
    }

    pub fn send(&mut self, bytes: &[u8]) {
        // A server that has closed may not take all of it.
        let _ = self.0.write_all(bytes);
    }

    /// The next frame; `None` at the end of the connection.
    pub fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 2];
        match self.0.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => panic!("the server says nothing"),
            Err(_) => return None,
        }
        let [kind, length] = head;
        assert_eq!(length & 0x80, 0, "a server masks nothing");
        let length = match length {
            126 => u64::from(u16::from_be_bytes(self.bytes())),
            127 => u64::from_be_bytes(self.bytes()),
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length).expect("a frame fits into memory")];
        self.0.read_exact(&mut payload).expect("the frame is whole");
        Some(Frame { kind, payload })
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).expect("the frame is whole");
        bytes
    }

    /// The next frame that is no Ping.
    pub fn answer(&mut self) -> Option<Frame> {
        std::iter::from_fn(|| self.frame()).find(|frame| frame.kind != PING)
    }

    /// The next frame must be an event: its data.
    pub fn event(&mut self) -> Value {
        let frame = self.answer().expect("the stream goes on");
        assert_eq!(frame.kind, TEXT, "{frame:?}");
        let event: Value = serde_json::from_slice(&frame.payload).expect("an event is JSON");
        event["data"].clone()
    }
}

impl Frame {
    /// Code and reason of a close frame.
    pub fn closes(&self) -> (u16, &str) {
        assert_eq!(self.kind, CLOSE, "{self:?}");
        let (code, reason) = self.payload.split_first_chunk().expect("a close carries a code");
        (
            u16::from_be_bytes(*code),
            std::str::from_utf8(reason).expect("a reason is text"),
        )
    }
}

/// A frame as a client sends it; `length` stands in its head instead of its own.
pub fn masked(kind: u8, payload: &[u8], length: Option<u64>) -> Vec<u8> {
    const MASK: [u8; 4] = [7, 8, 9, 10];
    let mut frame = vec![kind];
    match length.unwrap_or(payload.len() as u64) {
        short @ 0..126 => frame.push(MASKED + short as u8),
        medium @ 126..0x1_0000 => {
            frame.push(MASKED + 126);
            frame.extend((medium as u16).to_be_bytes());
        }
        long => {
            frame.push(MASKED + 127);
            frame.extend(long.to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}
