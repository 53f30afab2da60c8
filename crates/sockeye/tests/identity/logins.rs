//! Who gets in with what, and what others are told.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sockeye_parts::websocat;
use tokio_tungstenite::tungstenite::{self, Error};

use crate::support::{APP, PATIENCE, Server, next_event, numbered};
use crate::world::World;

const WHO_AM_I: &str = "/api/admin/v1alpha1/user/whoami";

/// Status and JSON body of a refusal.
fn refused(outcome: tungstenite::Result<crate::support::Socket>) -> (u16, Value) {
    match outcome {
        Err(Error::Http(answer)) => {
            let body = answer.body().as_deref().unwrap_or_default();
            (answer.status().as_u16(), serde_json::from_slice(body).unwrap())
        }
        Ok(_) => panic!("it opened"),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn tokens_open_streams_and_call_the_api() {
    let Some(world) = World::new("logins", 60).await else {
        return;
    };
    let World { server, .. } = &world;
    let token = world.token("alice").await;
    let bearer = format!("Bearer {token}");
    let http = crate::support::http();
    for (path, authorization) in [
        (APP.to_owned(), Some(&*bearer)),
        (format!("{APP}/c"), Some(&*bearer)),
        (format!("{APP}?token={token}"), None),
    ] {
        let mut socket = server.connect(&path, authorization).await.unwrap();
        assert_eq!(server.publish(&http, "c", &numbered(1)).await.unwrap(), 202);
        assert_eq!(next_event(&mut socket).await["data"]["number"], 1);
    }
    assert_eq!(
        world.call(Method::GET, WHO_AM_I, &bearer, &Value::Null).await,
        (200, json!({"id": "alice"}))
    );

    // A member is a reader here, and no more; who is no member does not learn whether it is there.
    let apps = "/api/registry/v1alpha1/apps";
    let app = format!("{apps}/{APP}");
    assert_eq!(world.call(Method::GET, &app, &bearer, &Value::Null).await.0, 200);
    assert_eq!(world.call(Method::DELETE, &app, &bearer, &Value::Null).await.0, 403);
    let bob = format!("Bearer {}", world.token("bob").await);
    for name in [APP, "unknown"] {
        let (status, body) = refused(server.connect(name, Some(&bob)).await);
        let expected = json!({"error": "NotFound", "message": format!("Resource not found: Application / {name}")});
        assert_eq!((status, body), (404, expected));
    }
    assert_eq!(
        world.call(Method::GET, apps, &bob, &Value::Null).await,
        (200, json!([]))
    );
    // A role of the provider makes an administrator.
    let carol = format!("Bearer {}", world.token("carol").await);
    server.connect(APP, Some(&carol)).await.unwrap();
    assert_eq!(world.call(Method::GET, &app, &carol, &Value::Null).await.0, 200);
    // A public application is everybody's, with and without a login (the defect 19 of compat/drogue.md section 9).
    world.set_members(&[""]).await;
    for authorization in [None, Some(&*bob)] {
        server.connect(APP, authorization).await.unwrap();
    }
}

/// A user of the provider has access keys, which outlive tokens, and are no administrator's whatever the role.
#[tokio::test]
async fn users_of_a_provider_make_keys() {
    let Some(world) = World::new("keys", 60).await else {
        return;
    };
    let bearer = format!("Bearer {}", world.token("carol").await);
    let (status, made) = world
        .call(
            Method::POST,
            "/api/tokens/v1alpha1?description=d",
            &bearer,
            &Value::Null,
        )
        .await;
    assert_eq!(status, 200, "{made}");
    let key = format!("Bearer carol:{}", made["token"].as_str().unwrap());
    assert_eq!(
        world.call(Method::GET, WHO_AM_I, &key, &Value::Null).await,
        (200, json!({"id": "carol"}))
    );
    assert_eq!(refused(world.server.connect(APP, Some(&key)).await).0, 404);
}

/// All kinds of keys that Keycloak signs with.
#[tokio::test]
async fn every_algorithm_of_keycloak_is_verified() {
    let Some(world) = World::new("algorithms", 60).await else {
        return;
    };
    for algorithm in ["RS256", "RS512", "PS256", "PS384", "ES256", "ES384", "EdDSA"] {
        world.realm.sign_with(algorithm).await.unwrap();
        let bearer = format!("Bearer {}", world.token("alice").await);
        let (status, body) = world.call(Method::GET, WHO_AM_I, &bearer, &Value::Null).await;
        assert_eq!(status, 200, "{algorithm}: {body}");
    }
}

#[tokio::test]
async fn wrong_credentials_are_told_with_the_body_of_the_original() {
    let Some(world) = World::new("refusals", 60).await else {
        return;
    };
    let server = &world.server;
    let good = world.token("alice").await;
    let bearer = format!("Bearer {good}");
    let other = sockeye_parts::keycloak::shared()
        .unwrap()
        .unwrap()
        .realm("elsewhere")
        .await
        .unwrap();
    let foreign = format!("Bearer {}", other.login("alice").await.unwrap().access);
    // Regression: a character that happened to be there already made no other token, and no other key.
    let instead_of = |old: &str| if old == "x" { "y" } else { "x" };
    let (start, last) = good.split_at(good.len() - 5);
    let changed = format!("Bearer {start}{}{}", instead_of(&last[..1]), &last[1..]);
    let (name, key) = world.eve.split_once(':').unwrap();
    let (start, last) = key.split_at(key.len() - 1);
    let checksum = format!("Bearer {name}:{start}{}", instead_of(last));
    for (what, path, authorization, status) in [
        ("another issuer", APP.to_owned(), Some(&*foreign), 401),
        ("changed", APP.to_owned(), Some(&*changed), 401),
        ("truncated", APP.to_owned(), Some(&bearer[..60]), 401),
        ("no token", APP.to_owned(), Some("Bearer x"), 401),
        ("in the query", format!("{APP}?token=x"), None, 401),
        (
            "long",
            APP.to_owned(),
            Some(&*format!("Bearer {}", "x".repeat(20_000))),
            401,
        ),
        ("wrong checksum", APP.to_owned(), Some(&*checksum), 401),
        ("two kinds", format!("{APP}?token={good}"), Some(&*bearer), 400),
        (
            "two kinds",
            format!("{APP}?token={good}&username={name}&api_key={key}"),
            None,
            400,
        ),
    ] {
        let (told, body) = refused(server.connect(&path, authorization).await);
        assert_eq!(told, status, "{what}: {body}");
        let words = if status == 401 { "Unauthorized" } else { "BadRequest" };
        assert_eq!(body["error"], words, "{what}");
        assert!(
            body["message"].as_str().is_some_and(|text| !text.is_empty()),
            "{what}: {body}"
        );
        assert!(!body.to_string().contains(&good[20..60]), "{what}: {body}");
        if let Some(authorization) = authorization.filter(|_| status == 401) {
            let (told, body) = world.call(Method::GET, WHO_AM_I, authorization, &Value::Null).await;
            assert_eq!((told, &body["error"]), (401, &"NotAuthorized".into()), "{what}");
        }
    }
    // Over the head of a request.
    let long = format!("Bearer {}", "x".repeat(100_000));
    let (told, body) = refused(server.connect(APP, Some(&long)).await);
    assert_eq!(
        (told, &body["error"]),
        (431, &"RequestHeaderFieldsTooLarge".into()),
        "{body}"
    );
}

/// The client that people have, with every way in which it can show who it is.
#[tokio::test]
async fn websocat_authenticates_in_every_way() {
    let Some(websocat) = websocat::path().unwrap() else {
        return;
    };
    let Some(world) = World::new("websocat", 60).await else {
        return;
    };
    let token = world.token("alice").await;
    let url = format!("{}/{APP}", world.server.url.replacen("http", "ws", 1));
    let (name, key) = world.eve.split_once(':').unwrap();
    for words in [
        vec![url.clone(), format!("-H=Authorization: Bearer {token}")],
        vec![format!("{url}?token={token}")],
        vec![url.clone(), format!("--basic-auth={}", world.eve)],
        vec![url.clone(), format!("-H=Authorization: Bearer {}", world.eve)],
        vec![format!("{url}?username={name}&api_key={key}")],
        vec![format!("{url}?token={}", world.eve)],
    ] {
        prints_events(&websocat, &words, &world.server).await;
    }
    world.set_members(&[""]).await;
    prints_events(&websocat, &[url], &world.server).await;
}

async fn prints_events(websocat: &std::path::Path, words: &[String], server: &Server) {
    let mut command = std::process::Command::new(websocat);
    command.args(["--no-close", "-U"]).args(words);
    let mut client = sockeye_parts::process::Process::spawn(&mut command).unwrap();
    let mut line =
        tokio::task::spawn_blocking(move || client.wait_line(PATIENCE, |line| line.contains("\"specversion\"")));
    let http = crate::support::http();
    // Nobody tells when it is connected: events come until one is printed.
    let line = loop {
        assert_eq!(server.publish(&http, "c", &numbered(1)).await.unwrap(), 202);
        if let Ok(line) = tokio::time::timeout(Duration::from_millis(50), &mut line).await {
            break line.unwrap().unwrap();
        }
    };
    assert!(line.contains(r#""number":1"#), "{line}");
}
