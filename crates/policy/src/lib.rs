//! What an application wants of its events, as its document says (compat/drogue.md 2.8, 4.3): read once when it changes, obeyed
//! by whoever publishes.
//!
//! | file | idea |
//! | --- | --- |
//! | `policy.rs` | [`Policy`]: the sections of `spec` that the event path obeys |
//! | `field.rs` | reading a document so that an error names the field |
//! | `rules.rs` | [`Rules`]: what becomes of an event before it is stored; `rules/read.rs`: out of a document |
//!
//! Nothing here does I/O or knows what time it is.

mod field;
mod policy;
mod rules;

pub use field::PolicyError;
pub use policy::Policy;
pub use rules::{Rules, Verdict};
