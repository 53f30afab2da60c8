//! The compressed twin of a prepared frame: made once, shared by all sockets that agreed on permessage-deflate.

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status};
use sockeye_limits::WS_DEFLATE_LEAST;

use super::TAIL;
use crate::frame::{self, FIN, Opcode, RSV1};

/// The level of compression. An event of 541 bytes takes 9.3 us and becomes 328 bytes. Level 1 takes 3.1 us, for 433 bytes;
/// the levels above 2 take longer and save 2 bytes more.
const LEVEL: u32 = 2;

/// Compresses frames, one at a time and each by itself. It holds about 300 KB, so a thread has one for all its sockets.
pub struct Deflater {
    state: Compress,
    /// What becomes of a payload: reused, since the frame gets bytes of its own in the end.
    output: Vec<u8>,
}

// ----------------------------------------------------------------------------------------------

impl Default for Deflater {
    fn default() -> Self {
        Self {
            state: Compress::new(Compression::new(LEVEL), false),
            output: Vec::new(),
        }
    }
}

impl Deflater {
    /// The compressed form of a frame that [`frame`] prepared (RFC 7692 sections 6 and 7.2.1). `None` if the frame itself
    /// is to be sent: it is a control frame, is shorter than [`WS_DEFLATE_LEAST`], or would not become smaller.
    pub fn deflated(&mut self, frame: &Bytes) -> Option<Bytes> {
        let first = *frame.first()?;
        let data = [Opcode::Text, Opcode::Binary].map(|opcode| FIN | opcode as u8);
        if !data.contains(&first) || frame.len() < WS_DEFLATE_LEAST {
            return None;
        }
        let payload = frame::payload(frame);
        // Room for what is smaller than the payload, and the tail: more is not wanted.
        let room = payload.len() + TAIL.len();
        self.output.resize(room, 0);
        self.state.reset();
        let status = self
            .state
            .compress(payload, &mut self.output, FlushCompress::Sync)
            .ok()?;
        let (taken, made) = (self.state.total_in() as usize, self.state.total_out() as usize);
        if status != Status::Ok || taken < payload.len() || made == room {
            return None;
        }
        let deflated = self.output[..made].strip_suffix(&TAIL)?;
        Some(frame::assemble(first | RSV1, deflated))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deflated(frame: &Bytes) -> Option<Bytes> {
        Deflater::default().deflated(frame)
    }

    #[test]
    fn what_is_sent_as_it_is() {
        let mut noise = 1_u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 24) as u8
        })
        .take(2000)
        .collect();
        let twice = deflated(&frame::text(&"x".repeat(500))).unwrap();
        for (why, frame) in [
            ("empty", frame::text("")),
            ("short", frame::text(&"x".repeat(WS_DEFLATE_LEAST - 3))),
            ("no smaller", frame::binary(&noise)),
            ("control", frame::ping(&[0; 125])),
            ("control", frame::close(1000, &"x".repeat(123))),
            ("compressed already", twice),
            ("no frame", Bytes::new()),
        ] {
            assert_eq!(deflated(&frame), None, "{why}");
        }
    }

    #[test]
    fn a_frame_is_marked_and_smaller_and_the_same_each_time() {
        let mut deflater = Deflater::default();
        for length in [WS_DEFLATE_LEAST, 500, 70_000, 500] {
            for (frame, first) in [
                (frame::text(&"ab".repeat(length / 2)), 0xC1),
                (frame::binary(&vec![7; length]), 0xC2),
            ] {
                let made = deflater.deflated(&frame).unwrap();
                assert_eq!(made[0], first);
                assert!(made.len() < frame.len() / 4, "{} of {}", made.len(), frame.len());
                assert_eq!(Some(made), deflated(&frame), "nothing is kept from the frame before");
            }
        }
    }
}
