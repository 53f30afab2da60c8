//! Frames of a server (RFC 6455 section 5.2), just enough of them: unmasked, fragments taken as they come.

/// A frame at the start of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: Kind,
    /// As permessage-deflate marks it (RFC 7692 section 6).
    pub(crate) compressed: bool,
    pub(crate) payload: &'a [u8],
    /// Bytes of the whole frame.
    pub(crate) length: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text, binary, or the continuation of one.
    Data,
    Close,
    Ping,
    Pong,
}

// ----------------------------------------------------------------------------------------------

/// The first frame; `None` while it is not whole.
///
/// # Errors
/// The bytes are no frame of a server.
pub(crate) fn first(bytes: &[u8]) -> Result<Option<Frame<'_>>, &'static str> {
    let [first, second, rest @ ..] = bytes else {
        return Ok(None);
    };
    if second & 0x80 != 0 {
        return Err("a server must not mask its frames");
    }
    let (length, head): (usize, usize) = match second {
        126 => match rest.first_chunk::<2>() {
            Some(bytes) => (u16::from_be_bytes(*bytes) as usize, 4),
            None => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(bytes) => (
                usize::try_from(u64::from_be_bytes(*bytes)).map_err(|_| "a frame is too long")?,
                10,
            ),
            None => return Ok(None),
        },
        short => (*short as usize, 2),
    };
    let kind = match first & 0x0f {
        0..=2 => Kind::Data,
        8 => Kind::Close,
        9 => Kind::Ping,
        10 => Kind::Pong,
        _ => return Err("a frame has an unknown opcode"),
    };
    let whole = head.checked_add(length).ok_or("a frame is too long")?;
    Ok(bytes.get(head..whole).map(|payload| Frame {
        kind,
        compressed: first & 0x40 != 0,
        payload,
        length: whole,
    }))
}

/// A short frame of a client. Its mask is zero, so that it needs no masking; that is allowed, if not wise for browsers.
pub(crate) fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length: Vec<u8> = match payload.len() {
        short @ 0..126 => vec![0x80 | short as u8],
        long => {
            let long = u16::try_from(long).expect("the load sends short frames");
            [&[0xfe][..], &long.to_be_bytes()].concat()
        }
    };
    [&[0x80 | opcode][..], &length, &[0; 4], payload].concat()
}

pub(crate) const BINARY: u8 = 2;
pub(crate) const PONG: u8 = 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As a server encodes.
    fn encode(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            short @ 0..126 => frame.push(short as u8),
            middle @ 126..=0xffff => {
                frame.push(126);
                frame.extend((middle as u16).to_be_bytes());
            }
            long => {
                frame.push(127);
                frame.extend((long as u64).to_be_bytes());
            }
        }
        frame.extend(payload);
        frame
    }

    proptest! {
        #[test]
        fn a_frame_is_found_once_it_is_whole(length in prop_oneof![0..200usize, 65_000..66_000usize], cut in 0.0..1.0f64) {
            let payload = vec![b'x'; length];
            let frame = encode(1, &payload);
            let cut = (frame.len() as f64 * cut) as usize;
            prop_assert_eq!(first(&frame[..cut]).unwrap(), None);
            let found = first(&frame).unwrap().unwrap();
            prop_assert_eq!(found, Frame { kind: Kind::Data, compressed: false, payload: &payload, length: frame.len() });
        }
    }

    #[test]
    fn what_is_no_frame_of_a_server_is_refused() {
        assert!(first(&masked(PONG, b"x")).is_err());
        assert!(first(&[0x83, 0]).is_err());
        assert!(first(&[0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255]).is_err());
    }

    #[test]
    fn our_frames_have_a_mask_of_zero() {
        assert_eq!(masked(PONG, b"ab"), [0x8a, 0x82, 0, 0, 0, 0, b'a', b'b']);
        assert_eq!(masked(BINARY, &[7; 200])[..8], [0x82, 0xfe, 0, 200, 0, 0, 0, 0]);
    }
}
