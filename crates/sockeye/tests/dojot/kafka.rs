//! Topics that others fill, in Kafka (compat/README.md: "any other `a.*`"), and those of dojot's own agents.

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::json;
use sockeye_parts::kafka::{self, Kafka};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{PATIENCE, closed, next_event, next_message};
use crate::world::World;

/// Programs that are not Sockeye.
struct Others {
    admin: AdminClient<DefaultClientContext>,
    producer: BaseProducer,
}

/// Larger than what devices may send.
const LARGE: usize = 10_000_000;

// ----------------------------------------------------------------------------------------------

impl Others {
    fn of(kafka: &Kafka) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", kafka.bootstrap());
        config.set("message.max.bytes", (2 * LARGE).to_string());
        Self {
            admin: config.create().unwrap(),
            producer: config.create().unwrap(),
        }
    }

    async fn make(&self, topic: &str) {
        let bytes = (2 * LARGE).to_string();
        let new = NewTopic::new(topic, 1, TopicReplication::Fixed(1)).set("max.message.bytes", &bytes);
        let made = self.admin.create_topics([&new], &AdminOptions::new()).await.unwrap();
        assert_eq!(made, [Ok(topic.to_owned())]);
    }

    async fn remove(&self, topic: &str) {
        let removed = self.admin.delete_topics(&[topic], &AdminOptions::new()).await.unwrap();
        assert_eq!(removed, [Ok(topic.to_owned())]);
    }

    fn topics(&self) -> Vec<String> {
        let metadata = self.producer.client().fetch_metadata(None, PATIENCE).unwrap();
        metadata.topics().iter().map(|topic| topic.name().to_owned()).collect()
    }

    fn send(&self, topic: &str, value: Option<&str>, headers: OwnedHeaders) {
        let mut record = BaseRecord::<str, str>::to(topic).key("key").headers(headers);
        record.payload = value;
        self.producer.send(record).map_err(|(error, _)| error).unwrap();
        self.producer.flush(PATIENCE).unwrap();
    }
}

#[tokio::test]
async fn topics_of_others_are_shown_as_they_are() {
    let Some(kafka) = kafka::shared().unwrap() else { return };
    let world = World::with(&["--kafka", &kafka.bootstrap(), "--kafka-topics", "others-{application}"]);
    let (others, topic) = (Others::of(kafka), "app.dojot.notifications");
    others.make(topic).await;
    let mut all = world.open(topic, "").await;
    let mut some = world.open(topic, "where=n=gte:2;&fields=n").await;
    let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let large = format!(r#"{{"n":1,"large":"{}"}}"#, "x".repeat(LARGE));
    let structured = r#"{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"n":2}}"#;
    let shown = [
        r#"{"event":"create","1":[{"id":1.50}],"1":2,"n":1}"#,
        &large,
        structured,
        "[5]",
        r#"{"n":2,"m":3}"#,
    ];
    let passed_over = ["no JSON", "", "5", "null", "{}", "\u{feff}{}", "{\"n\":", &deep(10_000)];
    for value in passed_over {
        others.send(topic, Some(value), OwnedHeaders::new());
    }
    others.send(topic, None, OwnedHeaders::new());
    for value in shown {
        // Whatever their headers say.
        let header = Header {
            key: "content-type",
            value: Some("application/cloudevents+json"),
        };
        others.send(topic, Some(value), OwnedHeaders::new().insert(header));
    }
    for value in shown {
        let message = next_message(&mut all).await;
        assert!(message == Message::Text(value.into()), "{value:.80}");
    }
    assert_eq!(next_message(&mut some).await, Message::Text(r#"{"n":2}"#.into()));

    // What is no topic of others is a channel, and is not made by who asks for it.
    let mut channel = world.open("app.c", "").await;
    world.publish("c", r#"{"a":1}"#).await;
    assert_eq!(next_event(&mut channel).await, json!({"a": 1}));
    assert!(others.topics().iter().all(|name| name != "app.c"));
    others.make("other.c").await;
    assert_eq!(world.closed("other.c", "").await.0, 4403);
    others.remove(topic).await;
    assert_eq!(closed(&mut all).await, (1008, "the topic was removed".to_owned()));
}

/// compat/dojot.md 12: `<tenant>.device-data` has what it had, if the settings say where.
#[tokio::test]
async fn records_of_dojots_agents_keep_their_shape() {
    let Some(kafka) = kafka::shared().unwrap() else { return };
    let mapping = "device=metadata.deviceid channel='device-data' time=metadata.timestamp data=attrs";
    let topics = ["--kafka-topics", "{application}.device-data", "--kafka-json", mapping];
    let world = World::with(&[&["--kafka", &*kafka.bootstrap()][..], &topics].concat());
    let mut data = world.open("app.device-data", "where=attrs.t=gt:1;").await;
    let mut events = world.open("app.events", "").await;
    let record =
        r#"{"metadata":{"deviceid":"c6ea4b","tenant":"app","timestamp":1604587064592},"attrs":{"t":1.50,"on":true}}"#;
    Others::of(kafka).send("app.device-data", Some(record), OwnedHeaders::new());
    assert_eq!(next_message(&mut data).await, Message::Text(record.into()));
    let event = next_event(&mut events).await;
    assert_eq!(
        (&event["device"], &event["data"]),
        (&json!("c6ea4b"), &json!({"t": 1.5, "on": true}))
    );
}
