//! WebSocket (RFC 6455) with permessage-deflate (RFC 7692), the server's side, as a state machine without I/O or clock.
//!
//! | file | idea |
//! | --- | --- |
//! | `handshake.rs` | the upgrade request: what is wrong with it, or the key that accepts it |
//! | `connection.rs` | [`Connection`]: bytes of the client into [`Incoming`] messages; how both sides take leave |
//! | `header.rs` | the header of a client's frame |
//! | `mask.rs` | unmasking by machine words |
//! | `utf8.rs` | text that arrives in parts |
//! | `frame.rs` | frames of the server, prepared once and shared by all sockets |
//! | `deflate/` | permessage-deflate: agreeing on it, compressed twins of frames, inflating |
//! | `error.rs` | what a client can do wrong, and the close code for it |

pub mod deflate;
pub mod frame;
pub mod handshake;

mod connection;
mod error;
mod header;
mod mask;
mod utf8;

pub use connection::{CloseFrame, Connection, Incoming};
pub use error::{ProtocolError, close_code};
