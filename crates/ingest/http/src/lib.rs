//! The device endpoint over HTTP (compat/drogue.md 5.1): `POST /v1/{channel}` becomes an event in the application's log, and
//! 202 is the answer once it is durable. Its webhooks for The Things Network are not served, and say so.
//!
//! | file | idea |
//! | --- | --- |
//! | `publish.rs` | one request from its head to its answer |
//! | `query.rs` | the query parameters |
//! | `body.rs` | reading the body within limits |
//! | `commands.rs` | [`Commands`]: devices that wait for one |
//! | `content.rs` | body and headers as events: payload, one CloudEvent, a batch |
//! | `rules.rs` | what the application's rules make of the events |
//! | `refusal.rs` | every way to be refused, with status and JSON body |
//! | `outage.rs` | what is said in the log while requests are refused for the server's own trouble |
//! | `metrics.rs` | [`Metrics`] |
//!
//! The order is: query, credentials, body, event, quota, rules, log. Who is not known never makes the server read a body.

mod body;
mod commands;
mod content;
mod metrics;
mod outage;
mod publish;
mod query;
mod refusal;
mod rules;

use std::sync::Arc;

use axum::Router;
use axum::routing::{any, post};
use bytestring::ByteString;
use sockeye_access::Devices;
use sockeye_limits as limits;
use sockeye_log::{Log, Retention};
use sockeye_policy::Quotas;
use tokio::sync::Semaphore;

use crate::outage::Outage;

pub use commands::Commands;
pub use metrics::Metrics;

/// The endpoint: what its requests share.
pub struct Ingest {
    log: Arc<dyn Log>,
    devices: Arc<Devices>,
    commands: Arc<Commands>,
    instance: ByteString,
    retention: Retention,
    metrics: Metrics,
    quotas: Quotas,
    /// One permit for each byte that the bodies of all requests may hold.
    bodies: Semaphore,
    authenticating: Outage,
    storing: Outage,
}

// ----------------------------------------------------------------------------------------------

impl Ingest {
    /// An endpoint that publishes into `log` for `devices`, which may wait for `commands`. `instance` becomes the extension of that
    /// name; `retention` is that of topics which the endpoint has to make, unless their application says another.
    pub fn new(
        log: Arc<dyn Log>,
        devices: Arc<Devices>,
        commands: Arc<Commands>,
        instance: impl Into<ByteString>,
        retention: Retention,
        metrics: Metrics,
    ) -> Self {
        let bodies = Semaphore::new(limits::INGEST_BODIES);
        Self {
            log,
            devices,
            commands,
            instance: instance.into(),
            retention,
            metrics,
            quotas: Quotas::default(),
            bodies,
            authenticating: Outage::new("devices cannot be authenticated"),
            storing: Outage::new("events cannot be stored"),
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

/// The paths to which The Things Network posts (compat/drogue.md 5.1): they are not served. Other methods go to `others`,
/// for which these are paths as any.
pub fn webhooks(state: Arc<Ingest>, others: &Router) -> Router {
    let refuse = || post(publish::no_webhook).fallback_service(others.clone());
    Router::new()
        .route("/ttn", refuse())
        .route("/ttn/v2", refuse())
        .route("/ttn/v3", refuse())
        .route("/ttn/", post(publish::no_webhook).fallback(publish::not_found))
        .with_state(state)
}
