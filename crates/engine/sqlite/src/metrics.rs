//! What the engine counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Counters of one engine; clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// From the call of an append to its being durable, in seconds.
    pub append_seconds: Histogram,
    /// Records in one commit that has any.
    pub commit_records: Histogram,
    /// Records appended.
    pub appended_records: Counter,
    /// Bytes of headers and payloads appended.
    pub appended_bytes: Counter,
    /// Commits that failed: nothing of them is stored.
    pub failed_commits: Counter,
    /// Records removed by retention.
    pub trimmed_records: Counter,
    /// Times a follower read from the file what was no longer in memory.
    pub follower_reads: Counter,
}

// ----------------------------------------------------------------------------------------------

impl Default for Metrics {
    fn default() -> Self {
        Self {
            // 100 us to 26 s: an NVMe disk syncs in well under a millisecond, a busy one may take seconds.
            append_seconds: Histogram::new(exponential_buckets(0.000_1, 2.0, 19)),
            commit_records: Histogram::new(exponential_buckets(1.0, 4.0, 9)),
            appended_records: Counter::default(),
            appended_bytes: Counter::default(),
            failed_commits: Counter::default(),
            trimmed_records: Counter::default(),
            follower_reads: Counter::default(),
        }
    }
}

impl Metrics {
    /// Adds them to what is exposed, with names that begin with `log_`.
    pub fn register(&self, registry: &mut Registry) {
        let log = registry.sub_registry_with_prefix("log");
        log.register_with_unit(
            "append",
            "From the call of an append to its being durable",
            Unit::Seconds,
            self.append_seconds.clone(),
        );
        log.register("commit_records", "Records in one commit", self.commit_records.clone());
        log.register("appended_records", "Records appended", self.appended_records.clone());
        log.register_with_unit(
            "appended",
            "Size of the headers and payloads appended",
            Unit::Bytes,
            self.appended_bytes.clone(),
        );
        log.register(
            "failed_commits",
            "Commits of which nothing is stored",
            self.failed_commits.clone(),
        );
        log.register(
            "trimmed_records",
            "Records removed by retention",
            self.trimmed_records.clone(),
        );
        log.register(
            "follower_reads",
            "Reads of followers that had fallen behind what is in memory",
            self.follower_reads.clone(),
        );
    }
}
