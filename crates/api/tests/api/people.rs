//! Members, access keys, `whoami`, and wrong credentials (compat/drogue.md 3.2, 4.4) on a real engine.

use crate::world::World;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use serde_json::json;
use sockeye_limits as limits;

const KEYS: &str = "/api/tokens/v1alpha1";
const MEMBERS: &str = "/api/admin/v1alpha1/apps/a/members";
const WHOAMI: &str = "/api/admin/v1alpha1/user/whoami";

async fn with_application() -> World {
    let world = World::new().await;
    world
        .ok(
            "alice",
            "POST /api/registry/v1alpha1/apps",
            r#"{"metadata":{"name":"a"}}"#,
            201,
        )
        .await;
    world
}

/// Defect 22: members were stored without a new `resourceVersion`, so that of two who changed them at the same time one lost his
/// change; and who may not know heard of the version before he heard that he may not.
#[tokio::test]
async fn members_are_read_and_replaced_under_a_lock() {
    let world = with_application().await;
    let mut read = world.ok("alice", &format!("GET {MEMBERS}"), "", 200).await.json();
    assert_eq!(read["members"], json!({}));
    read["members"] = json!({"bob": {"role": "manager"}, "": {"role": "reader"}});
    world
        .ok("alice", &format!("PUT {MEMBERS}"), &read.to_string(), 204)
        .await;
    let again = world.ok("alice", &format!("GET {MEMBERS}"), "", 200).await.json();
    assert_eq!(again["members"], read["members"]);
    assert_ne!(
        again["resourceVersion"], read["resourceVersion"],
        "the lock notices edits of members"
    );

    let stale = world
        .ok("alice", &format!("PUT {MEMBERS}"), &read.to_string(), 409)
        .await;
    assert_eq!(stale.json()["error"], "OptimisticLockFailed");
    let stranger = world.ok("bob", &format!("PUT {MEMBERS}"), &read.to_string(), 404).await;
    assert_eq!(stranger.json()["error"], "NotFound");
    // Who has read the document notices too.
    let app = "/api/registry/v1alpha1/apps/a";
    let mut document = world.ok("alice", &format!("GET {app}"), "", 200).await.json();
    document["metadata"]["resourceVersion"] = read["resourceVersion"].clone();
    world
        .ok("alice", &format!("PUT {app}"), &document.to_string(), 409)
        .await;
    world
        .ok("alice", &format!("PUT {MEMBERS}"), r#"{"members":{}}"#, 204)
        .await;
}

/// Defect 21: an anonymous `accept-ownership` compared nobody with nobody, and made the application everybody's; and whoever made one
/// without credentials made it so.
#[tokio::test]
async fn nobody_is_no_heir() {
    let world = with_application().await;
    let owner = async || world.registry.application("a").await.unwrap().unwrap().owner;
    let path = "PUT /api/admin/v1alpha1/apps/a/accept-ownership";
    for who in ["-", "bob", "alice", "admin"] {
        let status = if who == "-" { 401 } else { 404 };
        world.ok(who, path, "", status).await;
        assert_eq!(owner().await, "alice", "{who}");
    }
    let make = "POST /api/registry/v1alpha1/apps";
    world.ok("-", make, r#"{"metadata":{"name":"b"}}"#, 401).await;
    assert_eq!(world.registry.application("b").await.unwrap(), None);
}

/// An offer is to the user, not to what a key of his was made for.
#[tokio::test]
async fn a_limited_key_takes_no_application_over() {
    let world = with_application().await;
    let transfer = "/api/admin/v1alpha1/apps/a/transfer-ownership";
    world
        .ok("alice", &format!("PUT {transfer}"), r#"{"newUser":"bob"}"#, 202)
        .await;
    let made = world
        .ok("bob", &format!("POST {KEYS}?access=read"), "", 200)
        .await
        .json();
    let basic = STANDARD.encode(format!("bob:{}", made["token"].as_str().unwrap()));
    let accept = transfer.replace("transfer", "accept");
    for (method, path, status) in [("GET", transfer, 404), ("DELETE", transfer, 404), ("PUT", &accept, 403)] {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("authorization", format!("Basic {basic}"));
        let answer = world.send(request.body("".into()).unwrap()).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
    }
    world.ok("bob", &format!("PUT {accept}"), "", 204).await;
}

#[tokio::test]
async fn a_key_is_shown_once_works_and_is_deleted() {
    let world = World::new().await;
    let made = world
        .ok("alice", &format!("POST {KEYS}?description=my%20laptop"), "", 200)
        .await
        .json();
    let (prefix, token) = (made["prefix"].as_str().unwrap(), made["token"].as_str().unwrap());
    assert!(token.starts_with(prefix) && token.len() > 40, "{made}");

    let listed = world.ok("alice", &format!("GET {KEYS}"), "", 200).await;
    assert!(!listed.text.contains(token), "a key is shown once");
    let listed = listed.json();
    assert_eq!(
        (&listed[1]["prefix"], &listed[1]["description"]),
        (&json!(prefix), &json!("my laptop"))
    );
    assert!(
        listed[0].get("description").is_none() && listed[0]["created"].is_string(),
        "{listed}"
    );

    let who = async || {
        let basic = STANDARD.encode(format!("alice:{token}"));
        let request = Request::get(WHOAMI).header("authorization", format!("Basic {basic}"));
        world.send(request.body("".into()).unwrap()).await
    };
    assert_eq!(who().await.json(), json!({"id": "alice"}));
    // Not bob's to delete; nobody learns that it is there.
    world.ok("bob", &format!("DELETE {KEYS}/{prefix}"), "", 204).await;
    assert_eq!(who().await.status, 200);
    world.ok("alice", &format!("DELETE {KEYS}/{prefix}"), "", 204).await;
    world.ok("alice", &format!("DELETE {KEYS}/{prefix}"), "", 204).await;
    assert_eq!(who().await.status, 401);
}

#[tokio::test]
async fn an_administrator_makes_users_by_their_first_key() {
    let world = with_application().await;
    let made = world
        .ok("admin", &format!("POST {KEYS}?user=carol"), "", 200)
        .await
        .json();
    let listed = world
        .ok("admin", &format!("GET {KEYS}?user=carol"), "", 200)
        .await
        .json();
    assert_eq!(listed[0]["prefix"], made["prefix"]);
    world
        .ok(
            "alice",
            &format!("PUT {MEMBERS}"),
            r#"{"members":{"carol":{"role":"reader"}}}"#,
            204,
        )
        .await;
    world
        .ok(
            "admin",
            &format!("DELETE {KEYS}/{}", made["prefix"].as_str().unwrap()),
            "",
            204,
        )
        .await;
    assert_eq!(
        world
            .ok("admin", &format!("GET {KEYS}?user=carol"), "", 200)
            .await
            .json(),
        json!([])
    );
}

#[tokio::test]
async fn keys_that_cannot_be() {
    let world = World::new().await;
    let long = format!("POST {KEYS}?description={}", "x".repeat(limits::KEY_DESCRIPTION + 1));
    let longer_user = format!("POST {KEYS}?user={}", "x".repeat(limits::USER_NAME + 1));
    for (user, call, status) in [
        ("-", format!("GET {KEYS}"), 401),
        ("-", format!("POST {KEYS}"), 401),
        ("-", format!("DELETE {KEYS}/drg_abcdef"), 401),
        ("bob", format!("POST {KEYS}?user=alice"), 403),
        ("bob", format!("GET {KEYS}?user=alice"), 403),
        ("bob", format!("POST {KEYS}?user=bob"), 200),
        ("bob", long, 400),
        ("admin", longer_user, 400),
        ("admin", format!("POST {KEYS}?user=a:b"), 400),
        ("admin", format!("POST {KEYS}?user="), 400),
        ("bob", format!("POST {KEYS}?user=a&user=b"), 400),
    ] {
        world.ok(user, &call, "", status).await;
    }
    assert!(world.registry.user("a:b").await.unwrap().is_none());
}

#[tokio::test]
async fn who_is_calling() {
    let world = World::new().await;
    assert_eq!(
        world.ok("-", &format!("GET {WHOAMI}"), "", 200).await.json(),
        json!({"id": null})
    );
    assert_eq!(
        world.ok("bob", &format!("GET {WHOAMI}"), "", 200).await.json(),
        json!({"id": "bob"})
    );
}

#[tokio::test]
async fn wrong_credentials_are_never_anonymous() {
    let world = World::new().await;
    let alice = world.authorization("alice");
    let wrong = STANDARD.encode("alice:drg_012345_01234567890123456789012345678920BetF");
    for authorization in [
        format!("Basic {wrong}"),
        "Basic !".to_owned(),
        "Basic".to_owned(),
        "Digest x".to_owned(),
        "Bearer eyJhbGciOiJub25lIn0.e30.".to_owned(),
        alice.replace("Basic ", "Basic x"),
    ] {
        for path in [WHOAMI, KEYS] {
            let request = Request::get(path).header("authorization", &authorization);
            let answer = world.send(request.body("".into()).unwrap()).await;
            assert_eq!(answer.status, 401, "{authorization} {path}: {}", answer.text);
            assert!(answer.headers.contains_key("www-authenticate"));
        }
    }
    let request = Request::get(WHOAMI).header("authorization", alice.replace("Basic", "bAsIc"));
    assert_eq!(
        world.send(request.body("".into()).unwrap()).await.json(),
        json!({"id": "alice"})
    );
}
