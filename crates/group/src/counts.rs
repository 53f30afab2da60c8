//! What a group counts, for metrics and `group show`.

/// Counts since this owner has the group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Deliveries.
    pub delivered: u64,
    /// Deliveries of events that were delivered before.
    pub redelivered: u64,
    /// Events that were receipted.
    pub receipted: u64,
    /// Pongs that no Ping had asked for.
    pub unasked_pongs: u64,
    /// `Ack`s and `Nack`s that name no event under way to their member.
    pub unknown_acks: u64,
    /// `Nack`s.
    pub nacks: u64,
    /// Deliveries under `ack=client` that were not acknowledged in time.
    pub overdue: u64,
    /// Events that are in the dead letters now.
    pub dead_letters: u64,
    /// Members that were closed because they gave no receipt.
    pub no_receipt: u64,
    /// Events that retention removed before they were read, at most: offsets are not dense.
    pub trimmed: u64,
}
