//! Frames from the server: prepared once, shared by all sockets (RFC 6455 section 5.2). They are not masked.

use bytes::{BufMut as _, Bytes, BytesMut};
use sockeye_limits::{WS_CLOSE_REASON, WS_CONTROL_PAYLOAD};

/// What a frame is (RFC 6455 section 11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// A further part of a message.
    Continuation = 0x0,
    /// Text, or its first part.
    Text = 0x1,
    /// Bytes, or their first part.
    Binary = 0x2,
    /// The last frame of this side.
    Close = 0x8,
    /// Asks for a Pong.
    Ping = 0x9,
    /// Answers a Ping.
    Pong = 0xA,
}

/// Longest header of a frame that is not masked.
const HEADER: usize = 10;
/// The bit of a message's last frame.
pub(crate) const FIN: u8 = 0x80;
/// The bit of a compressed message's first frame (RFC 7692 section 6).
pub(crate) const RSV1: u8 = 0x40;

// ----------------------------------------------------------------------------------------------

/// A whole message, whose payload `encode` appends to the buffer that it is given: the header is put before it without
/// a copy.
pub fn message_with<E>(opcode: Opcode, encode: impl FnOnce(&mut BytesMut) -> Result<(), E>) -> Result<Bytes, E> {
    let mut buffer = BytesMut::with_capacity(HEADER + 512);
    buffer.put_bytes(0, HEADER);
    encode(&mut buffer)?;
    let mut header = [0; HEADER];
    let length = write_header(&mut header, FIN | opcode as u8, buffer.len() - HEADER);
    let start = HEADER - length;
    buffer[start..HEADER].copy_from_slice(&header[..length]);
    Ok(buffer.freeze().slice(start..))
}

/// A text message. The caller knows that it is UTF-8.
pub fn text(payload: &str) -> Bytes {
    frame(Opcode::Text, payload.as_bytes())
}

/// A binary message.
pub fn binary(payload: &[u8]) -> Bytes {
    frame(Opcode::Binary, payload)
}

/// A Ping; of a payload that is too long its beginning.
pub fn ping(payload: &[u8]) -> Bytes {
    frame(Opcode::Ping, &payload[..payload.len().min(WS_CONTROL_PAYLOAD)])
}

/// A Pong; of a payload that is too long its beginning.
pub fn pong(payload: &[u8]) -> Bytes {
    frame(Opcode::Pong, &payload[..payload.len().min(WS_CONTROL_PAYLOAD)])
}

/// A Close frame. A reason that is too long is cut between two characters.
pub fn close(code: u16, reason: &str) -> Bytes {
    let reason = &reason[..reason.floor_char_boundary(WS_CLOSE_REASON)];
    let mut payload = Vec::with_capacity(2 + reason.len());
    payload.extend_from_slice(&code.to_be_bytes());
    payload.extend_from_slice(reason.as_bytes());
    frame(Opcode::Close, &payload)
}

/// A Close frame without code and reason.
pub fn close_empty() -> Bytes {
    frame(Opcode::Close, &[])
}

/// The payload of a frame of ours.
pub(crate) fn payload(frame: &[u8]) -> &[u8] {
    let header = match frame.get(1) {
        Some(126) => 4,
        Some(127) => 10,
        _ => 2,
    };
    frame.get(header..).unwrap_or_default()
}

fn frame(opcode: Opcode, payload: &[u8]) -> Bytes {
    assemble(FIN | opcode as u8, payload)
}

/// A frame with this first byte.
pub(crate) fn assemble(first: u8, payload: &[u8]) -> Bytes {
    let mut header = [0; HEADER];
    let length = write_header(&mut header, first, payload.len());
    let mut frame = BytesMut::with_capacity(length + payload.len());
    frame.extend_from_slice(&header[..length]);
    frame.extend_from_slice(payload);
    frame.freeze()
}

/// Writes the shortest header that says this length; the length of the header.
fn write_header(header: &mut [u8; HEADER], first: u8, payload: usize) -> usize {
    header[0] = first;
    match payload {
        0..=125 => {
            header[1] = payload as u8;
            2
        }
        126..=0xFFFF => {
            header[1] = 126;
            header[2..4].copy_from_slice(&(payload as u16).to_be_bytes());
            4
        }
        _ => {
            header[1] = 127;
            header[2..10].copy_from_slice(&(payload as u64).to_be_bytes());
            10
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_the_shortest() {
        for (payload, header) in [
            (0, &[0x81, 0][..]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (0xFFFF, &[0x81, 126, 0xFF, 0xFF]),
            (0x1_0000, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let payload = "x".repeat(payload);
            let frame = text(&payload);
            assert_eq!(&frame[..header.len()], header);
            assert_eq!(&frame[header.len()..], payload.as_bytes());
            let encoded = message_with(Opcode::Text, |buffer| {
                buffer.extend_from_slice(payload.as_bytes());
                Ok::<_, std::convert::Infallible>(())
            });
            assert_eq!(encoded.unwrap(), frame);
        }
    }

    #[test]
    fn control_frames_stay_within_their_length() {
        let close = close(1008, &"ä".repeat(100));
        assert!(close.len() <= 2 + WS_CONTROL_PAYLOAD);
        assert!(
            std::str::from_utf8(&close[4..]).is_ok(),
            "the cut is between two characters"
        );
        assert_eq!(ping(&[1; 200]).len(), 2 + WS_CONTROL_PAYLOAD);
    }
}
