//! From the log to sockets: a subscription's events, in the frames of a dialect, at the speed of the client.
//!
//! | file | idea |
//! | --- | --- |
//! | `delivery.rs` | [`Delivery`]: what all connections share; the entrance for a new one |
//! | `subscription.rs` | [`Subscription`]: what a client wants to see of a log |
//! | `session.rs` | [`Session`], [`Encoder`]: what a dialect adds |
//! | `topic.rs` | one topic that is read: once for all, shown to its lanes |
//! | `seen.rs`, `document.rs` | an event as filters see it: itself, or what a dialect makes of it |
//! | `segment.rs` | its batches, decoded once |
//! | `budget.rs`, `tail.rs`, `past.rs` | segments in memory, within one budget: the newest, and what was read again |
//! | `lanes.rs`, `index.rs`, `frames.rs` | filtered once, encoded once |
//! | `groups.rs`, `groups/` | groups: each event to one of their members, with receipts ([`sockeye_group`] decides) |
//! | `shard.rs` | the part of all lanes on one core: writes to sockets directly |
//! | `wheel.rs` | the pings and deadlines of all connections of one core |
//! | `remote.rs` | [`Remote`]: a connection, as others see it who want something of it |
//! | `connection.rs` | one connection: messages in, taking over from its lane, taking leave |
//! | `feeds.rs`, `feed.rs` | where its events come from: its lanes, memory, or the past |
//! | `wishes.rs`, `reached.rs`, `due.rs` | several subscriptions that read together: who gets what, and how far they are |
//! | `until.rs` | the end of what a subscription wants |
//! | `source.rs`, `outage.rs` | the end of the log, read on through outages |
//! | `catch_up.rs` | its past, read once for all who are near each other there |
//! | `outlet.rs`, `socket.rs` | bytes in and out, by the task and by the lane |
//! | `link.rs`, `transport.rs` | [`Link`]: what is under a connection; [`Transport`]: the raw socket, plain or TLS |
//! | `upgrade.rs` | how a connection comes from HTTP |
//! | `first_line.rs`, `refusal.rs` | queries that are not encoded; what HTTP refuses by itself, in words |
//! | `pulse.rs`, `acknowledged.rs` | signs of life of a peer: what it sends, what its system acknowledges |
//! | `end.rs` | [`End`], [`Cause`]: how connections end, with close codes and reasons |
//! | `metrics.rs`, `lane_metrics.rs` | [`Metrics`] |
//!
//! # Connections, feeds and lanes
//!
//! A connection has feeds: for each topic the one that its live subscriptions share, and beside it those that read the past
//! apart. A feed is a place in a topic and the subscriptions that are there together. It is live, and then a member of one lane:
//! that of all connections which want the same, or, with several subscriptions, one that the connection has to itself, in which
//! the frames of all of them are in the order of the log. Or it is behind, and the connection's task reads for it. What is to
//! change (a subscription comes or goes, a feed has caught up with the shared one) changes while the task reads: it asks the
//! lane for the socket, and gets it with a position. So nothing is between two places, and a socket that is full hands one
//! position back for all subscriptions of a topic.
//!
//! The room knows no dialect and no engine. It keeps what DESIGN.md, "Delivery: the contract" and "the cost model", say.

mod acknowledged;
mod budget;
mod catch_up;
mod connection;
mod delivery;
mod document;
mod due;
mod end;
mod feed;
mod feeds;
mod first_line;
mod frames;
mod groups;
mod index;
mod lane_metrics;
mod lanes;
mod link;
mod metrics;
mod outage;
mod outlet;
mod past;
mod pulse;
mod reached;
mod refusal;
mod remote;
mod seen;
mod segment;
mod session;
mod shard;
mod socket;
mod source;
mod subscription;
mod tail;
mod topic;
mod transport;
mod until;
mod upgrade;
mod wheel;
mod wishes;

pub use acknowledged::Acknowledged;
pub use budget::MemoryLimits;
pub use delivery::{Begin, Delivery};
pub use document::Document;
pub use end::{Cause, End};
pub use groups::{EnterError, GroupView, Joining, MemberEntry, Seat};
pub use link::{Link, Opaque};
pub use metrics::Metrics;
pub use remote::{NewSubscription, Remote, RemoteError};
pub use session::{Closing, Encoder, Later, Message, Place, Session, Verdict};
pub use sockeye_group::{Balance, Counts, JoinError, MemberView, Receipts};
pub use subscription::{Selection, Subscription, SubscriptionId};
pub use transport::Transport;
