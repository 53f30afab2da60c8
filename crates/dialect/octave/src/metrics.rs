//! What is counted. Sockets and subscriptions are counted by delivery.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Counters of the dialect. A clone counts into the same numbers.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    sessions: Counter,
    subscribed: Counter,
    events: Counter,
    refusals: Family<RefusalLabel, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabel {
    status: u32,
}

// ----------------------------------------------------------------------------------------------

impl Metrics {
    /// Adds the counters to a registry, below `octave`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("octave");
        registry.register("sessions", "Sessions that were made", self.sessions.clone());
        let help = "Subscriptions that were made on open sockets";
        registry.register("subscribed", help, self.subscribed.clone());
        registry.register("events", "Events that were posted", self.events.clone());
        let help = "Requests that were refused, over HTTP and on open sockets, by status";
        registry.register("refusals", help, self.refusals.clone());
    }

    pub(crate) fn session(&self) {
        self.sessions.inc();
    }

    pub(crate) fn subscribed(&self) {
        self.subscribed.inc();
    }

    pub(crate) fn posted(&self) {
        self.events.inc();
    }

    pub(crate) fn refused(&self, status: u16) {
        let status = u32::from(status);
        self.refusals.get_or_create(&RefusalLabel { status }).inc();
    }
}
