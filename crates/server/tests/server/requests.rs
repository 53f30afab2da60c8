//! What every request gets, whatever room answers it.

use crate::client::{basic, call, make_application};
use crate::start;

#[tokio::test]
async fn health_and_readiness_on_both_listeners() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path()).await;
    for address in [server.http_address(), server.metrics_address().unwrap()] {
        for (path, status) in [("/healthz", "alive"), ("/readyz", "ready")] {
            let answer = call(address, &format!("GET {path}"), &[], "").await;
            assert_eq!(
                (answer.status, answer.json()["status"].as_str()),
                (200, Some(status)),
                "{path}"
            );
            let answer = call(address, &format!("POST {path}"), &[], "").await;
            assert_eq!(
                (answer.status, answer.header("allow")),
                (405, Some("get,head")),
                "{path}"
            );
            assert_eq!(answer.json()["error"], "MethodNotAllowed");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn the_numbers_of_all_rooms_are_on_a_listener_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path()).await;
    make_application(&server, "app", "dev").await;
    let credentials = basic("dev@app:pw");
    let headers = [credentials.as_str(), "content-type: application/json"];
    assert_eq!(
        call(server.http_address(), "POST /v1/c", &headers, "{}").await.status,
        202
    );
    let refused = basic("dev@app:no");
    assert_eq!(
        call(server.http_address(), "POST /v1/c", &[&refused], "{}")
            .await
            .status,
        403
    );
    let answer = call(server.metrics_address().unwrap(), "GET /metrics", &[], "").await;
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
    for line in [
        "sockeye_ingest_http_events_total 1",
        "sockeye_ingest_http_payload_bytes_total 2",
        "sockeye_ingest_http_refusals_total{kind=\"authentication\"} 1",
        "sockeye_server_connections{listener=\"http\",state=\"websocket\"} 0",
        "sockeye_server_responses_total{listener=\"http\",status=\"4xx\"} 1",
        concat!("sockeye_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        "# EOF",
    ] {
        assert!(
            answer.body.lines().any(|found| found == line),
            "`{line}` is missing in:\n{}",
            answer.body
        );
    }
    assert_eq!(
        call(server.http_address(), "GET /metrics", &[], "").await.status,
        404,
        "not for everyone"
    );
    server.stop().await;
}

#[tokio::test]
async fn every_answer_has_a_request_id() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path()).await;
    for path in [
        "/healthz",
        "/a/b/c/d",
        "/v1/c",
        "/api/registry/v1alpha1/apps",
        "/no-application",
    ] {
        let line = format!("GET {path}");
        let answer = call(server.http_address(), &line, &["x-request-id: mine-1"], "").await;
        assert_eq!(answer.header("x-request-id"), Some("mine-1"), "{path}");
        let answer = call(server.http_address(), &line, &["x-request-id: not mine"], "").await;
        assert_eq!(answer.header("x-request-id").map(str::len), Some(16), "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_said_in_json() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path()).await;
    for (line, status) in [
        ("GET /a/b/c/d", 404),
        ("GET /v1", 404),
        ("GET /api/none/at/all", 404),
        ("POST /api/none/at/all", 404),
        ("DELETE /v1/channel", 405),
        ("PATCH /api/registry/v1alpha1/apps", 405),
    ] {
        let answer = call(server.http_address(), line, &[], "").await;
        assert_eq!(answer.status, status, "{line}: {answer:?}");
        assert!(answer.json()["message"].is_string(), "{line}: {answer:?}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{line}: {answer:?}");
    }
    server.stop().await;
}

/// Browsers may call the API from pages of any origin (compat/drogue.md 4.2), with credentials in `Authorization`.
#[tokio::test]
async fn the_api_allows_other_origins() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path()).await;
    let preflight = [
        "origin: https://example.com",
        "access-control-request-method: DELETE",
        "access-control-request-headers: authorization,content-type",
    ];
    for (path, allowed) in [
        ("/api/registry/v1alpha1/apps/x", true),
        ("/api/tokens/v1alpha1", true),
        ("/v1/c", false),
    ] {
        let answer = call(server.http_address(), &format!("OPTIONS {path}"), &preflight, "").await;
        assert_eq!(
            answer.header("access-control-allow-origin"),
            allowed.then_some("*"),
            "{path}"
        );
        if allowed {
            assert_eq!(answer.status, 200, "{path}");
            assert_eq!(
                answer.header("access-control-allow-headers"),
                Some("authorization,content-type"),
                "{path}"
            );
        }
    }
    server.stop().await;
}

/// compat/drogue.md 5.1 and 1.1: the device endpoint and the stream endpoint share the port.
#[tokio::test]
async fn the_root_says_that_the_endpoint_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path()).await;
    let address = server.http_address();
    let answer = call(address, "GET /", &[], "").await;
    assert_eq!((answer.status, &*answer.body), (200, ""));
    for (line, headers) in [
        ("GET /", &["upgrade: websocket", "sec-websocket-version: 13"][..]),
        ("POST /", &[]),
    ] {
        let answer = call(address, line, headers, "").await;
        assert_eq!(answer.status, 404, "{line}: {answer:?}");
        assert!(
            answer.json()["message"].as_str().unwrap().contains("/v1/<channel>"),
            "{answer:?}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn webhooks_are_refused_clearly_and_an_application_of_that_name_is_none_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path()).await;
    make_application(&server, "ttn", "dev").await;
    let address = server.http_address();
    let credentials = basic("dev@ttn:pw");
    for path in ["/ttn", "/ttn/", "/ttn/v2", "/ttn/v3"] {
        let answer = call(address, &format!("POST {path}"), &[&credentials], "{}").await;
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (501, &"NotImplemented".into()),
            "{path}"
        );
        assert!(
            answer.json()["message"].as_str().unwrap().contains("/v1/<channel>"),
            "{answer:?}"
        );
    }
    for path in ["/ttn", "/ttn/v2", "/ttn/v3", "/ttn/other"] {
        let answer = call(address, &format!("GET {path}"), &[], "").await;
        assert_eq!(answer.status, 426, "{path} is a stream: {answer:?}");
    }
    server.stop().await;
}
