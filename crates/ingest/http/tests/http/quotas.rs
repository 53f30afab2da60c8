//! Quotas of an application over HTTP, against a clock that the test drives; how they are counted is in the tests of `policy`.

use std::time::Duration;

use crate::world::{D, World};
use serde_json::json;
use tokio::time::advance;

#[tokio::test]
async fn who_publishes_more_than_the_quota_is_told_when_to_come_again() {
    let world = World::new().await;
    // Found once, so that nothing but quotas waits for the clock.
    assert_eq!(world.publish("/v1/x", D, &[], "1").await.status, 202);
    tokio::time::pause();
    world
        .set_spec(&json!({"quota": {"events": 2, "device": {"bytes": 10}}}))
        .await;
    let gateway = ("application=app&as=behind", "gw:pw");
    let batch = [("content-type", "application/cloudevents-batch+json")];
    let events = |n: usize| {
        let event = |id| json!({"specversion": "1.0", "id": id, "source": "s", "type": "t", "data": 1});
        json!((0..n).map(|n| event(n.to_string())).collect::<Vec<_>>()).to_string()
    };
    let mut stored = world.events().await.len();
    for (wait, who, headers, body, status, says, again) in [
        (0, D, &[][..], "1234567890".to_owned(), 202, "", ""),
        (0, D, &[], "1".to_owned(), 429, "`spec.quota.device.bytes`", "1"),
        // Another device, of the same application.
        (0, gateway, &[], "1".to_owned(), 202, "", ""),
        (0, gateway, &[], "1".to_owned(), 429, "`spec.quota.events`", "1"),
        // What was refused was not counted.
        (1_000, D, &[], "1".to_owned(), 202, "", ""),
        // All of a batch, or nothing; more than ever fits, as soon as the bucket is full.
        (0, D, &batch, events(3), 429, "`spec.quota.events`", "1"),
        (1_000, D, &batch, events(6), 202, "", ""),
        (
            0,
            D,
            &[],
            "1".to_owned(),
            429,
            "the application may publish 2 events a second",
            "3",
        ),
        (2_499, D, &[], "1".to_owned(), 429, "try again in 1 s", "1"),
        (1, D, &[], "1".to_owned(), 202, "", ""),
    ] {
        advance(Duration::from_millis(wait)).await;
        let count = if headers.is_empty() {
            1
        } else {
            body.matches("specversion").count()
        };
        let answer = world.publish("/v1/x", who, headers, body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
        if status == 202 {
            stored += count;
        } else {
            let error = answer.json();
            assert_eq!(
                (&error["code"], &error["error"]),
                (&json!(429), &json!("TooManyRequests"))
            );
            assert!(error["message"].as_str().unwrap().contains(says), "{error}");
            assert_eq!(answer.headers["retry-after"], again, "{error}");
        }
        assert_eq!(world.events().await.len(), stored, "{body}");
    }
    let numbers = world.numbers();
    assert!(numbers.contains(r#"refusals_total{kind="quota"} 5"#), "{numbers}");

    world.set_spec(&json!({})).await;
    for _ in 0..20 {
        assert_eq!(world.publish("/v1/x", D, &[], "12345").await.status, 202);
    }
}
