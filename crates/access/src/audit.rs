//! The audit log: who got in, who did not, what was changed about rights. Its lines are those of the log with the target `audit`, at
//! the level `info`; `log.level` can leave them out (`info,audit=off`) or leave nothing else (`off,audit=info`).

use std::fmt;

use crate::{Caller, Proof};

/// The target of its lines.
pub const TARGET: &str = "audit";

/// Writes a line: an action in a word or two, and fields as in the macros of `tracing`.
#[macro_export]
macro_rules! audit {
    ($action:literal, $($fields:tt)*) => {
        $crate::tracing::info!(target: $crate::audit::TARGET, action = $action, $($fields)*)
    };
}

/// A caller as a line shows it: `anonymous`, `eve key=drg_abcdef`, `eve token`, or with `tenant=garden` behind it.
pub struct Shown<'a>(pub &'a Caller);

// ----------------------------------------------------------------------------------------------

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Caller::Anonymous => f.write_str("anonymous"),
            Caller::Tenant { tenant, user, .. } => match user {
                Some(user) => write!(f, "{user} token tenant={tenant}"),
                None => write!(f, "token tenant={tenant}"),
            },
            Caller::User { name, proof, .. } => match proof {
                Proof::Key { prefix, .. } => write!(f, "{name} key={prefix}"),
                Proof::Token { .. } => write!(f, "{name} token"),
            },
        }
    }
}
