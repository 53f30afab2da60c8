//! Sessions: how they are made, refused and end (1, 2, 13, 14).

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error;

use crate::support::APP;
use crate::world::{PATH, World};

/// 1: three headers and no body; nothing arrives before a request.
#[tokio::test]
async fn n01_a_session_needs_three_headers_and_no_body() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let head = format!(
        "POST /session HTTP/1.1\r\nHost: x\r\nX-Auth-User: {}\r\nx-auth-token: {}\r\nX-AUTH-COMPANY: app\r\nConnection: close\r\n",
        world.user, world.key
    );
    let mut ids = Vec::new();
    for rest in [
        "\r\n",
        "Content-Length: 0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Content-Length: 4\r\nContent-Type: application/json; charset=UTF-8; none\r\n\r\nnull",
    ] {
        let address = world.server.url.strip_prefix("http://").unwrap();
        let mut io = TcpStream::connect(address).await.unwrap();
        io.write_all(format!("{head}{rest}").as_bytes()).await.unwrap();
        let mut answer = String::new();
        io.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 201 "), "{rest:?}: {answer}");
        let body: Value = serde_json::from_str(answer.split("\r\n\r\n").last().unwrap()).unwrap();
        assert_eq!(
            (&body["head"]["ok"], &body["head"]["status"], &body["head"]["errors"]),
            (&json!(true), &json!(201), &json!([]))
        );
        ids.push(body["body"]["id"].as_str().unwrap().to_owned());
    }
    let mut client = world.open(&ids[0]).await;
    client.is_silent().await;
    ids.dedup();
    assert_eq!(ids.len(), 4);
    let id = &ids[0];
    assert_eq!((id.len(), id.find('.')), (44, Some(11)));
    // The predecessor's header names the company too; a key that is unlimited needs no user.
    let (status, _) = world
        .session_with(&[("X-Auth-Account", APP), ("X-Auth-Token", &world.key)])
        .await;
    assert_eq!(status, 201);
}

/// 2: exactly 201; with 403 there is an object as body.
#[tokio::test]
async fn n02_a_refused_session_is_read_by_old_clients() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let (user, key) = (world.user.as_str(), world.key.as_str());
    let other = if key.ends_with('x') { "y" } else { "x" };
    let wrong = format!("{}{other}", &key[..key.len() - 1]);
    for (headers, status, part) in [
        (
            &[("X-Auth-User", user), ("X-Auth-Token", &wrong), ("X-Auth-Company", APP)][..],
            403,
            "token is not valid",
        ),
        (
            &[
                ("X-Auth-User", user),
                ("X-Auth-Token", key),
                ("X-Auth-Company", "other"),
            ],
            403,
            "token is not valid",
        ),
        (
            &[("X-Auth-User", "eve"), ("X-Auth-Token", key), ("X-Auth-Company", APP)],
            403,
            "token is not valid",
        ),
        (&[("X-Auth-User", user), ("X-Auth-Company", APP)], 400, "`X-Auth-Token`"),
        (&[("X-Auth-User", user), ("X-Auth-Token", key)], 400, "`X-Auth-Company`"),
        (
            &[("X-Auth-User", user), ("X-Auth-Token", ""), ("X-Auth-Company", APP)],
            400,
            "`X-Auth-Token`",
        ),
    ] {
        let (found, answer) = world.session_with(headers).await;
        assert_eq!(found, status, "{answer}");
        assert_eq!(
            (&answer["head"]["status"], &answer["body"]),
            (&json!(status), &json!({}))
        );
        let text = answer["head"]["errors"][0].as_str().unwrap();
        assert!(text.contains(part) && !text.contains("drg_"), "{text}");
    }
    let answer = world
        .http
        .get(format!("{}/session", world.server.url))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 405);
    assert!(answer.headers()["allow"].to_str().unwrap().contains("POST"));
}

/// 13: browsers may send the headers from any page.
#[tokio::test]
async fn n13_preflights_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let wanted = "x-auth-user,x-auth-company,x-auth-token,x-auth-account,content-type,accept";
    for path in ["/session", "/v5.0/app/event"] {
        let answer = world
            .http
            .request(Method::OPTIONS, format!("{}{path}", world.server.url))
            .header("Origin", "https://dashboard.example")
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", wanted)
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_ascii_lowercase();
        assert_eq!(header("access-control-allow-origin"), "*");
        assert!(header("access-control-allow-methods").contains(['*', 'p']));
        assert_eq!(header("access-control-allow-headers"), wanted);
    }
    let refused = world
        .http
        .post(format!("{}/session", world.server.url))
        .header("Origin", "https://x");
    let refused = refused.send().await.unwrap();
    assert_eq!(
        refused.headers()["access-control-allow-origin"],
        "*",
        "a page reads what went wrong"
    );
}

/// 14: a session that nobody uses is over after its time; one that is used lives on, and its time begins anew then.
#[tokio::test]
async fn n14_sessions_expire_without_a_connection() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::with(folder.path(), |command| {
        command.args(["--octave-session", "2s"]);
    });
    let (idle, used) = (world.session().await, world.session().await);
    let mut client = world.open(&used).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    for id in [&*idle, "", "no.session"] {
        let again = world.server.connect(&format!("session/{id}/ws"), None).await;
        let Err(Error::Http(response)) = again else {
            panic!("{id} is no session");
        };
        assert_eq!(response.status(), 404, "{id}");
        let answer: Value = serde_json::from_slice(response.body().as_deref().unwrap()).unwrap();
        assert_eq!((&answer["head"]["status"], &answer["body"]), (&json!(404), &json!({})));
    }
    client.subscribe(PATH).await;
    drop(client);
    let mut client = world.open(&used).await;
    client.subscribe(PATH).await;
    let plain = world
        .http
        .get(format!("{}/session/{used}/ws", world.server.url))
        .send()
        .await
        .unwrap();
    assert_eq!(plain.status(), 426);
}
