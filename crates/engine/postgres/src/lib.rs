//! The registry over PostgreSQL, for more than one node: every change is one transaction, and a row in a table of changes that all
//! nodes read.
//!
//! | file | idea |
//! | --- | --- |
//! | `options.rs` | [`PostgresOptions`]: where it is, and how it is trusted |
//! | `tls.rs` | certificates, as rustls takes them |
//! | `engine.rs` | [`PostgresRegistry`]: the parts, how they start and end; how a question or a change is run |
//! | `open.rs` | whether the database is one of Sockeye's; why it cannot be used |
//! | `schema.rs` | the tables, their version, migration |
//! | `changes.rs` | the table of changes: who makes one, and how listeners are told |
//! | `listen.rs` | `LISTEN`, which wakes |
//! | `failure.rs` | errors in words |
//! | `sql.rs` | statements, prepared once per connection; columns |
//! | `registry.rs` | the interface of the registry |
//!
//! **One change at a time**, on all nodes together: a change holds the lock of the counter of changes to its end. So what a change
//! has looked at stays true until it is stored, and numbers come in the order in which changes become visible: who has read up to
//! a number has missed nothing. Positions of groups are no such changes; each is one statement.
//!
//! **Told before the caller is**: whoever made a change reads the table of changes on before it answers. Listeners of the same node
//! know of it then; those of other nodes are woken by `NOTIFY`, and look by themselves every [`POSTGRES_POLL`].
//!
//! [`POSTGRES_POLL`]: sockeye_limits::POSTGRES_POLL

mod changes;
mod engine;
mod failure;
mod listen;
mod open;
mod options;
mod registry;
mod schema;
mod sql;
mod tls;

pub use engine::PostgresRegistry;
pub use open::OpenError;
pub use options::PostgresOptions;
