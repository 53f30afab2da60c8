//! What is counted.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

/// Counters of the device endpoint. A clone counts into the same numbers.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Events that are in the log.
    pub(crate) events: Counter,
    /// Their payloads, in bytes.
    pub(crate) bytes: Counter,
    /// Events that rules of applications dropped: acknowledged, and not stored.
    pub(crate) dropped: Counter,
    /// Requests that were answered with an error.
    pub(crate) refusals: Family<RefusalLabels, Counter>,
}

/// Labels of a refused request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RefusalLabels {
    pub(crate) kind: &'static str,
}

/// Why requests are refused, coarsely: what an operator would act on differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Credentials are wrong or missing.
    Authentication,
    /// Path, query or headers cannot be taken.
    Request,
    /// The event cannot be taken: no JSON, no CloudEvent.
    Event,
    /// A rule of the application rejects the event.
    Rule,
    /// The body, a batch or an attribute is over a limit.
    TooLarge,
    /// The body did not arrive in time or broke off.
    Body,
    /// The application or the device published more than its quota.
    Quota,
    /// A queue was full.
    Busy,
    /// The log or the registry did not answer.
    Unavailable,
}

// ----------------------------------------------------------------------------------------------

impl Metrics {
    /// Adds the counters to a registry, below `ingest_http`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("ingest_http");
        registry.register("events", "Events stored", self.events.clone());
        registry.register_with_unit(
            "payload",
            "Payloads of the events stored",
            Unit::Bytes,
            self.bytes.clone(),
        );
        registry.register(
            "dropped",
            "Events dropped by rules of applications",
            self.dropped.clone(),
        );
        registry.register("refusals", "Publish requests refused, by kind", self.refusals.clone());
    }

    pub(crate) fn refused(&self, kind: Kind) {
        let kind = kind.as_str();
        self.refusals.get_or_create(&RefusalLabels { kind }).inc();
    }
}

impl Kind {
    /// As the label of a metric.
    fn as_str(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::Request => "request",
            Self::Event => "event",
            Self::Rule => "rule",
            Self::TooLarge => "too_large",
            Self::Body => "body",
            Self::Quota => "quota",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
        }
    }
}
