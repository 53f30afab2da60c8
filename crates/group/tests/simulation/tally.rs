//! What came of runs.

use std::ops::AddAssign;

/// How often things happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) appended: u64,
    pub(crate) delivered: u64,
    /// Deliveries of events that were delivered before, in the same life of the server.
    pub(crate) redelivered: u64,
    /// Deliveries of events whose receipt a crash had forgotten.
    pub(crate) doubled: u64,
    pub(crate) receipted: u64,
    pub(crate) joins: u64,
    pub(crate) vanished: u64,
    pub(crate) crashes: u64,
    pub(crate) no_receipt: u64,
    pub(crate) unasked_pongs: u64,
    pub(crate) unknown_acks: u64,
    pub(crate) nacks: u64,
    pub(crate) overdue: u64,
    pub(crate) dead_letters: u64,
    /// Events that retention took.
    pub(crate) lost: u64,
    /// Times that the window was full.
    pub(crate) full: u64,
    /// Marks that had receipts behind the position.
    pub(crate) out_of_order: u64,
    pub(crate) store_failures: u64,
    /// Deliveries that were checked for being in turn.
    pub(crate) in_turn: u64,
    /// Events of a device that went to another member than those before.
    pub(crate) moved: u64,
}

// ----------------------------------------------------------------------------------------------

macro_rules! each {
    ($($field:ident)*) => {
        impl AddAssign for Tally {
            fn add_assign(&mut self, other: Self) {
                $(self.$field += other.$field;)*
            }
        }

        impl Tally {
            /// What never happened.
            pub(crate) fn missing(&self) -> Vec<&'static str> {
                let all = [$((stringify!($field), self.$field)),*];
                all.into_iter().filter(|(_, count)| *count == 0).map(|(name, _)| name).collect()
            }
        }
    };
}

each! {
    appended delivered redelivered doubled receipted joins vanished crashes no_receipt unasked_pongs unknown_acks nacks overdue
    dead_letters lost full out_of_order store_failures in_turn moved
}
