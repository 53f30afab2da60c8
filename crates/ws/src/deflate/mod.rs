//! permessage-deflate (RFC 7692) without context: every message is compressed by itself, in both directions.
//!
//! So a compressed frame is the same for all sockets, and a connection keeps no window while it is idle.
//!
//! | file | idea |
//! | --- | --- |
//! | `offer.rs` | [`agree`]: the client's offers, and the answer to the first one that fits |
//! | `parse.rs` | the syntax of `Sec-WebSocket-Extensions` |
//! | `deflater.rs` | [`Deflater`]: the compressed twin of a prepared frame |
//! | `inflate.rs` | a client's message, inflated within its limit |

mod deflater;
pub(crate) mod inflate;
mod offer;
mod parse;

pub use deflater::Deflater;
pub use offer::agree;

/// What ends a message before it is sent, and is left out of it (RFC 7692 section 7.2.1): the empty stored block of a
/// flush, less its first byte.
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];
