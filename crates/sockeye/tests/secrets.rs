//! No secret reaches a line of the log, at its most talkative, nor the metrics; whatever clients do with them.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::SinkExt as _;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use support::{APP, DEVICE, PASSWORD, Server, closed, next_message};
use tokio_tungstenite::tungstenite::Message;

const WRONG_KEY: &str = "drg_012345_01234567890123456789012345678920BetF";
const WRONG_PASSWORD: &str = "not-the-password-of-dev";
const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl";
/// A secret that stands where none is expected.
const MISPLACED: &str = "misplaced-secret";
/// An event's content is its application's, and nobody's who reads logs.
const PAYLOAD: &str = "what-the-device-has-measured";

#[tokio::test]
async fn no_secret_is_in_the_log() {
    for format in ["json", "text"] {
        check(format).await;
    }
}

async fn check(format: &str) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut server = Server::start_with(&folder.path().join("data"), |command| {
        command.args([
            "--log-level",
            "trace",
            "--log-format",
            format,
            "--metrics-bind",
            "127.0.0.1:0",
        ]);
        command.stderr(fs::File::create(&log).unwrap());
    });
    let metrics = server.metrics_url();
    server.make_device();
    let http = support::http();
    let (user, key) = server
        .admin()
        .split_once(':')
        .map(|(user, key)| (user.to_owned(), key.to_owned()))
        .unwrap();
    let mut secrets = vec![key.clone(), PASSWORD.to_owned()];
    secrets.extend([WRONG_KEY, WRONG_PASSWORD, TOKEN, MISPLACED, PAYLOAD].map(str::to_owned));

    secrets.extend(operate(&server, &http, (&user, &key)).await);
    publish(&server, &http).await;
    stream(&server, (&user, &key)).await;
    secrets.extend(octave(&server, &http, (&user, &key)).await);

    let numbers = http.get(metrics).send().await.unwrap().text().await.unwrap();
    assert!(server.terminate().success());
    let log = fs::read_to_string(&log).unwrap();
    assert!(
        log.contains("/api/tokens/v1alpha1") && log.contains("answered"),
        "it tells of every request:\n{log}"
    );
    let keys = [key.as_str(), WRONG_KEY].map(|key| STANDARD.encode(format!("{user}:{key}")));
    let passwords = [PASSWORD, WRONG_PASSWORD].map(|word| STANDARD.encode(format!("{DEVICE}@{APP}:{word}")));
    for secret in secrets
        .iter()
        .flat_map(|secret| parts(secret))
        .chain(keys.iter().chain(&passwords).map(String::as_str))
    {
        for (place, text) in [("log", &log), ("metrics", &numbers)] {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "`{secret}` is in the {place}");
        }
    }
}

/// The parts of a secret that must not be seen. The first ten characters of an access key are its name.
fn parts(secret: &str) -> Vec<&str> {
    match secret.strip_prefix("drg_") {
        Some(key) => vec![&key[7..]],
        None => secret.split('.').collect(),
    }
}

/// Makes keys and devices in right and wrong ways; the secrets that were shown.
async fn operate(server: &Server, http: &Client, (user, key): (&str, &str)) -> Vec<String> {
    let devices = format!("{}/api/registry/v1alpha1/apps/{APP}/devices", server.url);
    let keys = format!("{}/api/tokens/v1alpha1", server.url);
    let device = |spec: Value| json!({ "metadata": { "application": APP, "name": "other" }, "spec": spec });
    let hash = "$2b$04$abcdefghijklmnopqrstuuN2ZiBZ8VkXWnJmP3nKvWzUJ6VvWv5Ui";
    let send = async |request: RequestBuilder| {
        let answer = request.basic_auth(user, Some(key)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for (document, status) in [
        (device(json!({ "credentials": MISPLACED })), 400),
        (device(json!({ "authentication": { "credentials": [MISPLACED] } })), 400),
        (
            device(json!({ "authentication": { "credentials": [{ "pass": { "bcrypt": MISPLACED } }] } })),
            400,
        ),
        (json!({ "metadata": { "name": "other", "labels": MISPLACED } }), 400),
        (json!({ "metadata": { "name": "other", MISPLACED: 1 } }), 400),
        (
            device(json!({ "authentication": { "credentials": [{ "pass": { "bcrypt": hash } }] } })),
            201,
        ),
    ] {
        let (said, body) = send(http.post(&devices).json(&document)).await;
        assert_eq!(said, status, "{document}: {body}");
    }
    let (status, made) = send(http.post(&keys)).await;
    assert_eq!(status, 200, "{made}");
    let made: Value = serde_json::from_str(&made).unwrap();
    let made = made["token"].as_str().expect("the key is shown once").to_owned();
    assert_eq!(
        http.get(&keys)
            .basic_auth(user, Some(&made))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    assert_eq!(
        http.get(&keys)
            .basic_auth(user, Some(WRONG_KEY))
            .send()
            .await
            .unwrap()
            .status(),
        401
    );
    assert_eq!(http.get(&keys).bearer_auth(TOKEN).send().await.unwrap().status(), 401);
    vec![made, hash.to_owned()]
}

/// Publishes with right and wrong passwords.
async fn publish(server: &Server, http: &Client) {
    let url = format!("{}/v1/c", server.url);
    let device = |password| {
        http.post(&url)
            .basic_auth(format!("{DEVICE}@{APP}"), Some(password))
            .body(PAYLOAD)
    };
    for (request, status) in [
        (device(PASSWORD), 202),
        (device(WRONG_PASSWORD), 403),
        (device(PASSWORD).header("content-type", "application/json"), 406),
        (device(PASSWORD).query(&[("data_schema", MISPLACED)]), 400),
        (
            http.post(&url)
                .query(&[("password", MISPLACED)])
                .bearer_auth(TOKEN)
                .body(PAYLOAD),
            403,
        ),
    ] {
        assert_eq!(request.send().await.unwrap().status(), status);
    }
    // A hashed password is verified by other threads.
    let hashed = http
        .post(&url)
        .basic_auth(format!("other@{APP}"), Some(WRONG_PASSWORD))
        .body(PAYLOAD);
    assert_eq!(hashed.send().await.unwrap().status(), 403);
}

/// Opens streams with right and wrong keys, in every place, and says the wrong things on them.
async fn stream(server: &Server, (user, key): (&str, &str)) {
    for (path, right) in [
        (format!("{APP}?username={user}&api_key={key}"), true),
        (format!("{APP}?token={user}:{key}"), true),
        (format!("{APP}?username={user}&api_key={WRONG_KEY}"), false),
        (format!("{APP}?token={TOKEN}"), false),
        (format!("{APP}?api_key={key}"), false),
    ] {
        assert_eq!(server.connect(&path, None).await.is_ok(), right, "{path}");
    }
    for (credentials, right) in [
        (format!("Bearer {user}:{key}"), true),
        (format!("Bearer {TOKEN}"), false),
        (
            format!("Basic {}", STANDARD.encode(format!("{user}:{WRONG_KEY}"))),
            false,
        ),
        (format!("Basic {MISPLACED}"), false),
        (MISPLACED.to_owned(), false),
    ] {
        assert_eq!(
            server.connect(APP, Some(&credentials)).await.is_ok(),
            right,
            "{credentials}"
        );
    }
    for said in [
        format!("{{\"{TOKEN}\":1}}"),
        TOKEN.to_owned(),
        format!("{{\"RefreshAccessToken\":[\"{TOKEN}\"]}}"),
    ] {
        let mut socket = server.stream(APP).await;
        socket
            .send(Message::text(json!({ "RefreshAccessToken": TOKEN }).to_string()))
            .await
            .unwrap();
        socket.send(Message::text(said)).await.unwrap();
        let (code, reason) = closed(&mut socket).await;
        assert!(code == 1002 && !reason.contains(TOKEN), "{code} {reason}");
    }
}

/// Sessions and restricted tokens of Octave, used in right and wrong ways: they are secrets that stand in paths and headers.
async fn octave(server: &Server, http: &Client, (user, key): (&str, &str)) -> Vec<String> {
    let master = [("X-Auth-User", user), ("X-Auth-Token", key), ("X-Auth-Company", APP)];
    let post = async |path: &str, headers: &[(&str, &str)], body: String| {
        let request = http.post(format!("{}{path}", server.url)).body(body);
        let request = headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (
            status,
            serde_json::from_str::<Value>(&answer.text().await.unwrap()).unwrap(),
        )
    };
    let paths = json!({ "paths": { format!("/{APP}"): { "eventRead": true } } }).to_string();
    let (status, made) = post(&format!("/v5.0/{APP}/token"), &master, paths).await;
    assert_eq!(status, 201, "{made}");
    let token = made["body"]["tokenString"].as_str().unwrap().to_owned();
    let mut secrets = vec![token.clone()];
    for (name, value) in [
        ("X-Auth-Token", WRONG_KEY),
        ("X-Auth-Token", TOKEN),
        ("X-Auth-Token", MISPLACED),
    ] {
        assert_eq!(
            post("/session", &[(name, value), master[2]], String::new()).await.0,
            403
        );
    }
    for headers in [&master[..], &[("X-Auth-Token", &token), master[2]]] {
        let (status, made) = post("/session", headers, String::new()).await;
        assert_eq!(status, 201, "{made}");
        let session = made["body"]["id"].as_str().unwrap().to_owned();
        let mut socket = server.connect(&format!("session/{session}/ws"), None).await.unwrap();
        for said in [
            json!({ "object": "event", "type": "subscribe", "path": format!("/{APP}/devices/{DEVICE}/c"), "msgId": 1 })
                .to_string(),
            json!({ "object": "event", "type": "subscribe", "path": format!("/{APP}/{session}"), "msgId": token })
                .to_string(),
            format!("{{{session}"),
        ] {
            socket.send(Message::text(said)).await.unwrap();
            let Message::Text(_) = next_message(&mut socket).await else {
                panic!("it is answered");
            };
        }
        // Other ways to write, and to misuse, what admits.
        for path in [
            format!("session/{session}"),
            format!("session/{session}/ws/"),
            format!("/session//{session}/ws"),
            format!("session/{session}x/ws?a={session}"),
            format!("{session}?token={session}"),
        ] {
            let _ = server.connect(&path, None).await;
            let _ = post(&format!("/{path}"), &[], String::new()).await;
        }
        secrets.push(session);
        drop(socket);
    }
    // It goes with its sessions.
    let id = made["body"]["id"].as_str().unwrap();
    let gone = http.delete(format!("{}/v5.0/{APP}/token/{id}", server.url));
    let gone = gone.header("X-Auth-User", user).header("X-Auth-Token", key);
    assert_eq!(gone.send().await.unwrap().status(), 200);
    secrets
}
