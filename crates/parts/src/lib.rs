//! Real parts for tests. Nothing here is a stand-in: Kafka is Kafka, `websocat` is what people install.
//!
//! | file | idea |
//! | --- | --- |
//! | `kafka.rs` | a Kafka of one node on free ports, which can be killed and started again |
//! | `keycloak.rs` | a Keycloak, with a realm for each test |
//! | `postgres.rs` | a PostgreSQL, with a database for each test |
//! | `websocat.rs`, `drg.rs`, `clients.rs` | unmodified clients |
//! | `unsynced.rs`, `unsynced.c` | a layer under a process that makes `kill -9` a power failure |
//! | `certificate.rs` | a certificate for this machine, made for the run |
//! | `disk.rs` | a small disk, which can be full or read-only |
//! | `peers.rs` | servers to compare with; for `scripts/bench` only |
//! | `process.rs` | a process: its lines, its signals; it never outlives the tests |
//! | `ports.rs` | ports that are free |
//! | `part.rs` | where parts are, and what happens where one cannot be had |
//!
//! `scripts/parts` fetches or builds the parts; what is missing is fetched when the first test asks for it. Functions give
//! `Ok(None)` where a part cannot be had, after they have said so loudly; in CI (`CI=true`) that is an error:
//!
//! ```no_run
//! # fn test() -> anyhow::Result<()> {
//! let Some(kafka) = sockeye_parts::kafka::shared()? else { return Ok(()) };
//! println!("bootstrap.servers={}", kafka.bootstrap());
//! # Ok(())
//! # }
//! ```

pub mod certificate;
pub mod clients;
pub mod disk;
pub mod drg;
pub mod kafka;
pub mod keycloak;
mod part;
pub mod peers;
mod ports;
pub mod postgres;
pub mod process;
pub mod unsynced;
pub mod websocat;
