//! The log over Apache Kafka: one topic per application, CloudEvents in binary mode, so that existing Kafka tools and
//! existing Drogue Cloud topics work (compat/drogue.md 2.5 and 2.6).
//!
//! | file | idea |
//! | --- | --- |
//! | `log.rs` | [`KafkaLog`]: [`sockeye_log::Log`] over the parts below |
//! | `options.rs` | [`KafkaOptions`] |
//! | `groups.rs` | groups as Kafka's own tools see them |
//! | `topic_name.rs` | what an application's topics and groups are called |
//! | `record.rs` | records as Kafka messages and back |
//! | `plain.rs` | plain JSON as events |
//! | `client.rs` | the kinds of clients, and where their log lines go |
//! | `admin.rs` | topics: made, removed, described, trimmed; their [bounds](bounds::Bounds) |
//! | `bounds.rs` | where a topic begins and ends, and whether a position is in it |
//! | `append.rs` | single records: an idempotent producer; admission |
//! | `refusal.rs` | Kafka does not let this client in, and why |
//! | `away.rs` | Kafka is away: nobody waits for what will not come |
//! | `renewable.rs` | a client that may be given up |
//! | `pulse.rs` | whether Kafka answers at all |
//! | `batch.rs` | several records, all or none: a transactional producer |
//! | `read.rs` | one read: partitions fetched up to an end |
//! | `readers.rs` | the clients that read, and what each goes on with |
//! | `follow/` | followers, and the watch over the topics they follow |
//! | `pool.rs` | the threads that wait for Kafka |
//! | `native/` | what the safe crate does not wrap |
//!
//! What Kafka makes different from a file, behind the same interface:
//!
//! - **All or none.** One record is stored whole by Kafka itself. Several records of one call may be in several partitions or
//!   requests, so they are a transaction. Readers see only what is committed.
//! - **The end.** A transaction that is open holds back what readers may see, also of others. [`Log::span`] therefore waits
//!   until everything that was stored before the call is decided; then its end is behind all of it.
//! - **Unknown.** When a broker vanishes while it is asked, nobody can say whether it has stored the records. The append fails
//!   as not available, and the records, all of them, may be there.
//! - **Retention** removes whole segments: a topic keeps about one eighth more than it must.
//!
//! [`Log::span`]: sockeye_log::Log::span

mod admin;
mod append;
mod away;
mod batch;
mod bounds;
mod client;
mod follow;
mod groups;
mod log;
mod native;
mod options;
mod plain;
mod pool;
mod pulse;
mod read;
mod readers;
mod record;
mod refusal;
mod renewable;
mod topic_name;

pub use log::KafkaLog;
pub use options::{KafkaOptions, OptionsError};
pub use plain::PlainJson;
pub use refusal::Refusal;
pub use topic_name::is_pattern;
