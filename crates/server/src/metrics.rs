//! What is counted about connections and answers, and all numbers of all rooms as text for Prometheus.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use http::{StatusCode, header};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::not_found;
use crate::tls::Counted;

/// Counters of all listeners.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    connections: Family<StateLabels, Gauge>,
    accepted: Family<ListenerLabels, Counter>,
    refused: Family<ListenerLabels, Counter>,
    errors: Family<ListenerLabels, Counter>,
    handshakes: Family<ResultLabels, Counter>,
    responses: Family<ResponseLabels, Counter>,
    /// Files of certificates that were read again.
    pub(crate) certificates: Counted,
}

/// Counters of one listener, looked up once.
#[derive(Clone, Debug)]
pub(crate) struct ListenerMetrics {
    /// Open connections that speak HTTP.
    pub(crate) requesting: Gauge,
    /// Open connections that have become WebSockets.
    pub(crate) upgraded: Gauge,
    /// Connections that were accepted.
    pub(crate) accepted: Counter,
    /// Connections that were closed because there was no room.
    pub(crate) refused: Counter,
    /// Times that the system did not accept.
    pub(crate) errors: Counter,
    /// TLS handshakes that were done, and that were not.
    handshakes: [Counter; 2],
    /// Answers by the first digit of their status, 1 to 5.
    responses: [Counter; 5],
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabels {
    listener: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    listener: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    listener: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResponseLabels {
    listener: &'static str,
    status: &'static str,
}

// ----------------------------------------------------------------------------------------------

impl Metrics {
    /// Adds the counters and the version to a registry.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "build",
            "The running version",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        let registry = registry.sub_registry_with_prefix("server");
        registry.register(
            "connections",
            "Open connections, by what they are",
            self.connections.clone(),
        );
        registry.register("accepted", "Connections accepted", self.accepted.clone());
        registry.register(
            "refused",
            "Connections closed at once: the limit was reached",
            self.refused.clone(),
        );
        registry.register(
            "accept_errors",
            "Times the system accepted no connection",
            self.errors.clone(),
        );
        registry.register(
            "tls_handshakes",
            "TLS handshakes, by how they ended",
            self.handshakes.clone(),
        );
        registry.register(
            "tls_files_taken",
            "Times that files of certificates had changed, and are used",
            self.certificates.taken.clone(),
        );
        registry.register(
            "tls_files_refused",
            "Times that files of certificates had changed, and cannot be used",
            self.certificates.refused.clone(),
        );
        registry.register("responses", "Answers to requests, by status", self.responses.clone());
    }

    /// The counters of one listener.
    pub(crate) fn of(&self, listener: &'static str) -> ListenerMetrics {
        let labels = ListenerLabels { listener };
        let state = |state| self.connections.get_or_create_owned(&StateLabels { listener, state });
        let result = |result| self.handshakes.get_or_create_owned(&ResultLabels { listener, result });
        let status = |status| self.responses.get_or_create_owned(&ResponseLabels { listener, status });
        ListenerMetrics {
            requesting: state("http"),
            upgraded: state("websocket"),
            accepted: self.accepted.get_or_create_owned(&labels),
            refused: self.refused.get_or_create_owned(&labels),
            errors: self.errors.get_or_create_owned(&labels),
            handshakes: ["done", "failed"].map(result),
            responses: ["1xx", "2xx", "3xx", "4xx", "5xx"].map(status),
        }
    }
}

impl ListenerMetrics {
    /// Counts a TLS handshake.
    pub(crate) fn shaken<T, E>(&self, handshake: &Result<T, E>) {
        let [done, failed] = &self.handshakes;
        if handshake.is_ok() {
            done.inc()
        } else {
            failed.inc()
        };
    }

    /// Counts an answer.
    pub(crate) fn answered(&self, status: StatusCode) {
        if let Some(counter) = self.responses.get(usize::from(status.as_u16() / 100).wrapping_sub(1)) {
            counter.inc();
        }
    }
}

/// `/metrics`, in the text format of OpenMetrics, which Prometheus reads.
pub(crate) fn router(registry: Arc<Registry>) -> Router {
    let metrics = async move || {
        let mut text = String::new();
        encode(&mut text, &registry).expect("a string takes what is written");
        (
            [(
                header::CONTENT_TYPE,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )],
            text,
        )
    };
    Router::new()
        .route("/metrics", get(metrics))
        .method_not_allowed_fallback(not_found::method_not_allowed)
}
