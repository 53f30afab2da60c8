//! Log and registry in one SQLite file.
//!
//! One thread writes: whatever arrives during a commit becomes the next one. A few threads read. What was committed is handed
//! to the followers of a topic through memory; who falls behind reads on from the file.
//!
//! | file | idea |
//! | --- | --- |
//! | `engine.rs` | [`SqliteEngine`]: the parts, how they start and end |
//! | `open.rs`, `lock.rs` | whose the file is, and one server per file |
//! | `schema.rs` | the tables, their version, migration |
//! | `queue.rs`, `writer.rs` | what waits for the writer, by turns between topics; the handle that gives it work |
//! | `committer.rs`, `commit.rs` | the writer's thread; one commit |
//! | `chunk.rs`, `index.rs` | how records lie in a row; which rows are a topic's |
//! | `retention.rs`, `clock.rs` | removing what is no longer kept; the age of records, safe from clocks that jump |
//! | `topics.rs`, `tail.rs` | what is known of each topic in memory; its newest commits |
//! | `readers.rs`, `read.rs` | the threads that read; what they read |
//! | `log.rs`, `follow.rs` | the interface of the log; following |
//! | `registry.rs` | the interface of the registry |
//! | `backup.rs`, `restore.rs` | a copy while a server runs; a server's file from a copy |
//! | `metrics.rs`, `failure.rs`, `sync.rs` | counters; errors in words; locks |

mod backup;
mod chunk;
mod clock;
mod commit;
mod committer;
mod engine;
mod failure;
mod follow;
mod index;
mod lock;
mod log;
mod metrics;
mod open;
mod queue;
mod read;
mod readers;
mod registry;
mod restore;
mod retention;
mod schema;
mod sync;
mod tail;
mod topics;
mod writer;

pub use backup::{BackupError, BackupReport, backup};
pub use clock::{Clock, SystemClock};
pub use engine::{DevicesTold, Options, SqliteEngine};
pub use metrics::Metrics;
pub use open::OpenError;
pub use restore::{RestoreError, RestoreReport, restore};
