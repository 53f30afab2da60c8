//! Keys that are limited, and who may be disabled.

use http::{Request, header};
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use crate::world::{Answer, World};

const KEYS: &str = "/api/tokens/v1alpha1";
const USERS: &str = "/api/admin/v1alpha1/users";
const APPS: &str = "/api/registry/v1alpha1/apps";

/// Makes a key of a user, with these parameters: its prefix, and the user with it.
async fn key(world: &World, user: &str, query: &str) -> (String, String) {
    let made = world.ok(user, &format!("POST {KEYS}?{query}"), "", 200).await.json();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("prefix"), format!("{user}:{}", text("token")))
}

/// Calls with a key, as a bearer token.
async fn call(world: &World, key: &str, call: &str, body: &str) -> Answer {
    let (method, path) = call.split_once(' ').unwrap();
    let request = Request::builder().method(method).uri(path);
    let request = request
        .header(header::AUTHORIZATION, format!("Bearer {key}"))
        .header(header::CONTENT_TYPE, "application/json");
    world.send(request.body(body.to_owned().into()).unwrap()).await
}

async fn world() -> World {
    let world = World::new().await;
    for name in ["one", "two"] {
        let document = json!({"metadata": {"name": name}}).to_string();
        world.ok("alice", &format!("POST {APPS}"), &document, 201).await;
    }
    world
}

/// Calls and their statuses.
async fn check(world: &World, key: &str, calls: &[(&str, &str, u16)]) {
    for (what, body, status) in calls {
        let answer = call(world, key, what, body).await;
        assert_eq!(answer.status, *status, "{what}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_limited_key_does_what_its_scope_says() {
    let world = world().await;
    let device = r#"{"metadata":{"application":"one","name":"d"}}"#;
    let app = r#"{"metadata":{"name":"three"}}"#;
    let (_, reads) = key(&world, "alice", "access=read").await;
    check(
        &world,
        &reads,
        &[
            ("GET /api/registry/v1alpha1/apps/one", "", 200),
            ("GET /api/registry/v1alpha1/apps/one/devices", "", 200),
            ("POST /api/registry/v1alpha1/apps/one/devices", device, 404),
            ("DELETE /api/registry/v1alpha1/apps/one", "", 403),
            ("GET /api/admin/v1alpha1/apps/one/members", "", 404),
            ("POST /api/registry/v1alpha1/apps", app, 403),
            ("POST /api/tokens/v1alpha1", "", 403),
            ("DELETE /api/tokens/v1alpha1/drg_abcdef", "", 403),
            ("GET /api/admin/v1alpha1/user/whoami", "", 200),
        ],
    )
    .await;
    let (_, one) = key(&world, "alice", "applications=one").await;
    check(
        &world,
        &one,
        &[
            ("GET /api/registry/v1alpha1/apps/one", "", 200),
            ("POST /api/registry/v1alpha1/apps/one/devices", device, 201),
            ("GET /api/registry/v1alpha1/apps/two", "", 404),
            ("DELETE /api/registry/v1alpha1/apps/two", "", 404),
            ("POST /api/registry/v1alpha1/apps", app, 403),
            ("POST /api/tokens/v1alpha1", "", 403),
        ],
    )
    .await;
    assert_eq!(call(&world, &one, &format!("GET {APPS}"), "").await.names(), ["one"]);
    // An administrator's limited key is no administrator's.
    let (_, of_admin) = key(&world, "admin", "applications=one").await;
    check(
        &world,
        &of_admin,
        &[
            ("GET /api/registry/v1alpha1/apps/one", "", 200),
            ("GET /api/registry/v1alpha1/apps/two", "", 404),
            ("GET /api/admin/v1alpha1/users", "", 403),
            ("GET /api/tokens/v1alpha1?user=alice", "", 403),
        ],
    )
    .await;
}

#[tokio::test]
async fn keys_are_listed_with_what_limits_them() {
    let world = world().await;
    let expires = Timestamp::now().checked_add(1.hour()).unwrap().to_string();
    let (prefix, limited) = key(
        &world,
        "alice",
        &format!("applications=two,one&access=read&expires={expires}"),
    )
    .await;
    let listed = async || {
        let all = world.ok("alice", &format!("GET {KEYS}"), "", 200).await.json();
        let found = all
            .as_array()
            .unwrap()
            .iter()
            .find(|key| key["prefix"] == prefix.as_str())
            .unwrap();
        found.clone()
    };
    let mut before = listed().await;
    let object = before.as_object_mut().unwrap();
    assert!(object.remove("created").is_some());
    let expected = json!({"prefix": prefix, "applications": ["one", "two"], "access": "read", "expires": expires});
    assert_eq!(before, expected);
    call(&world, &limited, &format!("GET {APPS}"), "").await;
    let used: Timestamp = listed().await["lastUsed"].as_str().unwrap().parse().unwrap();
    assert!(Timestamp::now().duration_since(used).as_secs() < 60);

    for wrong in [
        "expires=soon",
        "expires=2020-01-01T00:00:00Z",
        "applications=",
        "applications=a,,b",
        "applications=UPPER%20case",
        "access=all",
    ] {
        let answer = world.ok("alice", &format!("POST {KEYS}?{wrong}"), "", 400).await;
        assert_eq!(answer.json()["error"], "BadRequest", "{wrong}");
    }
}

/// A key that ends makes none that goes on.
#[tokio::test]
async fn a_key_makes_none_that_outlives_it() {
    let world = world().await;
    let expires = Timestamp::now().checked_add(1.hour()).unwrap();
    let (_, short) = key(&world, "alice", &format!("expires={expires}")).await;
    for later in ["", "?expires=2999-01-01T00:00:00Z"] {
        let made = call(&world, &short, &format!("POST {KEYS}{later}"), "").await.json();
        let all = world.ok("alice", &format!("GET {KEYS}"), "", 200).await.json();
        let made = all
            .as_array()
            .unwrap()
            .iter()
            .find(|key| key["prefix"] == made["prefix"])
            .unwrap();
        assert_eq!(made["expires"], expires.to_string());
    }
}

#[tokio::test]
async fn keys_and_users_are_disabled_and_enabled() {
    let world = world().await;
    let (prefix, of_alice) = key(&world, "alice", "").await;
    let path = format!("PUT {KEYS}/{prefix}");
    let whoami = async || call(&world, &of_alice, "GET /api/admin/v1alpha1/user/whoami", "").await;
    world.ok("bob", &path, r#"{"disabled":true}"#, 404).await;
    for (body, status, text) in [
        (r#"{"disabled":true}"#, 401, "the access key is disabled"),
        (r#"{"disabled":false}"#, 200, "alice"),
    ] {
        world.ok("alice", &path, body, 204).await;
        let answer = whoami().await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert!(answer.text.contains(text), "{}", answer.text);
    }
    world.ok("alice", &path, "{}", 400).await;
    world
        .ok("alice", &format!("PUT {KEYS}/drg_abcdef"), r#"{"disabled":true}"#, 404)
        .await;

    let user = format!("PUT {USERS}/alice");
    world.ok("bob", &user, r#"{"disabled":true}"#, 403).await;
    world.ok("admin", &user, r#"{"disabled":true}"#, 204).await;
    let answer = whoami().await;
    assert_eq!(answer.status, 401);
    assert!(answer.text.contains("the user is disabled"), "{}", answer.text);
    world
        .ok("admin", &format!("PUT {USERS}/admin"), r#"{"disabled":true}"#, 409)
        .await;
    world
        .ok("admin", &format!("PUT {USERS}/nobody"), r#"{"disabled":true}"#, 404)
        .await;
    let listed = world.ok("admin", &format!("GET {USERS}"), "", 200).await.json();
    let expected = json!([{"name": "admin", "admin": true}, {"name": "alice", "disabled": true}, {"name": "bob"}]);
    assert_eq!(listed, expected);
    let page = world
        .ok("admin", &format!("GET {USERS}?offset=1&limit=1"), "", 200)
        .await
        .json();
    assert_eq!(page.as_array().map(Vec::len), Some(1));
    assert_eq!(page[0]["name"], Value::from("alice"));
    world.ok("admin", &user, r#"{"disabled":false}"#, 204).await;
    assert_eq!(whoami().await.status, 200);
}
