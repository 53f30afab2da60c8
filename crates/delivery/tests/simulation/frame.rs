//! Frames as a client reads them.

use bytes::BytesMut;

/// Takes a whole frame of a server: its first byte and its payload.
pub(crate) fn take_frame(bytes: &mut BytesMut) -> Option<(u8, BytesMut)> {
    let [first, second, rest @ ..] = &**bytes else {
        return None;
    };
    let (header, length) = match (second, rest) {
        (126, [a, b, ..]) => (4, u64::from(u16::from_be_bytes([*a, *b]))),
        (127, rest) if rest.len() >= 8 => (10, u64::from_be_bytes(rest[..8].try_into().unwrap())),
        (126 | 127, _) => return None,
        (short, _) => (2, u64::from(*short)),
    };
    let (first, end) = (*first, header + length as usize);
    if bytes.len() < end {
        return None;
    }
    let mut frame = bytes.split_to(end);
    Some((first, frame.split_off(header)))
}
