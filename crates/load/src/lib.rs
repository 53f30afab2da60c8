//! The other end of a server that is measured: thousands of WebSocket clients and the publishers beside them, in one thread
//! that does as little as it can, so that one core of load is enough for one core of server.
//!
//! | file | idea |
//! | --- | --- |
//! | `target.rs` | [`Target`], [`Publishing`]: what is connected to, and what is sent there |
//! | `request.rs` | [`Template`]: a request that carries the number of its event |
//! | `stream.rs` | a connection, plain or TLS |
//! | `client.rs` | one WebSocket client: upgrade, frames, pongs |
//! | `frame.rs` | frames of a server, just enough of them |
//! | `inflate.rs` | compressed frames, each inflated once for all clients |
//! | `post.rs` | one connection that publishes |
//! | `load.rs` | [`Load`]: all of them, and the loop |
//! | `returning.rs` | a client that goes away and comes back: its cursor, and the event that must come next |
//! | `storm.rs` | [`Storms`]: clients that come back all at once |
//! | `course.rs` | which event has reached whom; when the next one is due |
//! | `outcome.rs` | [`Outcome`]: what was measured |
//! | `process.rs` | [`Process`]: CPU time and memory of a server on this machine |
//! | `core.rs` | which core a thread and its children run on |
//!
//! Latencies count from the time at which an event was meant to be sent, also when it was sent late: what waits for a slow
//! server counts in full.

mod client;
mod core;
mod course;
mod frame;
mod inflate;
mod load;
mod outcome;
mod post;
mod process;
mod request;
mod returning;
mod storm;
mod stream;
mod target;

pub use self::core::{cores, pin};
pub use course::Pace;
pub use load::{Load, Plan, Progress};
pub use outcome::{Latencies, Outcome};
pub use process::{Process, Usage};
pub use request::{BATCH, MARK, Template};
pub use storm::{Requests, Resumed, Storms};
pub use stream::Tls;
pub use target::{Publishing, Target};
