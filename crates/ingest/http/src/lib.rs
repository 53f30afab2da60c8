//! The device endpoint over HTTP (compat/drogue.md 5.1): `POST /v1/{channel}` becomes an event in the application's log, and
//! 202 is the answer once it is durable.
//!
//! | file | idea |
//! | --- | --- |
//! | `publish.rs` | one request from its head to its answer |
//! | `query.rs` | the query parameters |
//! | `body.rs` | reading the body within limits |
//! | `content.rs` | body and headers as events: payload, one CloudEvent, a batch |
//! | `refusal.rs` | every way to be refused, with status and JSON body |
//! | `metrics.rs` | [`Metrics`] |
//!
//! The order is: query, credentials, body, event, log. Who is not known never makes the server read a body.

mod body;
mod content;
mod metrics;
mod publish;
mod query;
mod refusal;

use std::sync::Arc;

use axum::Router;
use axum::routing::{any, post};
use bytestring::ByteString;
use sockeye_access::Devices;
use sockeye_limits as limits;
use sockeye_log::{Log, Retention};
use tokio::sync::Semaphore;

pub use metrics::Metrics;

/// The endpoint: what its requests share.
pub struct Ingest {
    log: Arc<dyn Log>,
    devices: Arc<Devices>,
    instance: ByteString,
    retention: Retention,
    metrics: Metrics,
    /// One permit for each byte that the bodies of all requests may hold.
    bodies: Semaphore,
}

// ----------------------------------------------------------------------------------------------

impl Ingest {
    /// An endpoint that publishes into `log` for `devices`. `instance` becomes the extension of that name; `retention` is
    /// that of topics which the endpoint has to make.
    pub fn new(
        log: Arc<dyn Log>,
        devices: Arc<Devices>,
        instance: impl Into<ByteString>,
        retention: Retention,
        metrics: Metrics,
    ) -> Self {
        let bodies = Semaphore::new(limits::INGEST_BODIES);
        Self {
            log,
            devices,
            instance: instance.into(),
            retention,
            metrics,
            bodies,
        }
    }
}

/// The routes below `/v1`. What follows the channel is allowed and says nothing (compat/drogue.md 5.1).
pub fn router(state: Arc<Ingest>) -> Router {
    let publish = || post(publish::publish).fallback(publish::not_allowed);
    Router::new()
        .route("/v1/{channel}", publish())
        .route("/v1/{channel}/", publish())
        .route("/v1/{channel}/{*suffix}", publish())
        .route("/v1", any(publish::not_found))
        .route("/v1/", any(publish::not_found))
        .with_state(state)
}
