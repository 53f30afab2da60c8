//! What an application wants of its events is checked when it is stored.

use crate::world::World;
use serde_json::{Value, json};

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
