//! What the targets share: a stream in pieces, as reads from a socket would give it.

use bytes::BytesMut;
use sockeye_ws::{Connection, Incoming, ProtocolError};

/// Bytes of a message at most.
pub const LIMIT: usize = 4096;

/// Cuts a stream into pieces of these sizes, and the rest.
pub fn pieces<'a>(stream: &'a [u8], sizes: &[u8]) -> Vec<&'a [u8]> {
    let mut rest = stream;
    let mut pieces = Vec::new();
    for size in sizes {
        let (piece, after) = rest.split_at((*size as usize).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

/// What a connection makes of the pieces, within its bounds.
pub fn receive(mut connection: Connection, pieces: &[&[u8]]) -> (Vec<Incoming>, Option<ProtocolError>) {
    let mut input = BytesMut::new();
    let (mut messages, mut error) = (Vec::new(), None);
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match connection.receive(&mut input) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(found) => error = Some(found),
            }
        }
        assert!(input.len() <= 139 && connection.held() <= 3 * LIMIT);
    }
    for message in &messages {
        let length = match message {
            Incoming::Text(text) => text.len(),
            Incoming::Binary(data) | Incoming::Ping(data) | Incoming::Pong(data) => data.len(),
            Incoming::Close(_) => 0,
        };
        assert!(length <= LIMIT);
    }
    (messages, error)
}
