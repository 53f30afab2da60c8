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
    world
        .ok("alice", &format!("PUT {MEMBERS}"), r#"{"members":{}}"#, 204)
        .await;
}

#[tokio::test]
async fn members_that_cannot_be() {
    let world = with_application().await;
    let many: serde_json::Map<_, _> = (0..=limits::MEMBERS)
        .map(|n| (format!("user-{n}"), json!({"role": "reader"})))
        .collect();
    for (user, call, body, status, says) in [
        ("-", "GET", String::new(), 401, "NotAuthorized"),
        ("bob", "GET", String::new(), 404, "NotFound"),
        ("bob", "PUT", r#"{"members":{}}"#.to_owned(), 404, "NotFound"),
        (
            "alice",
            "PUT",
            r#"{"members":{"nobody":{"role":"reader"}}}"#.to_owned(),
            400,
            "`nobody`",
        ),
        (
            "alice",
            "PUT",
            r#"{"members":{"bob":{"role":"king"}}}"#.to_owned(),
            400,
            "king",
        ),
        ("alice", "PUT", json!({"members": many}).to_string(), 400, "1000"),
        ("alice", "DELETE", String::new(), 405, "MethodNotAllowed"),
    ] {
        let answer = world.ok(user, &format!("{call} {MEMBERS}"), &body, status).await;
        assert!(answer.text.contains(says), "{call}: {}", answer.text);
    }
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
