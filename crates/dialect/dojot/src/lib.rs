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
use http::Uri;
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

/// The address of a request as [`router`] knows it, if it is one of the dialect in other letters: in all but the topic, upper and
/// lower case are alike (compat/dojot.md 1).
pub fn respell(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let begins = |with: &str| {
        path.get(..with.len())
            .is_some_and(|path| path.eq_ignore_ascii_case(with))
    };
    if !begins(BASE) {
        return None;
    }
    let own = if begins(TOPICS) { TOPICS.len() } else { path.len() };
    let (own, rest) = path.split_at(own);
    if !own.contains(|c: char| c.is_ascii_uppercase()) {
        return None;
    }
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = format!("{}{rest}{query}", own.to_ascii_lowercase()).parse().ok();
    Uri::from_parts(parts).ok()
}

/// With which all paths of the dialect begin but `/auth`.
const BASE: &str = "/kafka-ws/";
/// Behind which a topic stands.
const TOPICS: &str = "/kafka-ws/v1/topics/";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_topic_has_upper_and_lower_case() {
        for (path, respelled) in [
            ("/kafka-ws/v1/ticket", None),
            ("/kafka-ws/v1/topics/A.b?where=A", None),
            ("/App/Channel", None),
            ("/KAFKA", None),
            ("/Kafka-WS/V1/Ticket", Some("/kafka-ws/v1/ticket")),
            (
                "/kafka-ws/v1/TOPICS/A.b/?where=A&ticket=%22",
                Some("/kafka-ws/v1/topics/A.b/?where=A&ticket=%22"),
            ),
            ("/kafka-ws/v1/Topics", Some("/kafka-ws/v1/topics")),
        ] {
            let uri = respell(&path.parse().unwrap()).map(|uri| uri.to_string());
            assert_eq!(uri.as_deref(), respelled, "{path}");
        }
    }
}
