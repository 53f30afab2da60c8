//! Applications and devices (compat/drogue.md 4.1, 4.2) on a real engine.

use crate::cases::furnished;
use crate::world::World;
use http::Request;
use serde_json::json;
use sockeye_event::Headers;
use sockeye_limits as limits;
use sockeye_log::{NewRecord, Retention, Topic};

const APPS: &str = "/api/registry/v1alpha1/apps";

#[tokio::test]
async fn a_fresh_application_reads_back_with_the_documented_keys() {
    let world = World::new().await;
    // What drg sends.
    let body = r#"{"metadata":{"name":"fresh","creationTimestamp":"2023-05-17T12:46:34Z","generation":0}}"#;
    let created = world.ok("alice", &format!("POST {APPS}"), body, 201).await;
    assert_eq!(
        (&*created.text, created.headers["location"].to_str().unwrap()),
        ("", "/api/registry/v1alpha1/apps/fresh")
    );
    let read = world.ok("alice", &format!("GET {APPS}/fresh"), "", 200).await.json();
    let mut keys: Vec<_> = read["metadata"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        ["creationTimestamp", "generation", "name", "resourceVersion", "uid"]
    );
    assert_eq!(read.as_object().unwrap().len(), 2, "no spec: {read}");
    // What the operator of the original adds a moment later, and its tools wait for.
    let since = &read["metadata"]["creationTimestamp"];
    let is_true = |name: &str| json!({"type": name, "status": "True", "lastTransitionTime": since});
    assert_eq!(
        read["status"],
        json!({"conditions": [is_true("Ready"), is_true("KafkaReady")]})
    );
    assert_ne!(read["metadata"]["creationTimestamp"], "2023-05-17T12:46:34Z");
}

/// Defect 27: a PUT without `status` took `KafkaReady` away, and events were refused.
#[tokio::test]
async fn conditions_survive_a_put_without_them() {
    let world = furnished().await;
    let path = format!("{APPS}/mine");
    let before = world.ok("alice", &format!("GET {path}"), "", 200).await.json();
    for status in [
        json!(null),
        json!({}),
        json!({"conditions": [{"type": "Ready", "status": "False"}]}),
    ] {
        let mut wanted = json!({"metadata": {"name": "mine", "labels": {"a": "1"}}});
        if !status.is_null() {
            wanted["status"] = status;
        }
        world
            .ok("alice", &format!("PUT {path}"), &wanted.to_string(), 204)
            .await;
        let after = world.ok("alice", &format!("GET {path}"), "", 200).await.json();
        assert_eq!(after["status"], before["status"]);
        assert_eq!(after["metadata"]["labels"], json!({"a": "1"}));
    }
}

#[tokio::test]
async fn what_was_read_can_be_put_back_until_somebody_else_changes_it() {
    let world = furnished().await;
    for path in [format!("{APPS}/mine"), format!("{APPS}/mine/devices/d")] {
        let mut read = world.ok("alice", &format!("GET {path}"), "", 200).await.json();
        read["metadata"]["labels"] = json!({"color": "red"});
        world.ok("alice", &format!("PUT {path}"), &read.to_string(), 204).await;
        let again = world.ok("alice", &format!("GET {path}"), "", 200).await.json();
        assert_eq!(again["metadata"]["labels"], json!({"color": "red"}));
        assert_ne!(
            again["metadata"]["resourceVersion"],
            read["metadata"]["resourceVersion"]
        );
        world.ok("alice", &format!("PUT {path}"), &read.to_string(), 409).await;
    }
}

#[tokio::test]
async fn credentials_of_devices_are_for_those_who_may_change_them() {
    let world = furnished().await;
    for (user, app, shown) in [
        ("alice", "mine", true),
        ("admin", "mine", true),
        ("bob", "mine", false),
        ("bob", "open", false),
    ] {
        for path in ["devices/d", "devices"] {
            let text = world.ok(user, &format!("GET {APPS}/{app}/{path}"), "", 200).await.text;
            assert_eq!(text.contains("s3cret"), shown, "{user} {app} {path}: {text}");
        }
    }
}

#[tokio::test]
async fn lists_hold_what_the_caller_may_read() {
    let world = furnished().await;
    for (user, query, names) in [
        ("alice", "", vec!["mine", "open"]),
        ("bob", "", vec!["mine", "open"]),
        ("admin", "", vec!["mine", "open", "theirs"]),
        ("admin", "?limit=1&offset=1", vec!["open"]),
        ("admin", "?limit=0", vec![]),
        ("admin", "?offset=3", vec![]),
        ("bob", "?offset=1", vec!["open"]),
    ] {
        let answer = world.ok(user, &format!("GET {APPS}{query}"), "", 200).await;
        assert_eq!(answer.names(), names, "{user} {query}");
        assert_eq!(answer.headers["content-type"], "application/json");
    }
}

#[tokio::test]
async fn a_long_list_is_whole_and_sorted() {
    let world = furnished().await;
    let mut names: Vec<String> = (0..=2 * limits::REGISTRY_LIST_STEP)
        .map(|n| format!("device-{n}"))
        .collect();
    for (n, name) in names.iter().enumerate() {
        let body = json!({"metadata": {"name": name, "labels": {"third": (n % 3).to_string()}}});
        world
            .ok("admin", &format!("POST {APPS}/theirs/devices"), &body.to_string(), 201)
            .await;
    }
    let thirds = names
        .iter()
        .enumerate()
        .filter(|(n, _)| n % 3 == 1)
        .map(|(_, name)| name.clone());
    let mut thirds: Vec<String> = thirds.collect();
    names.sort();
    thirds.sort();
    let list = async |query: &str| {
        world
            .ok("admin", &format!("GET {APPS}/theirs/devices{query}"), "", 200)
            .await
            .names()
    };
    assert_eq!(list("").await, names);
    assert_eq!(list("?offset=99&limit=3").await, names[99..102]);
    assert_eq!(list("?labels=third%3D1").await, thirds);
    assert_eq!(list("?labels=third%20in%20(1)&offset=60").await, thirds[60..]);
}

#[tokio::test]
async fn a_new_application_never_sees_the_events_of_a_namesake() {
    let world = furnished().await;
    let topic = Topic::events_of("mine");
    let before = world.log.span(&topic).await.unwrap();
    let record = NewRecord {
        headers: Headers::default(),
        payload: None,
    };
    world.log.append(&topic, vec![record.clone()]).await.unwrap();
    let dead_letters = Topic::dead_letters_of("mine");
    world
        .log
        .create_topic(&dead_letters, Retention::default())
        .await
        .unwrap();
    world.log.append(&dead_letters, vec![record]).await.unwrap();
    let refused = r#"{"preconditions":{"uid":"6a2ba2d6-5e9d-4b25-8a4e-0d5f0a3c8b7e"}}"#;
    world.ok("alice", &format!("DELETE {APPS}/mine"), refused, 409).await;
    assert_ne!(
        world.log.span(&topic).await.unwrap().end,
        before.end,
        "a refused deletion costs no event"
    );

    world.ok("alice", &format!("DELETE {APPS}/mine"), "", 204).await;
    assert!(world.log.span(&topic).await.is_err());
    assert!(world.log.span(&dead_letters).await.is_err());
    world
        .ok("bob", &format!("POST {APPS}"), r#"{"metadata":{"name":"mine"}}"#, 201)
        .await;
    let after = world.log.span(&topic).await.unwrap();
    assert_eq!(after.oldest, after.end);
    assert_ne!(after.end.incarnation(), before.end.incarnation());
}

/// Whose events are there already, only an administrator can know.
#[tokio::test]
async fn only_an_administrator_adopts_events() {
    let world = World::new().await;
    let body = r#"{"metadata":{"name":"found"}}"#;
    for (user, query, status) in [
        ("alice", "adopt=true", 403),
        ("admin", "adopt=perhaps", 400),
        ("admin", "adopt=true", 201),
        ("admin", "adopt=true", 409),
    ] {
        world.ok(user, &format!("POST {APPS}?{query}"), body, status).await;
    }
}

#[tokio::test]
async fn documents_must_be_declared_as_json() {
    let world = World::new().await;
    for (content_type, status) in [
        (Some("application/json; charset=utf-8"), 201),
        (Some("text/plain"), 415),
        (Some("application/x-www-form-urlencoded"), 415),
        (None, 415),
    ] {
        let mut request = Request::post(APPS).header("authorization", world.authorization("alice"));
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let answer = world
            .send(request.body(r#"{"metadata":{"name":"a"}}"#.into()).unwrap())
            .await;
        assert_eq!(answer.status, status, "{content_type:?}: {}", answer.text);
    }
}
