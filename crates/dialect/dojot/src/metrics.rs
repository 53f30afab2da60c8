//! What is counted. Sockets are counted by delivery.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Counters of the dialect. A clone counts into the same numbers.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Tickets that were given.
    pub(crate) tickets: Counter,
    /// Events passed over because they have no shape in the topic.
    pub(crate) hidden: Counter,
    refusals: Family<StatusLabel, Counter>,
    closes: Family<CodeLabel, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabel {
    status: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: u32,
}

// ----------------------------------------------------------------------------------------------

impl Metrics {
    /// Adds the counters to a registry, below `dojot`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("dojot");
        registry.register("tickets", "Tickets that were given", self.tickets.clone());
        let help = "Requests that were refused, by status";
        registry.register("refusals", help, self.refusals.clone());
        let help = "Connections that were closed when they were opened, by close code";
        registry.register("closes", help, self.closes.clone());
        let help = "Events that a lane passed over because they are no JSON";
        registry.register("hidden_events", help, self.hidden.clone());
    }

    pub(crate) fn refused(&self, status: http::StatusCode) {
        let status = u32::from(status.as_u16());
        self.refusals.get_or_create(&StatusLabel { status }).inc();
    }

    pub(crate) fn closed(&self, code: u16) {
        self.closes.get_or_create(&CodeLabel { code: code.into() }).inc();
    }
}
