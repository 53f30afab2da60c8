//! The client protocol of dojot's Kafka WS (compat/dojot.md), as far as it needs no socket: what a client asks for when it opens
//! one, whether it may have it, and with which close code it is told that it may not.
//!
//! | file | idea |
//! | --- | --- |
//! | `opening.rs` | [`Opening`]: one connection from its ticket to its first event |
//! | `query.rs` | the parameters, as real clients send them: not encoded |
//! | `topic.rs` | whose a topic is |
//! | `lifetime.rs` | [`Lifetime`]: when a connection ends by itself |
//! | `close.rs` | [`Close`]: the documented codes and their symbols |
//!
//! Not there yet: tickets themselves (who issues and redeems them), the shapes of the topics, and the routes.

mod close;
mod lifetime;
mod opening;
mod query;
mod topic;

pub use close::Close;
pub use lifetime::Lifetime;
pub use opening::{Admission, Opened, Opening};
pub use query::Query;
pub use topic::owner_of;
