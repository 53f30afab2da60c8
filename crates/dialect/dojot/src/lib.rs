//! The client protocol of dojot's Kafka WS (compat/dojot.md): a ticket, a WebSocket for one topic, its messages as JSON.
//!
//! | file | idea |
//! | --- | --- |
//! | `tickets.rs` | tickets, and tokens for access keys |
//! | `stream.rs` | one request for a topic, from its head to its upgrade |
//! | `opening.rs` | [`Opening`]: what the ticket and the query say, without I/O |
//! | `query.rs` | the parameters, as real clients send them: not encoded |
//! | `topic.rs` | whose a topic is |
//! | `shape.rs` | [`Shape`]: what a topic shows, and how |
//! | `lifetime.rs` | [`Lifetime`]: when a connection ends by itself |
//! | `close.rs` | [`Close`]: the documented codes and their symbols |
//! | `session.rs` | an open socket |
//! | `answer.rs`, `metrics.rs` | answers that are no WebSocket; what is counted |

mod answer;
mod close;
mod lifetime;
mod metrics;
mod opening;
mod query;
mod session;
mod shape;
mod stream;
mod tickets;
mod topic;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::any;
use sockeye_access::{Access, TenantTokens};
use sockeye_delivery::Delivery;
use sockeye_log::{Log, Retention};

pub use close::Close;
pub use lifetime::Lifetime;
pub use metrics::Metrics;
pub use opening::{Admission, Opened, Opening};
pub use query::Query;
pub use shape::Shape;
pub use topic::owner_of;

/// The dialect: what its requests share.
pub struct Dojot {
    access: Arc<Access>,
    tokens: TenantTokens,
    log: Arc<dyn Log>,
    delivery: Arc<Delivery>,
    settings: Settings,
    metrics: Metrics,
}

/// What can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a ticket can be used.
    pub ticket_life: Duration,
    /// How a client is told that its ticket does not count.
    pub ticket_errors: TicketErrors,
    /// How long a connection lives.
    pub lifetime: Lifetime,
    /// Of topics that have to be made.
    pub retention: Retention,
}

/// How a client is told that its ticket does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TicketErrors {
    /// By a WebSocket that closes at once with 4401, which browsers can see.
    #[default]
    Close,
    /// By the status 401.
    Http,
}

// ----------------------------------------------------------------------------------------------

impl Dojot {
    /// The dialect over these engines; `log` is the one that `delivery` reads.
    pub fn new(
        access: Arc<Access>,
        tokens: TenantTokens,
        log: Arc<dyn Log>,
        delivery: Arc<Delivery>,
        settings: Settings,
        metrics: Metrics,
    ) -> Self {
        Self {
            access,
            tokens,
            log,
            delivery,
            settings,
            metrics,
        }
    }
}

/// The routes at the root.
pub fn router(state: Arc<Dojot>) -> Router {
    Router::new()
        .route("/auth", any(tickets::auth))
        .route("/kafka-ws/v1/ticket", any(tickets::ticket))
        .route("/kafka-ws/v1/topics/{topic}", any(stream::open))
        .route("/kafka-ws/v1/topics/{topic}/", any(stream::open))
        .route("/kafka-ws/{*rest}", any(not_found))
        .with_state(state)
}

async fn not_found() -> impl IntoResponse {
    answer::Refusal::NotFound
}
