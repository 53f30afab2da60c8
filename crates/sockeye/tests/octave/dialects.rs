//! One log, three protocols: what comes in by one goes out by all.

use reqwest::Method;
use serde_json::json;

use crate::support::{APP, next_event};
use crate::world::{PATH, World};

#[tokio::test]
async fn an_event_reaches_every_dialect() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let mut drogue = world.server.stream(APP).await;
    let mut dojot = world.dojot("app.device-data").await;
    let mut octave = world.client().await;
    octave.subscribe(PATH).await;
    octave
        .done(json!({"object": "event", "type": "subscribe", "msgId": 5, "pathPattern": "/app/#"}))
        .await;
    world.publish("temperature", &json!({"from": "device"})).await;
    assert_eq!(next_event(&mut drogue).await["data"], json!({"from": "device"}));
    assert_eq!(octave.elements().await, json!({"from": "device"}));
    let frame = next_event(&mut dojot).await;
    assert_eq!(
        (&frame["metadata"]["deviceid"], &frame["attrs"]),
        (&json!("dev"), &json!({"from": "device"}))
    );

    let posted = json!({"path": PATH, "elems": {"from": "octave"}});
    world.done(201, Method::POST, "event", Some(posted)).await;
    let event = next_event(&mut drogue).await;
    assert_eq!(
        (&event["data"], &event["device"]),
        (&json!({"from": "octave"}), &json!("dev"))
    );
    assert_eq!(
        (&event["subject"], &event["source"]),
        (&json!("temperature"), &json!("drogue://app/dev"))
    );
    assert_eq!(octave.elements().await, json!({"from": "octave"}));
    let frame = next_event(&mut dojot).await;
    assert_eq!(
        (&frame["metadata"]["deviceid"], &frame["attrs"]),
        (&json!("dev"), &json!({"from": "octave"}))
    );

    world
        .done(201, Method::POST, "stream", Some(json!({"path": "/app/weather"})))
        .await;
    let posted = json!({"path": "/app/weather", "elems": {"sun": true}});
    world.done(201, Method::POST, "event", Some(posted)).await;
    let event = next_event(&mut drogue).await;
    assert_eq!((&event["data"], event.get("device")), (&json!({"sun": true}), None));
    let frame = octave.next().await;
    assert_eq!(
        (&frame["value"]["path"], &frame["value"]["elems"]),
        (&json!("/app/weather"), &json!({"sun": true}))
    );
    octave.is_silent().await;
}
