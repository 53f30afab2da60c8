//! What is counted. Sockets are counted by delivery.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Counters of the requests for streams. A clone counts into the same numbers.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    refusals: Family<RefusalLabel, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabel {
    status: u32,
}

// ----------------------------------------------------------------------------------------------

impl Metrics {
    /// Adds the counters to a registry, below `drogue`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("drogue");
        let help = "Requests for streams that were refused, by status";
        registry.register("refusals", help, self.refusals.clone());
    }

    pub(crate) fn refused(&self, status: http::StatusCode) {
        let status = u32::from(status.as_u16());
        self.refusals.get_or_create(&RefusalLabel { status }).inc();
    }
}
