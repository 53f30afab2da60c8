//! The topics of an application, and the address of the documentation (compat/README.md).

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{APP, DEVICE, PASSWORD, next_event, next_message};
use crate::world::World;

#[tokio::test]
async fn each_topic_has_its_shape() {
    let world = World::new();
    let topics = ["device-data", "events", "c"].map(|subject| format!("{APP}.{subject}"));
    let mut data = world.open(&topics[0], "").await;
    let mut events = world.open(&topics[1], "").await;
    let mut channel = world.open(&topics[2], "").await;
    world.publish("other", "42").await;
    world.publish("c", r#"{ "temperature" : 21.50 }"#).await;
    let first = next_event(&mut data).await;
    let metadata = &first["metadata"];
    assert_eq!(first["attrs"], json!({"value": 42}));
    assert_eq!(
        (&metadata["deviceid"], &metadata["tenant"]),
        (&json!(DEVICE), &json!(APP))
    );
    assert!(
        metadata["timestamp"].as_i64().unwrap() > 1_600_000_000_000,
        "{metadata}"
    );
    assert_eq!(next_event(&mut data).await["attrs"], json!({"temperature": 21.5}));
    let event = next_event(&mut events).await;
    assert_eq!((&event["subject"], &event["data"]), (&json!("other"), &json!(42)));
    assert_eq!(next_event(&mut events).await["subject"], json!("c"));
    // Bare, as it came, less white space.
    assert_eq!(
        next_message(&mut channel).await,
        Message::Text(r#"{"temperature":21.50}"#.into())
    );
}

/// As dojot's device manager tells (compat/dojot.md 12): what becomes of devices, and nothing else, and nowhere else but in `events`.
#[tokio::test]
async fn what_becomes_of_devices_is_told() {
    let world = World::new();
    let mut manager = world.open("app.dojot.device-manager.device", "").await;
    let mut removed = world
        .open("app.dojot.device-manager.device", "where=event=is:remove;&fields=data")
        .await;
    let mut others = [
        world.open("app.device-data", "").await,
        world.open("app.devices", "").await,
        world.open("app.events", "where=type=is:io.drogue.event.v1;").await,
    ];
    let devices = format!("{}/api/registry/v1alpha1/apps/{APP}/devices", world.server.url);
    let admin = world.server.admin();
    let (user, key) = admin.split_once(':').unwrap();
    world.server.cli_ok(&["device", "create", APP, "new"]);
    let changed = world.http.put(format!("{devices}/new")).basic_auth(user, Some(key));
    let body = json!({"metadata": {"application": APP, "name": "new"}, "spec": {"core": {"disabled": true}}});
    assert_eq!(changed.json(&body).send().await.unwrap().status(), 204);
    world.server.cli_ok(&["device", "delete", APP, "new"]);
    for done in ["create", "update", "remove"] {
        let expected = format!(r#"{{"event":"{done}","meta":{{"service":"{APP}"}},"data":{{"id":"new"}}}}"#);
        assert_eq!(next_message(&mut manager).await, Message::Text(expected.into()));
    }
    let expected = Message::Text(r#"{"data":{"id":"new"}}"#.into());
    assert_eq!(next_message(&mut removed).await, expected);
    world.publish("devices", r#"{"end":true}"#).await;
    for socket in &mut others {
        assert!(next_event(socket).await.to_string().contains(r#""end":true"#));
    }
    assert_eq!(world.until_end(&mut others[1], "devices").await, [] as [Value; 0]);
}

/// The example of dojot's documentation, with the address as it stands there: tenant `topic`, topic `topic.example`.
#[tokio::test]
async fn the_address_of_the_documentation_works_as_it_stands() {
    let world = World::new();
    world.server.cli_ok(&["app", "create", "topic"]);
    world
        .server
        .cli_ok(&["device", "create", "topic", DEVICE, "--password", PASSWORD]);
    let publish = async |payload: &str| {
        let answer = world.http.post(format!("{}/v1/example", world.server.url));
        let answer = answer.basic_auth(format!("{DEVICE}@topic"), Some(PASSWORD));
        let answer = answer
            .header("Content-Type", "application/json")
            .body(payload.to_owned());
        assert_eq!(answer.send().await.unwrap().status(), 202);
    };
    let ticket = world.ticket_of(&World::token("topic", World::in_seconds(60))).await;
    let address =
        "kafka-ws/v1/topics/topic.example?fields=sensor/status,temperature&where=sensor.status=in:failed,stopped;";
    let mut socket = world
        .server
        .connect(&format!("{address}&ticket={ticket}"), None)
        .await
        .unwrap();
    publish(r#"{"sensor":{"status":"running","id":1},"temperature":35}"#).await;
    publish(r#"{"location":"-22.9,47.0","temperature":20}"#).await;
    publish(r#"{"sensor":{"status":"failed","id":1},"temperature":35}"#).await;
    publish(r#"{"sensor":{"status":"stopped"},"other":1}"#).await;
    let expected = json!({"sensor": {"status": "failed"}, "temperature": 35});
    assert_eq!(next_event(&mut socket).await, expected);
    assert_eq!(next_event(&mut socket).await, json!({"sensor": {"status": "stopped"}}));
}

/// Upper and lower case of the tenant, a slash behind the topic, sub-protocols: as clients have them.
#[tokio::test]
async fn what_clients_write_differently_is_understood() {
    let world = World::new();
    // Upper and lower case are alike in all but what is behind the tenant.
    let ticket = world.ticket().await;
    let path = format!("Kafka-WS/V1/Topics/APP.c?where=A=1&ticket={ticket}");
    let mut socket = world.server.connect(&path, None).await.unwrap();
    world.publish("c", r#"{"a":1}"#).await;
    world.publish("c", r#"{"A":1}"#).await;
    assert_eq!(next_event(&mut socket).await, json!({"A": 1}));
    for topic in ["APP.c", "app.c/", "app%2Ec"] {
        let mut socket = world.open(topic, "").await;
        world.publish("c", r#"{"a":1}"#).await;
        assert_eq!(next_event(&mut socket).await, json!({"a": 1}), "{topic}");
    }
    // Of a channel, `/` is part of the name.
    let mut socket = world.open("app.a%2Fb", "").await;
    world.publish("a%2Fb", r#"{"a":1}"#).await;
    assert_eq!(next_event(&mut socket).await, json!({"a": 1}));
    let mut socket = world.open("app.c", "").await;
    let got: Vec<Value> = world.until_end(&mut socket, "c").await;
    assert!(got.is_empty(), "live from the moment of the connection: {got:?}");
}
