//! The client protocol of Octave (compat/octave.md): `POST /session`, a socket on which subscriptions come and go, and as much of
//! REST below `/v5.0/{company}` as clients need.
//!
//! | file | idea |
//! | --- | --- |
//! | `octave.rs` | [`Octave`]: what all requests and sockets share, and what goes on beside them |
//! | `http_session.rs` | `POST /session`, and the upgrade of `/session/{id}/ws` |
//! | `request.rs`, `answer.rs` | what a client says, and what it is told, without I/O |
//! | `socket.rs` | the protocol of an open socket |
//! | `resolve.rs` | which stream is meant, whether it is there, from where it is read |
//! | `pattern.rs` | many paths at once |
//! | `sessions.rs` | sessions that have connections |
//! | `id.rs`, `name.rs` | ids of streams and events; their paths |
//! | `event.rs`, `frames.rs` | how an event looks, and its frame |
//! | `rest/` | streams, events and tokens over REST |
//! | `metrics.rs` | [`Metrics`] |

mod answer;
mod event;
mod frames;
mod http_session;
mod id;
mod metrics;
mod name;
mod octave;
mod pattern;
mod request;
mod resolve;
mod rest;
mod sessions;
mod socket;

pub use id::StreamId;
pub use metrics::Metrics;
pub use name::StreamName;
pub use octave::{Bounds, Octave, router};
