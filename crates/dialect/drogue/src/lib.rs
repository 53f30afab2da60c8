//! The client protocol of Drogue Cloud's WebSocket integration (compat/drogue.md 1): `GET /{application}[/{channel}]` becomes a
//! stream of CloudEvents in JSON, one per text frame.
//!
//! | file | idea |
//! | --- | --- |
//! | `stream.rs` | one request from its head to its upgrade |
//! | `request.rs` | path, query and credentials, read without I/O |
//! | `wanted.rs` | which events, from where, until when |
//! | `group.rs` | the group that it may name |
//! | `refusal.rs` | every way to be refused, with status and JSON body |
//! | `projected.rs` | events of whose payload only some fields are wanted |
//! | `session.rs` | the protocol of an open socket, without I/O |
//! | `right.rs` | the right that an open socket depends on |
//! | `metrics.rs` | [`Metrics`] |

mod group;
mod metrics;
mod projected;
mod refusal;
mod request;
mod right;
mod session;
mod stream;
mod wanted;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use sockeye_access::Access;
use sockeye_delivery::Delivery;
use sockeye_log::{Log, Retention};

pub use metrics::Metrics;

/// The dialect: what its requests share.
pub struct Drogue {
    access: Arc<Access>,
    log: Arc<dyn Log>,
    delivery: Arc<Delivery>,
    retention: Retention,
    /// How long a socket lives on after its token has expired.
    token_grace: Duration,
    metrics: Metrics,
}

// ----------------------------------------------------------------------------------------------

impl Drogue {
    /// The dialect over these engines; `log` is the one that `delivery` reads. `retention` is that of topics which have to
    /// be made.
    pub fn new(
        access: Arc<Access>,
        log: Arc<dyn Log>,
        delivery: Arc<Delivery>,
        retention: Retention,
        metrics: Metrics,
    ) -> Self {
        Self {
            access,
            log,
            delivery,
            retention,
            token_grace: Duration::ZERO,
            metrics,
        }
    }

    /// Lets sockets live on for this long after their token has expired.
    #[must_use]
    pub fn with_token_grace(mut self, grace: Duration) -> Self {
        self.token_grace = grace;
        self
    }
}

/// The routes at the root. They take every path of one or two segments that no other room has; for all others the server
/// answers 404.
pub fn router(state: Arc<Drogue>) -> Router {
    Router::new()
        .route("/{application}", any(stream::open))
        .route("/{application}/{channel}", any(stream::open))
        .with_state(state)
}
