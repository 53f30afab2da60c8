//! CloudEvents as JSON, one and in batches.

use crate::world::{Answer, D, World};
use serde_json::{Value, json};
use sockeye_limits as limits;

const ONE: [(&str, &str); 1] = [("content-type", "application/cloudevents+json; charset=utf-8")];
const BATCH: [(&str, &str); 1] = [("Content-Type", "Application/CloudEvents-Batch+JSON")];

/// An event, with more attributes or other ones.
#[allow(clippy::needless_pass_by_value, reason = "callers write `json!` in place")]
fn event(id: &str, more: Value) -> Value {
    let mut event = json!({"specversion": "1.0", "id": id, "source": "s", "type": "t", "data": {"n": 1}});
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

async fn send(world: &World, headers: &[(&str, &str)], body: &Value) -> Answer {
    world.publish("/v1/temp", D, headers, body.to_string()).await
}

#[tokio::test]
async fn a_device_chooses_id_time_and_its_own_extensions() {
    let world = World::new().await;
    let own = json!({
        "time": "2024-01-02T03:04:05.123456789+01:00", "subject": "other", "dataschema": "urn:x:y", "color": "red", "count": 7,
        "device": "other", "application": "other", "applicationuid": "x", "sender": "x", "instance": "x", "partitionkey": "x",
    });
    assert_eq!(send(&world, &ONE, &event("my-id", own)).await.status, 202);
    let event = world.event().await;
    assert_eq!(
        (&*event.id, &*event.ty, &*event.source),
        ("my-id", "io.drogue.event.v1", "drogue://app/d")
    );
    assert_eq!(event.time, Some("2024-01-02T02:04:05.123456789Z".parse().unwrap()));
    assert_eq!(
        (event.subject.as_deref(), event.data_schema.as_deref()),
        (Some("temp"), Some("urn:x:y"))
    );
    assert_eq!(event.data.as_deref(), Some(&br#"{"n":1}"#[..]));
    assert_eq!(event.data_content_type.as_deref(), Some("application/json"));
    for (name, value) in [
        ("application", "app"),
        ("device", "d"),
        ("sender", "d"),
        ("instance", "test"),
        ("color", "red"),
    ] {
        assert_eq!(event.extension(name).unwrap(), value, "{name}");
        assert_eq!(event.extensions.iter().filter(|(n, _)| n == name).count(), 1, "{name}");
    }
    assert_eq!(event.extension("partitionkey").unwrap(), "app/d");
}

#[tokio::test]
async fn a_batch_is_stored_in_its_order() {
    let world = World::new().await;
    let events: Vec<_> = (0..100).map(|n| event(&n.to_string(), json!({"data": n}))).collect();
    assert_eq!(send(&world, &BATCH, &json!(events)).await.status, 202);
    let stored = world.events().await;
    let ids: Vec<_> = stored.iter().map(|event| event.id.to_string()).collect();
    assert_eq!(ids, (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(stored[42].data.as_deref(), Some(&b"42"[..]));
    assert!(stored.iter().all(|event| event.time.is_some()));
    assert_eq!(send(&world, &BATCH, &json!([])).await.status, 202);
    assert_eq!(world.events().await.len(), 100);
}

#[tokio::test]
async fn payloads_of_all_kinds() {
    let world = World::new().await;
    let events = json!([
        event("text", json!({"datacontenttype": "text/plain", "data": "hällo"})),
        {"specversion": "1.0", "id": "bytes", "source": "s", "type": "t", "data_base64": "AAE="},
        {"specversion": "1.0", "id": "none", "source": "s", "type": "t"},
        event("null", json!({"data": null})),
    ]);
    let answer = send(&world, &BATCH, &events).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let stored = world.events().await;
    let payloads: Vec<_> = stored.iter().map(|event| (&*event.id, event.data.as_deref())).collect();
    let text = "hällo".as_bytes();
    assert_eq!(
        payloads,
        [
            ("text", Some(text)),
            ("bytes", Some(&[0, 1][..])),
            ("none", None),
            ("null", Some(&b"null"[..]))
        ]
    );
}

#[tokio::test]
async fn all_or_nothing_and_an_error_says_which() {
    let world = World::new().await;
    let good = event("1", json!({}));
    let too_large = "x".repeat(limits::EVENT_PAYLOAD);
    for (wrong, status, says) in [
        (json!({"specversion": "1.0", "id": "1", "source": "s"}), 400, "`type`"),
        (event("", json!({})), 400, "`id`"),
        (event("2", json!({"specversion": "0.3"})), 400, "`specversion`"),
        (event("2", json!({"time": "yesterday"})), 400, "`time`"),
        (event("2", json!({"dataschema": "foo"})), 400, "`dataschema`"),
        (event("2", json!({"data_base64": "AA=="})), 400, "`data_base64`"),
        (event("2", json!({"Color": "red"})), 400, "`Color`"),
        (event("2", json!({"color": {"r": 1}})), 400, "`color`"),
        (
            event("2", json!({"datacontenttype": "application/cloudevents+json"})),
            400,
            "`datacontenttype`",
        ),
        (event("2", json!({"data": too_large})), 413, "65536"),
        (
            event("2", json!({"color": "x".repeat(limits::ATTRIBUTE_VALUE + 1)})),
            400,
            "`color`",
        ),
        (json!(5), 406, "CloudEvent"),
    ] {
        let answer = send(&world, &BATCH, &json!([good, wrong, good])).await;
        let about = format!("{says}: {} {}", answer.status, answer.text);
        assert_eq!(answer.status, status, "{about}");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(
            message.contains("event 1 of the batch") && message.contains(says),
            "{about}"
        );

        let alone = send(&world, &ONE, &wrong).await;
        assert_eq!(alone.status, status, "alone: {} {}", alone.status, alone.text);
    }
    assert_eq!(world.events().await.len(), 0);
}

#[tokio::test]
async fn a_batch_that_is_none() {
    let world = World::new().await;
    for (body, status, says) in [
        ("{}".to_owned(), 406, "array"),
        ("[".to_owned(), 406, "no JSON array"),
        (String::new(), 406, "no JSON array"),
        (
            format!("[{}]", "0,".repeat(limits::EVENTS_PER_BATCH) + "0"),
            406,
            "10000",
        ),
        (" ".repeat(limits::EVENT_BATCH + 1), 413, "1048576"),
    ] {
        let answer = world.publish("/v1/temp", D, &BATCH, body).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert!(answer.text.contains(says), "{says}: {}", answer.text);
    }
}
