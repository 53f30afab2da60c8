//! The client's end of the simulated pair: it masks, fragments and misbehaves as it is told.

#![allow(dead_code, reason = "each test uses its part")]

use bytes::BytesMut;
use sockeye_ws::{Connection, Incoming, ProtocolError};

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CONTINUATION: u8 = 0;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// A frame as a client sends it, masked.
pub fn frame(fin: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
    raw((u8::from(fin) << 7) | opcode, true, payload)
}

/// A frame with this first byte, masked or not.
pub fn raw(first: u8, masked: bool, payload: &[u8]) -> Vec<u8> {
    let mask = [0x12, 0x34, 0x56, 0x78];
    let mut frame = vec![first];
    let bit = u8::from(masked) << 7;
    match payload.len() {
        length @ 0..=125 => frame.push(bit | length as u8),
        length @ 126..=0xFFFF => {
            frame.push(bit | 0x7E);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(bit | 0x7F);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    if masked {
        frame.extend(mask);
        frame.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
    } else {
        frame.extend(payload);
    }
    frame
}

/// What a connection made of a stream.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub messages: Vec<Incoming>,
    pub error: Option<ProtocolError>,
}

/// Feeds a stream in parts that end at these places, as reads from a socket would.
pub fn receive(limit: usize, stream: &[u8], cuts: &[usize]) -> Outcome {
    receive_by(Connection::new(limit), stream, cuts)
}

/// The same, by a connection with its own agreements.
pub fn receive_by(mut connection: Connection, stream: &[u8], cuts: &[usize]) -> Outcome {
    let mut input = BytesMut::new();
    let mut outcome = Outcome {
        messages: Vec::new(),
        error: None,
    };
    let mut cuts: Vec<usize> = cuts
        .iter()
        .map(|cut| cut % (stream.len() + 1))
        .chain([stream.len()])
        .collect();
    cuts.sort_unstable();
    let mut from = 0;
    for to in cuts {
        input.extend_from_slice(&stream[from..to]);
        from = to;
        loop {
            match connection.receive(&mut input) {
                Ok(Some(message)) => outcome.messages.push(message),
                Ok(None) => break,
                Err(error) => {
                    assert!(outcome.error.is_none(), "an error is the last word");
                    outcome.error = Some(error);
                }
            }
        }
        assert!(
            input.len() <= 139,
            "only the beginning of a frame waits: {} bytes",
            input.len()
        );
    }
    outcome
}
