//! Tokens of a provider (`SASL/OAUTHBEARER` with OIDC): every client of the engine gets one, and new ones as long as it lives.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::time::{Duration, Instant};

use common::{PATIENCE, payloads, record, take};
use sockeye_engine_kafka::{KafkaLog, KafkaOptions};
use sockeye_log::{Log, Position, ReadLimit, Retention, Topic};
use sockeye_parts::{
    kafka::Kafka,
    keycloak::{self, Realm, SERVICE, SERVICE_SECRET},
};

/// How long a token lives, in seconds.
const LIFE: u32 = 3;

// ----------------------------------------------------------------------------------------------

/// A realm of this name with tokens that live [`LIFE`], and a Kafka that takes them.
async fn parts(name: &str) -> Option<(Realm, Kafka)> {
    let realm = keycloak::shared().unwrap()?.realm(name).await.unwrap();
    realm.set_service_token_life(LIFE).await.unwrap();
    let kafka = Kafka::start_for_tokens(&realm).unwrap()?;
    Some((realm, kafka))
}

fn options(kafka: &Kafka, realm: &Realm, secret: &str) -> KafkaOptions {
    let certificate = kafka.certificate().certificate;
    let authority = keycloak::shared().unwrap().unwrap().certificate().certificate;
    let properties = [
        ("security.protocol", "SASL_SSL"),
        ("ssl.ca.location", certificate.to_str().unwrap()),
        ("sasl.mechanisms", "OAUTHBEARER"),
        ("sasl.oauthbearer.method", "oidc"),
        ("sasl.oauthbearer.token.endpoint.url", &realm.token_endpoint()),
        ("sasl.oauthbearer.client.id", SERVICE),
        ("sasl.oauthbearer.client.secret", secret),
        ("sasl.oauthbearer.scope", "profile"),
        ("https.ca.location", authority.to_str().unwrap()),
    ];
    KafkaOptions {
        bootstrap: kafka.bootstrap_oidc(),
        properties: properties
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        partitions: Some(1),
        ..KafkaOptions::default()
    }
}

async fn all(log: &dyn Log, topic: &Topic, from: &Position) -> Vec<String> {
    let (mut at, mut found) = (from.clone(), Vec::new());
    loop {
        let batch = log.read(topic, &at, ReadLimit::default()).await.unwrap();
        if batch.records.is_empty() {
            return found;
        }
        found.extend(payloads(&batch.records));
        at = batch.next;
    }
}

#[tokio::test]
async fn appends_followers_and_reads_go_on_past_the_end_of_many_tokens() {
    let Some((realm, kafka)) = parts("renewed").await else {
        return;
    };
    let log = KafkaLog::new(&options(&kafka, &realm, SERVICE_SECRET)).unwrap();
    let topic = Topic::events_of("renewed");
    log.create_topic(&topic, Retention::default()).await.unwrap();
    let start = log.span(&topic).await.unwrap().oldest;
    let mut follower = log.follow(&topic, &start).await.unwrap();
    let begun = Instant::now();
    let mut sent = 0;
    // Each token would have ended four times.
    while begun.elapsed() < Duration::from_secs(4 * u64::from(LIFE)) {
        log.append(&topic, vec![record(&[], "one")]).await.unwrap();
        let two = vec![record(&[], "two"), record(&[], "three")];
        log.append(&topic, two).await.unwrap();
        sent += 3;
        assert_eq!(payloads(&take(&mut *follower, 3).await), ["one", "two", "three"]);
        assert_eq!(log.span(&topic).await.unwrap().oldest, start);
    }
    assert_eq!(all(&log, &topic, &start).await.len(), sent);
}

/// That the broker ends connections with their token shows that renewal is needed.
#[tokio::test]
async fn a_provider_that_refuses_is_told_and_used_again() {
    let Some((realm, kafka)) = parts("refused").await else {
        return;
    };
    let log = KafkaLog::new(&options(&kafka, &realm, SERVICE_SECRET)).unwrap();
    let topic = Topic::events_of("refused");
    log.create_topic(&topic, Retention::default()).await.unwrap();
    let start = log.span(&topic).await.unwrap().oldest;
    let mut follower = log.follow(&topic, &start).await.unwrap();
    realm.set_service_secret("another").await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    let refused = loop {
        assert!(Instant::now() < deadline, "the token does not end");
        if let Err(refused) = log.probe().await {
            break refused.to_string();
        }
    };
    eprintln!("XX {refused}");
    realm.set_service_secret(SERVICE_SECRET).await.unwrap();
    while let Err(refused) = log.append(&topic, vec![record(&[], "again")]).await {
        assert!(Instant::now() < deadline, "{refused}");
    }
    let _ = take(&mut *follower, 1).await;
}

#[tokio::test]
async fn who_has_no_token_is_told_why() {
    let Some((realm, kafka)) = parts("none").await else {
        return;
    };
    let right = options(&kafka, &realm, SERVICE_SECRET);
    KafkaLog::new(&right).unwrap().probe().await.unwrap();
    let mut nobody = right.clone();
    nobody.properties.push((
        "sasl.oauthbearer.token.endpoint.url".to_owned(),
        "https://127.0.0.1:1/token".to_owned(),
    ));
    let mut untrusted = right.clone();
    untrusted.properties.retain(|(name, _)| name != "https.ca.location");
    for wrong in [options(&kafka, &realm, "wrong"), nobody, untrusted] {
        let said = KafkaLog::new(&wrong).unwrap().probe().await.unwrap_err().to_string();
        eprintln!("XX {said}");
    }
}
