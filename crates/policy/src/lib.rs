//! What an application wants of its events, as its document says (compat/drogue.md 2.8, 4.3): read once when it changes, obeyed
//! by whoever publishes.
//!
//! | file | idea |
//! | --- | --- |
//! | `policy.rs` | [`Policy`]: the sections of `spec` that the event path obeys |
//! | `field.rs` | reading a document so that an error names the field |
//! | `quota.rs` | [`Quota`]: how much may be published a second |
//! | `buckets.rs` | [`Quotas`]: how much was |
//! | `keep.rs` | [`Keep`]: how long events are kept |
//! | `units.rs` | durations and sizes as people write them |
//! | `rules.rs` | [`Rules`]: what becomes of an event before it is stored; `rules/read.rs`: out of a document |
//!
//! Nothing here does I/O or knows what time it is.

mod buckets;
mod field;
mod keep;
mod policy;
mod quota;
mod rules;
pub mod units;

pub use buckets::{Exceeded, Quotas};
pub use field::PolicyError;
pub use keep::{Keep, retention_of};
pub use policy::Policy;
pub use quota::{Quota, Rates};
pub use rules::{Rules, Verdict};
