//! What is too long, too deep or too much: told, or passed over, and harmless.

use serde_json::{Value, json};

use crate::support::{APP, DEVICE, PASSWORD, next_event};
use crate::world::World;

const C: &str = "app.c";

#[tokio::test]
async fn filters_are_bounded() {
    let world = World::new();
    let long = "a".repeat(9_000);
    for (query, code) in [
        (format!("where={long}=1;"), 4000),
        (format!("fields={long}"), 4000),
        (format!("where={}", "a=1;".repeat(5_000)), 4000),
        (format!("fields={}", "a(".repeat(2_000)), 4000),
        (format!("fields=a{}", "/a".repeat(100)), 4000),
        (format!("where=a{}=1;", "[0]".repeat(100)), 4000),
    ] {
        let (found, reason) = world.closed(C, &query).await;
        assert_eq!(found, code, "{}..: {reason}", &query[..20]);
    }
    // A pattern on which engines that try again and again never end.
    let mut socket = world.open(C, "where=s=re:^(a%2Ba%2B)%2Bb$;").await;
    world.publish("c", json!({"s": "a".repeat(10_000)}).to_string()).await;
    world.publish("c", r#"{"s":"aab"}"#).await;
    assert_eq!(next_event(&mut socket).await, json!({"s": "aab"}));
}

#[tokio::test]
async fn a_message_that_is_bad_hurts_nobody() {
    let world = World::new();
    let mut socket = world.open(C, "where=a.b=has:false;").await;
    let mut data = world.open("app.device-data", "fields=attrs/a/b").await;
    let publish = async |content_type: &str, body: String| {
        let answer = world.http.post(format!("{}/v1/c", world.server.url));
        let answer = answer.basic_auth(format!("{DEVICE}@{APP}"), Some(PASSWORD));
        let answer = answer.header("Content-Type", content_type).body(body);
        // It may be refused before all of it was sent.
        answer.send().await.ok().map(|answer| answer.status().as_u16())
    };
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    for (content_type, body, accepted) in [
        ("text/plain", "no JSON".to_owned(), true),
        ("application/octet-stream", "\u{1}{".to_owned(), true),
        ("application/json", "{".to_owned(), false),
        ("application/json", deep(10_000), false),
        ("application/json", format!("\"{}\"", "x".repeat(10_000_000)), false),
    ] {
        let status = publish(content_type, body).await;
        assert_eq!(status == Some(202), accepted, "{content_type}: {status:?}");
    }
    world.publish("c", r#"{"a":{"b":1}}"#).await;
    world.publish("c", r#"{"a":{"c":1}}"#).await;
    assert_eq!(next_event(&mut socket).await, json!({"a": {"c": 1}}));
    let attrs = async |data: &mut _| -> Value { next_event(data).await["attrs"].clone() };
    assert_eq!(attrs(&mut data).await, json!({"a": {"b": 1}}));
}
