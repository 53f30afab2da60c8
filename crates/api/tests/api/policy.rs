//! What an application wants of its events is checked when it is stored.

use std::time::{Duration, Instant};

use crate::engines;
use crate::world::World;
use serde_json::{Value, json};
use sockeye_event::Headers;
use sockeye_log::{NewRecord, Topic};

/// Nothing that is waited for here takes longer on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

const APPS: &str = "/api/registry/v1alpha1/apps";

#[tokio::test]
async fn what_nobody_would_obey_is_not_stored() {
    let world = World::new().await;
    let application = |name: &str, spec: &Value| json!({"metadata": {"name": name}, "spec": spec}).to_string();
    let steps = |steps: Value| json!({"publish": {"rules": [{"when": {"isChannel": "a"}, "then": steps}]}});
    let obeyed = steps(json!(["drop"]));
    world
        .ok("alice", &format!("POST {APPS}"), &application("app", &obeyed), 201)
        .await;
    for (spec, says) in [
        (
            steps(json!(["break", {"validate": {"endpoint": {"url": "https://example.com"}}}])),
            "`spec.publish.rules[0].then[1].validate` is not supported",
        ),
        (
            steps(json!([{"enrich": {"endpoint": {"url": "https://example.com"}}}])),
            "`spec.publish.rules[0].then[0].enrich` is not supported",
        ),
        (
            steps(json!([{"explode": 1}])),
            "`spec.publish.rules[0].then[0].explode` is not known",
        ),
        (
            json!({"quota": {"events": 0}}),
            "`spec.quota.events` must be how many a second",
        ),
        (
            json!({"retention": {"age": "soon"}}),
            "`spec.retention.age` must be a duration",
        ),
        (json!({"publish": 7}), "`spec.publish` must be an object"),
    ] {
        for (call, name) in [("POST ", "other"), ("PUT /app", "app")] {
            let (method, path) = call.split_once(' ').unwrap();
            let answer = world
                .call("alice", &format!("{method} {APPS}{path}"), &application(name, &spec))
                .await;
            assert_eq!(answer.status, 400, "{call} {}", answer.text);
            let error = answer.json();
            assert_eq!(error["error"], "BadRequest");
            assert!(error["message"].as_str().unwrap().contains(says), "{}", answer.text);
        }
    }
    let stored = world.call("alice", &format!("GET {APPS}/app"), "").await.json();
    assert_eq!(stored["spec"], obeyed, "a refused change changes nothing");
    assert_eq!(world.call("alice", &format!("GET {APPS}/other"), "").await.status, 404);
}

#[tokio::test]
async fn retention_of_an_application_holds_for_its_log_at_once() {
    if engines::are_elsewhere() {
        return; // Kafka does it itself, and in its own time
    }
    let world = World::new().await;
    let with = |spec: &Value| json!({"metadata": {"name": "app"}, "spec": spec}).to_string();
    let small = json!({"retention": {"bytes": "1MiB"}});
    let topic = Topic::events_of("app");
    world.ok("alice", &format!("POST {APPS}"), &with(&small), 201).await;
    let append = async |records: usize| {
        for _ in 0..records {
            let record = NewRecord {
                headers: Headers::default(),
                payload: Some(vec![0; 64 * 1024].into()),
            };
            world.log.append(&topic, vec![record]).await.unwrap();
        }
    };
    let oldest = async || world.log.span(&topic).await.unwrap().oldest;
    let first = oldest().await;
    append(100).await;
    let deadline = Instant::now() + PATIENCE;
    while oldest().await == first {
        assert!(Instant::now() < deadline, "nothing was removed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // As the server is configured: a gigabyte.
    let put = format!("PUT {APPS}/app");
    world.ok("alice", &put, &with(&json!({})), 204).await;
    let kept = oldest().await;
    append(100).await;
    world.log.probe().await.unwrap();
    assert_eq!(oldest().await, kept, "nothing is removed any more");
    world.ok("alice", &put, &with(&small), 204).await;
    while oldest().await == kept {
        assert!(Instant::now() < deadline, "nothing was removed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
