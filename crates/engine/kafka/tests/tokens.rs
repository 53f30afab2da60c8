//! Tokens of a provider (`SASL/OAUTHBEARER` with OIDC): every client of the engine gets one, and new ones as long as it lives.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use common::{PATIENCE, payloads, record, take};
use sockeye_engine_kafka::{KafkaLog, KafkaOptions, Refusal};
use sockeye_log::{AppendError, Log, Position, ReadLimit, Retention, Topic};
use sockeye_parts::{
    kafka::Kafka,
    keycloak::{self, Realm, SERVICE, SERVICE_SECRET},
};

/// How long tokens live that are renewed, in seconds: librdkafka looks every second whether 80 % of that are over.
const LIFE: u32 = 6;
/// How long those live that are not.
const SHORT_LIFE: u32 = 2;
/// Between two appends.
const PACE: Duration = Duration::from_millis(100);

// ----------------------------------------------------------------------------------------------

/// A realm of this name with tokens that live so long, and a Kafka that takes them.
async fn parts(name: &str, life: u32) -> Option<(Realm, Kafka)> {
    let realm = keycloak::shared().unwrap()?.realm(name).await.unwrap();
    realm.set_service_token_life(life).await.unwrap();
    let kafka = Kafka::start_for_tokens(&realm).unwrap()?;
    Some((realm, kafka))
}

fn options(bootstrap: &str, authority: &Path, realm: &Realm) -> KafkaOptions {
    let provider = keycloak::shared().unwrap().unwrap().certificate().certificate;
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let properties = [
        ("security.protocol", "SASL_SSL".to_owned()),
        ("ssl.ca.location", text(authority)),
        ("sasl.mechanisms", "OAUTHBEARER".to_owned()),
        ("sasl.oauthbearer.method", "oidc".to_owned()),
        ("sasl.oauthbearer.token.endpoint.url", realm.token_endpoint()),
        ("sasl.oauthbearer.client.id", SERVICE.to_owned()),
        ("sasl.oauthbearer.client.secret", SERVICE_SECRET.to_owned()),
        ("sasl.oauthbearer.scope", "profile".to_owned()),
        ("sasl.oauthbearer.extensions", "system=greenhouse".to_owned()),
        ("https.ca.location", text(&provider)),
    ];
    KafkaOptions {
        bootstrap: bootstrap.to_owned(),
        properties: properties.map(|(name, value)| (name.to_owned(), value)).into(),
        partitions: Some(1),
        ..KafkaOptions::default()
    }
}

/// An engine with a token, and an empty topic.
async fn engine(realm: &Realm, kafka: &Kafka) -> (KafkaLog, Topic) {
    let options = options(&kafka.bootstrap_oidc(), &kafka.certificate().certificate, realm);
    let (log, topic) = (KafkaLog::new(&options).unwrap(), Topic::events_of("tokens"));
    log.create_topic(&topic, Retention::default()).await.unwrap();
    (log, topic)
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
    let Some((realm, kafka)) = parts("renewed", LIFE).await else {
        return;
    };
    let (log, topic) = engine(&realm, &kafka).await;
    let start = log.span(&topic).await.unwrap().oldest;
    let mut follower = log.follow(&topic, &start).await.unwrap();
    let begun = Instant::now();
    let mut pace = tokio::time::interval(PACE);
    let mut sent = 0;
    // Three tokens end meanwhile, of each client.
    while begun.elapsed() < 3 * Duration::from_secs(u64::from(LIFE)) {
        pace.tick().await;
        log.append(&topic, vec![record(&[], "one")]).await.unwrap();
        let two = vec![record(&[], "two"), record(&[], "three")];
        log.append(&topic, two).await.unwrap();
        sent += 3;
        assert_eq!(payloads(&take(&mut *follower, 3).await), ["one", "two", "three"]);
        assert_eq!(log.span(&topic).await.unwrap().oldest, start);
    }
    assert_eq!(all(&log, &topic, &start).await.len(), sent);
}

/// Also shows that the broker ends a connection with its token: renewal is needed.
#[tokio::test]
async fn a_provider_that_refuses_is_asked_again() {
    let Some((realm, kafka)) = parts("refused", SHORT_LIFE).await else {
        return;
    };
    let (log, topic) = engine(&realm, &kafka).await;
    let deadline = Instant::now() + 2 * PATIENCE;
    let mut pace = tokio::time::interval(PACE);
    let mut append = async |wanted: fn(&Result<(), AppendError>) -> bool| {
        loop {
            pace.tick().await;
            let appended = log.append(&topic, vec![record(&[], "one")]).await;
            if wanted(&appended) {
                return;
            }
            assert!(Instant::now() < deadline, "{appended:?}");
        }
    };
    realm.set_service_secret("another").await.unwrap();
    append(|appended| matches!(appended, Err(AppendError::Unavailable(_)))).await;
    realm.set_service_secret(SERVICE_SECRET).await.unwrap();
    // librdkafka asks ten seconds after a refusal.
    append(Result::is_ok).await;
}

/// No broker is asked before there is a token.
#[tokio::test]
async fn who_gets_no_token_is_told_why() {
    let Some(keycloak) = keycloak::shared().unwrap() else {
        return;
    };
    let realm = keycloak.realm("none").await.unwrap();
    let certificate = keycloak.certificate().certificate;
    let with = |name: &str, value: Option<&str>| {
        let mut wrong = options("127.0.0.1:1", &certificate, &realm);
        wrong.properties.retain(|(known, _)| known != name);
        let value = value.map(|value| (name.to_owned(), value.to_owned()));
        wrong.properties.extend(value);
        KafkaLog::new(&wrong)
    };
    let secret = "sasl.oauthbearer.client.secret";
    let endpoint = "sasl.oauthbearer.token.endpoint.url";
    for (log, expected) in [
        (with(secret, Some("wrong")), "Invalid client"),
        (
            with(endpoint, Some("https://127.0.0.1:1/token")),
            "connect to 127.0.0.1",
        ),
        // The system does not know the provider's certificate.
        (with("https.ca.location", None), "certificate"),
    ] {
        let log = log.unwrap();
        let deadline = Instant::now() + PATIENCE;
        while log.refusal().is_none() {
            log.probe().await.unwrap_err();
            assert!(Instant::now() < deadline, "{expected}");
        }
        let refusal = log.refusal().unwrap();
        assert!(
            matches!(&refusal, Refusal::Token(said) if said.contains(expected)),
            "{refusal:?}"
        );
    }
    // What is missing is named before anybody is asked.
    let error = with(secret, None).err().unwrap().to_string();
    assert!(error.contains(secret), "{error}");
}
