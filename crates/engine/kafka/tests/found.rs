//! Topics that Sockeye did not make, and groups that it shares with Kafka's tools.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use common::{engine, record};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
};
use sockeye_engine_kafka::{KafkaLog, KafkaOptions};
use sockeye_log::{GroupId, Log as _, Position, Retention, Topic, TopicError};
use sockeye_parts::kafka::{self, Kafka};

// ----------------------------------------------------------------------------------------------

fn admin(kafka: &Kafka) -> AdminClient<DefaultClientContext> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.bootstrap());
    config.create().expect("the configuration is right")
}

async fn setting(admin: &AdminClient<DefaultClientContext>, topic: &str, name: &str) -> Option<String> {
    let described = admin
        .describe_configs([&ResourceSpecifier::Topic(topic)], &AdminOptions::new())
        .await;
    let config = described.unwrap().remove(0).unwrap();
    config.get(name).and_then(|entry| entry.value.clone())
}

#[tokio::test]
async fn a_topic_of_others_keeps_its_settings_and_its_records() {
    let Some(kafka) = kafka::shared().unwrap() else { return };
    let (log, own) = engine(kafka, 1, "own").await;
    let (admin, name) = (admin(kafka), "events-others");
    let topic = NewTopic::new(name, 2, TopicReplication::Fixed(1))
        .set("retention.ms", "2592000000")
        .set("message.timestamp.type", "CreateTime");
    admin
        .create_topics([&topic], &AdminOptions::new())
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    let others = Topic::events_of("others");
    let records = || vec![record(&[], "kept")];
    log.append(&others, records()).await.unwrap();
    let before = log.span(&others).await.unwrap();

    // An application cannot have them by chance.
    for topic in [&others, &own] {
        let claimed = log.claim_topic(topic, false).await;
        assert!(matches!(claimed, Err(TopicError::Found(_))), "{claimed:?}");
        log.claim_topic(topic, true).await.unwrap();
    }
    log.claim_topic(&Topic::events_of("free"), false).await.unwrap();

    log.create_topic(&others, Retention::default()).await.unwrap();
    assert_eq!(
        setting(&admin, name, "retention.ms").await.as_deref(),
        Some("2592000000")
    );
    assert_eq!(setting(&admin, name, "retention.bytes").await.as_deref(), Some("-1"));
    assert_eq!(
        setting(&admin, name, "message.timestamp.type").await.as_deref(),
        Some("CreateTime")
    );
    log.delete_topic(&others).await.unwrap();
    assert_eq!(log.span(&others).await.unwrap(), before);
    log.append(&others, records()).await.unwrap();

    // Those that Sockeye has made are its own to remove, whichever of its engines has made them.
    let options = KafkaOptions {
        bootstrap: kafka.bootstrap(),
        ..KafkaOptions::default()
    };
    let another = KafkaLog::new(&options).unwrap();
    another.delete_topic(&own).await.unwrap();
    log.claim_topic(&own, false).await.unwrap();
}

#[tokio::test]
async fn groups_are_committed_offsets() {
    let Some(kafka) = kafka::shared().unwrap() else { return };
    let (log, topic) = engine(kafka, 2, "grouped").await;
    let group = |selection: &str| GroupId {
        application: "grouped".to_owned(),
        group: "g".to_owned(),
        selection: selection.to_owned(),
    };
    let (all, some) = (group(""), group("channel=c"));
    for _ in 0..10 {
        log.append(&topic, vec![record(&[], "x")]).await.unwrap();
    }
    let span = log.span(&topic).await.unwrap();
    assert_eq!(log.mirrored_group(&all, &span).await.unwrap(), None);
    log.mirror_group(&all, &span.end).await.unwrap();
    log.mirror_group(&some, &span.oldest).await.unwrap();
    assert_eq!(log.mirrored_group(&all, &span).await.unwrap(), Some(span.end.clone()));
    assert_eq!(
        log.mirrored_group(&some, &span).await.unwrap(),
        Some(span.oldest.clone())
    );
    // Groups may be moved back.
    let back = Position::new(span.end.incarnation(), [(0, 1), (1, 0)]);
    log.mirror_group(&all, &back).await.unwrap();
    assert_eq!(log.mirrored_group(&all, &span).await.unwrap(), Some(back));
    for _ in 0..2 {
        log.forget_group(&all).await.unwrap();
        assert_eq!(log.mirrored_group(&all, &span).await.unwrap(), None);
    }
    assert!(log.mirrored_group(&some, &span).await.unwrap().is_some());
    // A topic that is gone has nothing to show.
    log.delete_topic(&topic).await.unwrap();
    log.mirror_group(&some, &span.end).await.unwrap();
}
