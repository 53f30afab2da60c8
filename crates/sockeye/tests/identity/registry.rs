//! The registry in PostgreSQL, which is away for a while.

use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use serde_json::Value;
use sockeye_limits as limits;
use sockeye_parts::postgres::Postgres;

use crate::support::{APP, PATIENCE, Server, http, next_event, numbered};

/// What a login that is asked for at this address is told, before anything else is looked at.
async fn told(call: RequestBuilder) -> (u16, String) {
    let answer = call.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.text().await.unwrap())
}

/// Open streams go on, and so do devices that are known; nobody logs in, also not with what was let in before; all is well when it is
/// back.
#[tokio::test]
async fn postgresql_that_is_away_ends_no_stream_and_lets_nobody_in() {
    let Some(mut postgres) = Postgres::start_or_say().unwrap() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let url = postgres.database().unwrap();
    let server = Server::start_with(folder.path(), |command| {
        command.env("SOCKEYE_POSTGRES", &url);
    });
    server.make_device();
    let http = http();
    let admin = server.admin();
    let (user, key) = admin.split_once(':').unwrap();
    // Who is let in gets 426: it does not ask for a WebSocket.
    let login = async || {
        let call = http.get(format!("{}/{APP}", server.url));
        told(call.basic_auth(user, Some(key))).await
    };
    let mut socket = server.stream(APP).await;
    assert_eq!(server.publish(&http, "c", &numbered(0)).await.unwrap(), 202);
    assert_eq!(login().await.0, 426);

    postgres.kill().unwrap();
    let killed = Instant::now();
    loop {
        let (status, body) = login().await;
        if status == 503 {
            let body: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(body["error"], "Unavailable", "{body}");
            break;
        }
        assert_eq!(status, 426, "{body}");
        assert!(killed.elapsed() < limits::LOGIN_ANSWERED, "{:?}", killed.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let octave = http.post(format!("{}/session", server.url));
    let headers = [("x-auth-user", user), ("x-auth-token", key), ("x-auth-company", APP)];
    let octave = headers
        .iter()
        .fold(octave, |call, (name, value)| call.header(*name, *value));
    let (status, body) = told(octave).await;
    assert_eq!(status, 503, "{body}");
    for path in ["/kafka-ws/v1/ticket", "/api/registry/v1alpha1/apps"] {
        let call = http.get(format!("{}{path}", server.url)).basic_auth(user, Some(key));
        let (status, body) = told(call).await;
        assert_eq!(status, 503, "{path}: {body}");
    }
    for number in 1..10 {
        assert_eq!(server.publish(&http, "c", &numbered(number)).await.unwrap(), 202);
    }
    for number in 0..10 {
        assert_eq!(next_event(&mut socket).await["data"], numbered(number));
    }

    postgres.start_again().unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (status, body) = login().await;
        if status == 426 {
            break;
        }
        assert_eq!(status, 503, "{body}");
        assert!(Instant::now() < deadline, "{body}");
    }
    server.stream(APP).await;
}
