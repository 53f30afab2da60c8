//! The header of a client's frame (RFC 6455 section 5.2).

use crate::{
    error::ProtocolError,
    frame::{FIN, Opcode, RSV1},
};

/// A header that holds every rule that a header alone can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) fin: bool,
    /// A message begins whose payload is compressed.
    pub(crate) deflated: bool,
    pub(crate) opcode: Opcode,
    pub(crate) mask: [u8; 4],
    /// Bytes of the payload.
    pub(crate) payload: u64,
}

const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0F;
const MASKED: u8 = 0x80;

// ----------------------------------------------------------------------------------------------

impl Header {
    /// Reads a header and its length; `None` while bytes of it are missing. What is wrong is said at the first byte that
    /// shows it. `deflate` says that permessage-deflate was agreed on.
    pub(crate) fn parse(input: &[u8], deflate: bool) -> Result<Option<(Self, usize)>, ProtocolError> {
        let Some(first) = input.first() else { return Ok(None) };
        // RFC 7692 section 6: the bit is for the first frame of a data message.
        let allowed = if deflate && matches!(first & OPCODE, 0x1 | 0x2) {
            RSV1
        } else {
            0
        };
        if first & RESERVED & !allowed != 0 {
            return Err(ProtocolError::ReservedBits);
        }
        let deflated = first & RSV1 != 0;
        let fin = first & FIN != 0;
        let opcode = match first & OPCODE {
            0x0 => Opcode::Continuation,
            0x1 => Opcode::Text,
            0x2 => Opcode::Binary,
            0x8 => Opcode::Close,
            0x9 => Opcode::Ping,
            0xA => Opcode::Pong,
            unknown => return Err(ProtocolError::UnknownOpcode(unknown)),
        };
        if opcode.is_control() && !fin {
            return Err(ProtocolError::FragmentedControl);
        }
        let Some(second) = input.get(1) else { return Ok(None) };
        if second & MASKED == 0 {
            return Err(ProtocolError::Unmasked);
        }
        let short = second & !MASKED;
        if opcode.is_control() && short > 125 {
            return Err(ProtocolError::LongControl);
        }
        let (payload, at) = match short {
            126 => match input.get(2..4) {
                Some(bytes) => (u64::from(u16::from_be_bytes(bytes.try_into().expect("two bytes"))), 4),
                None => return Ok(None),
            },
            127 => match input.get(2..10) {
                Some(bytes) => (u64::from_be_bytes(bytes.try_into().expect("eight bytes")), 10),
                None => return Ok(None),
            },
            short => (u64::from(short), 2),
        };
        let shortest = match short {
            126 => payload > 125,
            127 => payload > 0xFFFF && payload >> 63 == 0,
            _ => true,
        };
        if !shortest {
            return Err(ProtocolError::Length);
        }
        let Some(mask) = input.get(at..at + 4) else {
            return Ok(None);
        };
        let mask = mask.try_into().expect("four bytes");
        Ok(Some((
            Self {
                fin,
                deflated,
                opcode,
                mask,
                payload,
            },
            at + 4,
        )))
    }
}

impl Opcode {
    pub(crate) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}
