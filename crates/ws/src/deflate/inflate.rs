//! A client's compressed message, inflated once it is whole (RFC 7692 section 7.2.2).

use flate2::{Decompress, FlushDecompress, Status};

use super::TAIL;
use crate::error::ProtocolError;

/// Follows the tail: an empty block that is the last. Where it ends is where the data must end, so that a message
/// whose end is missing is found out.
const LAST_BLOCK: [u8; 5] = [0x01, 0x00, 0x00, 0xFF, 0xFF];
/// Room for a message, as a multiple of what came, before more is made.
const GUESS: usize = 4;
/// Room that is added at least.
const LEAST_ROOM: usize = 256;

// ----------------------------------------------------------------------------------------------

/// Most bytes of a compressed message that may inflate to `limit`: DEFLATE's fixed codes have 9 bits for half of all
/// bytes (RFC 1951 section 3.2.6). The rest is for the heads of blocks.
pub(crate) const fn most(limit: usize) -> usize {
    limit.saturating_add(limit / 8 + 64)
}

/// Inflates a message. It is refused when it is longer than `limit` by one byte: no more of it is ever made.
pub(crate) fn inflate(deflated: &[u8], limit: usize) -> Result<Vec<u8>, ProtocolError> {
    let end = [&TAIL[..], &LAST_BLOCK].concat();
    let room = limit.saturating_add(1);
    let mut state = Decompress::new(false);
    let mut message = Vec::with_capacity(room.min(deflated.len().saturating_mul(GUESS)));
    for (mut part, is_end) in [(deflated, false), (&end, true)] {
        loop {
            let before = state.total_in();
            let status = state.decompress_vec(part, &mut message, FlushDecompress::Sync);
            let status = status.map_err(|_| ProtocolError::NotDeflate)?;
            part = &part[(state.total_in() - before) as usize..];
            if message.len() > limit {
                return Err(ProtocolError::TooLarge(limit));
            }
            match status {
                Status::StreamEnd if is_end && part.is_empty() => return Ok(message),
                Status::StreamEnd if is_end => return Err(ProtocolError::NotDeflate),
                // The client ended the stream to flush it, and begins another (RFC 7692 section 7.2.3.4).
                Status::StreamEnd => state.reset(false),
                Status::Ok | Status::BufError if message.len() == message.capacity() => {
                    message.reserve_exact(message.len().max(LEAST_ROOM).min(room - message.len()));
                }
                Status::Ok | Status::BufError => break,
            }
        }
    }
    Err(ProtocolError::NotDeflate)
}
