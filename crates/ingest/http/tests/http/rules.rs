//! Publish rules of an application (compat/drogue.md 2.8) over HTTP; what each rule means is in the tests of `policy`.

use crate::world::{D, World};
use serde_json::json;

const BATCH: [(&str, &str); 1] = [("content-type", "application/cloudevents-batch+json")];

#[tokio::test]
async fn rules_say_what_becomes_of_an_event_from_the_next_publish_on() {
    let world = World::new().await;
    let on = |channel: &str, step: serde_json::Value| json!({"when": {"isChannel": channel}, "then": [step]});
    let rules = json!({"publish": {"rules": [
        on("noise", json!("drop")),
        on("old", json!({"reject": "publish to `new`"})),
        on("bare", json!({"reject": ""})),
        on("raw", json!({"setAttribute": {"name": "subject", "value": "cooked"}})),
        on("cooked", json!({"setExtension": {"name": "step", "value": "2"}})),
    ]}});
    for (rules, answers, stored) in [
        (json!({}), [202, 202, 202, 202], vec!["noise", "old", "bare", "raw"]),
        (rules, [202, 406, 406, 202], vec!["cooked"]),
        (json!({}), [202, 202, 202, 202], vec!["noise", "old", "bare", "raw"]),
    ] {
        let before = world.events().await.len();
        world.set_spec(&rules).await;
        for (channel, status) in ["noise", "old", "bare", "raw"].into_iter().zip(answers) {
            let answer = world.publish(&format!("/v1/{channel}"), D, &[], "1").await;
            assert_eq!(answer.status, status, "{channel}: {}", answer.text);
            if status == 406 {
                let reason = if channel == "old" {
                    "publish to `new`"
                } else {
                    "a rule of the application rejects the event"
                };
                assert_eq!(
                    answer.json(),
                    json!({"code": 406, "error": "Rejected", "message": reason})
                );
            }
        }
        let events = world.events().await;
        let channels: Vec<_> = events[before..].iter().map(|event| event.channel().unwrap()).collect();
        assert_eq!(channels, stored, "{rules}");
    }
    let cooked = world
        .events()
        .await
        .into_iter()
        .find(|event| event.channel().unwrap() == "cooked");
    assert_eq!(cooked.unwrap().extension("step").unwrap(), "2");
    let numbers = world.numbers();
    for line in [
        "ingest_http_dropped_total 1",
        r#"refusals_total{kind="rule"} 2"#,
        "ingest_http_events_total 9",
    ] {
        assert!(numbers.contains(line), "{line}: {numbers}");
    }
}

#[tokio::test]
async fn of_a_batch_single_events_are_dropped_but_all_are_rejected() {
    let world = World::new().await;
    let event = |id: &str| json!({"specversion": "1.0", "id": id, "source": "s", "type": "t", "dataschema": "urn:x", "data": 1});
    let rule = |then: serde_json::Value| json!({"publish": {"rules": [{"then": then}]}});
    let batch = json!([event("1"), event("2")]).to_string();
    world.set_spec(&rule(json!([{"reject": "no"}]))).await;
    let answer = world.publish("/v1/x", D, &BATCH, batch.clone()).await;
    assert_eq!(answer.status, 406);
    assert_eq!(answer.json()["message"], "event 0 of the batch (counted from 0): no");
    assert!(world.events().await.is_empty());

    world.set_spec(&rule(json!(["drop"]))).await;
    assert_eq!(world.publish("/v1/x", D, &BATCH, batch.clone()).await.status, 202);
    assert!(world.events().await.is_empty());
    assert!(
        world.numbers().contains("ingest_http_dropped_total 2"),
        "{}",
        world.numbers()
    );

    world.set_spec(&rule(json!([{"removeAttribute": "dataschema"}]))).await;
    assert_eq!(world.publish("/v1/x", D, &BATCH, batch).await.status, 202);
    let events = world.events().await;
    assert!(
        events.len() == 2 && events.iter().all(|event| event.data_schema.is_none()),
        "{events:?}"
    );
}

#[tokio::test]
async fn rules_that_nobody_can_obey_let_nothing_in() {
    let world = World::new().await;
    assert_eq!(world.publish("/v1/x", D, &[], "1").await.status, 202);
    world
        .set_spec(&json!({"publish": {"rules": [{"then": [{"validate": {}}]}]}}))
        .await;
    assert_eq!(world.publish("/v1/x", D, &[], "1").await.status, 403);
    assert_eq!(world.events().await.len(), 1);
}
