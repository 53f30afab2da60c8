//! Whether the server lives, and whether it can serve.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use sockeye_access::Access;
use sockeye_limits as limits;
use sockeye_log::Log;
use sockeye_registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::first_start::ADMINISTRATOR;
use crate::not_found;

/// What is asked.
#[derive(Clone)]
pub(crate) struct Health {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) access: Arc<Access>,
    pub(crate) stop: CancellationToken,
}

#[derive(Serialize)]
struct Answer {
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<Problem>,
}

#[derive(Serialize)]
struct Problem {
    what: &'static str,
    message: String,
}

// ----------------------------------------------------------------------------------------------

/// `/healthz`: 200 as long as requests are answered at all. `/readyz`: 200 if log and registry answer within
/// [`limits::ENGINE_PROBE`], the providers of tokens too, and the server is not about to stop; else 503 with what is missing.
pub(crate) fn router(health: Health) -> Router {
    Router::new()
        .route(
            "/healthz",
            get(async || {
                Json(Answer {
                    status: "alive",
                    problems: Vec::new(),
                })
            }),
        )
        .route("/readyz", get(ready))
        .method_not_allowed_fallback(not_found::method_not_allowed)
        .with_state(health)
}

async fn ready(State(health): State<Health>) -> (StatusCode, Json<Answer>) {
    let registry = tokio::time::timeout(limits::ENGINE_PROBE, health.registry.user(ADMINISTRATOR));
    let oidc = tokio::time::timeout(limits::ENGINE_PROBE, async {
        match health.access.oidc() {
            Some(oidc) => oidc.probe().await,
            None => Vec::new(),
        }
    });
    let (log, registry, oidc) = tokio::join!(health.log.probe(), registry, oidc);
    let mut problems = Vec::new();
    let mut add = |what, message| problems.push(Problem { what, message });
    if health.stop.is_cancelled() {
        add("server", "it is about to stop".to_owned());
    }
    if let Err(error) = log {
        add("log", error.to_string());
    }
    match registry {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => add("registry", error.to_string()),
        Err(_elapsed) => add(
            "registry",
            format!("no answer within {} s", limits::ENGINE_PROBE.as_secs()),
        ),
    }
    match oidc {
        Ok(missing) => {
            for provider in missing {
                add("oidc", provider.to_string());
            }
        }
        Err(_elapsed) => add(
            "oidc",
            format!(
                "a provider of tokens does not answer within {} s",
                limits::ENGINE_PROBE.as_secs()
            ),
        ),
    }
    if problems.is_empty() {
        (
            StatusCode::OK,
            Json(Answer {
                status: "ready",
                problems,
            }),
        )
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(Answer {
                status: "not ready",
                problems,
            }),
        )
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use serde_json::{Value, json};
    use sockeye_engine_sqlite::{Options, SqliteEngine};
    use tower::ServiceExt;

    use super::*;

    async fn ask(health: &Health, path: &str) -> (u16, Value) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router(health.clone()).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// What the answer blames.
    fn blamed(answer: &Value) -> Vec<&str> {
        let problems = answer["problems"].as_array().unwrap();
        problems
            .iter()
            .map(|problem| problem["what"].as_str().unwrap())
            .collect()
    }

    #[tokio::test]
    async fn who_is_not_ready_says_what_is_missing_and_lives_nevertheless() {
        let folder = tempfile::tempdir().unwrap();
        let engine = SqliteEngine::open(folder.path().join("file"), Options::default()).unwrap();
        let stop = CancellationToken::new();
        let health = Health {
            log: Arc::new(engine.clone()),
            registry: Arc::new(engine.clone()),
            access: Arc::new(Access::new(Arc::new(engine.clone()))),
            stop,
        };
        assert_eq!(ask(&health, "/readyz").await, (200, json!({ "status": "ready" })));

        engine.close().await;
        let (status, answer) = ask(&health, "/readyz").await;
        assert_eq!((status, blamed(&answer)), (503, vec!["log", "registry"]), "{answer}");
        assert!(
            answer["problems"][0]["message"]
                .as_str()
                .is_some_and(|message| !message.is_empty())
        );

        health.stop.cancel();
        let (_, answer) = ask(&health, "/readyz").await;
        assert_eq!(blamed(&answer)[0], "server", "{answer}");
        assert_eq!(ask(&health, "/healthz").await.0, 200);
    }
}
