//! Compressed frames of a server that uses no context (RFC 7692 section 7.1.1.1): equal bytes are equal messages, so that
//! what all clients receive is inflated once.

use anyhow::{Context as _, Result};
use flate2::{Decompress, FlushDecompress};
use sockeye_limits as limits;

use crate::frame::Frame;

/// The message that was inflated last.
pub(crate) struct Inflate {
    state: Decompress,
    compressed: Vec<u8>,
    message: Vec<u8>,
}

/// What ends a message, and is left out on the wire (RFC 7692 section 7.2.2).
const END: &[u8] = &[0, 0, 0xff, 0xff];
/// Longest message that is inflated: the payload of an event with its envelope.
const MESSAGE: usize = 2 * limits::EVENT_PAYLOAD;

// ----------------------------------------------------------------------------------------------

impl Inflate {
    pub(crate) fn new() -> Self {
        Self {
            state: Decompress::new(false),
            compressed: Vec::new(),
            message: Vec::with_capacity(MESSAGE),
        }
    }

    /// The payload of a frame as it was before compression.
    pub(crate) fn payload<'a>(&'a mut self, frame: &Frame<'a>) -> Result<&'a [u8]> {
        if !frame.compressed {
            return Ok(frame.payload);
        }
        if self.compressed != frame.payload {
            self.compressed.clear();
            self.compressed.extend_from_slice(frame.payload);
            self.message.clear();
            self.state.reset(false);
            let whole = [frame.payload, END].concat();
            self.state
                .decompress_vec(&whole, &mut self.message, FlushDecompress::Sync)
                .context("a compressed message cannot be read")?;
        }
        Ok(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compress, Compression, FlushCompress};

    use super::*;
    use crate::frame::Kind;

    fn compressed(message: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(1_000);
        let mut state = Compress::new(Compression::fast(), false);
        state.compress_vec(message, &mut out, FlushCompress::Sync).unwrap();
        out.truncate(out.len() - END.len());
        out
    }

    #[test]
    fn compressed_and_plain_messages_in_any_order() {
        let mut inflate = Inflate::new();
        for (text, compress) in [
            (&b"one one one"[..], true),
            (b"one one one", true),
            (b"two two two", true),
            (b"plain", false),
            (b"two two two", true),
        ] {
            let payload = if compress { compressed(text) } else { text.to_vec() };
            let frame = Frame {
                kind: Kind::Data,
                compressed: compress,
                payload: &payload,
                length: 0,
            };
            assert_eq!(inflate.payload(&frame).unwrap(), text);
        }
    }
}
