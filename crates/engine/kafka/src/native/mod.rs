//! What librdkafka 2.12 can do and the safe crate does not wrap: topic ids, positions by isolation level, incremental
//! configuration (`admin.rs`), offsets of groups (`groups.rs`), what clients say of brokers (`brokers.rs`), reading
//! partitions into a queue of one's own (`consume.rs`), and commits that do not wait longer than they must (`commit.rs`).
//!
//! Queues matter: with the crate's consumers, whoever follows a topic needs a client with threads and connections
//! and a group name. One's own queues let one client feed any number of followers, and header names need not be UTF-8.

mod admin;
mod brokers;
mod commit;
mod consume;
mod groups;

pub(crate) use admin::{AdminHandle, Isolation, Offset, TopicInfo};
pub(crate) use brokers::{answers, has_said, remind};
pub(crate) use commit::{CommitFailed, commit};
pub(crate) use consume::{Fetched, Message, Queue, TopicHandle};
