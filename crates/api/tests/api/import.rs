//! Users of another system, with the hashes of their keys (ours; compat/drogue.md 3.2).

use crate::world::World;
use serde_json::{Value, json};

const USERS: &str = "POST /api/admin/v1alpha1/users";
/// Of the test vector.
const HASH: &str = "d08a9d562a28816d47c875fc34223031b31e3e8a311244ba41cda71497a32315c20293e41a044b32688b2b4bcff960f38e19144001b235888d3ce039053e5962";

fn with_key(more: &Value) -> String {
    let mut key = json!({"prefix": "drg_012345", "hash": HASH, "created": "2023-05-17T12:00:00Z"});
    key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"name": "jane", "key": key}).to_string()
}

#[tokio::test]
async fn what_is_imported_once_is_there() {
    let world = World::new().await;
    let identity = |subject: &str| json!({"issuer": "https://sso.example.com/realms/drogue", "subject": subject});
    let other = json!({"hash": HASH.replace('d', "e")});
    let scope = json!({"prefix": "drg_abcdef", "applications": ["a"], "readOnly": true, "description": "x"});
    for (user, body, status, says) in [
        ("alice", r#"{"name":"jane"}"#.to_owned(), 403, "Not authorized"),
        ("admin", r#"{"name":"jane"}"#.to_owned(), 201, ""),
        ("admin", r#"{"name":"jane"}"#.to_owned(), 200, ""),
        ("admin", with_key(&json!({})), 201, ""),
        ("admin", with_key(&json!({})), 200, ""),
        ("admin", with_key(&other), 409, "there is another key `drg_012345`"),
        ("admin", with_key(&scope), 201, ""),
        (
            "admin",
            json!({"name": "joe", "identity": identity("1")}).to_string(),
            201,
            "",
        ),
        (
            "admin",
            json!({"name": "joe", "identity": identity("1")}).to_string(),
            200,
            "",
        ),
        (
            "admin",
            json!({"name": "joe", "identity": identity("2")}).to_string(),
            409,
            "the user name `joe` is taken by somebody else",
        ),
        ("admin", r#"{"name":"a:b"}"#.to_owned(), 400, "`name`"),
        ("admin", r#"{"name":"x","colour":1}"#.to_owned(), 400, "colour"),
        ("admin", with_key(&json!({"prefix": "drg_1"})), 400, "`key.prefix`"),
        ("admin", with_key(&json!({"hash": "ab"})), 400, "`key.hash`"),
        ("admin", with_key(&json!({"created": "soon"})), 400, "`key.created`"),
        (
            "admin",
            with_key(&json!({"applications": ["A"]})),
            400,
            "`key.applications`",
        ),
    ] {
        let answer = world.call(user, USERS, &body).await;
        assert_eq!(answer.status, status, "{user} {body}: {}", answer.text);
        assert!(answer.text.contains(says), "{user} {body}: {}", answer.text);
    }
    let keys = world
        .call("admin", "GET /api/tokens/v1alpha1?user=jane", "")
        .await
        .json();
    let prefixes: Vec<_> = keys.as_array().unwrap().iter().map(|key| &key["prefix"]).collect();
    assert_eq!(prefixes, ["drg_012345", "drg_abcdef"]);
    assert_eq!(
        (&keys[1]["applications"], &keys[1]["access"]),
        (&json!(["a"]), &json!("read"))
    );
    let joe = world.registry.user("joe").await.unwrap().unwrap();
    assert_eq!(joe.identity.unwrap().subject, "1");
}
