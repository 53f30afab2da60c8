//! TLS, certificates of clients, passwords: what is right gets in, what is wrong does not.

mod common;

use std::path::Path;

use common::{payloads, record};
use sockeye_engine_kafka::{KafkaLog, KafkaOptions};
use sockeye_log::{Log, ReadLimit, Retention, Topic};
use sockeye_parts::kafka::{Kafka, PASSWORD, USER};

fn log(bootstrap: String, properties: &[(&str, &str)]) -> KafkaLog {
    let options = KafkaOptions {
        bootstrap,
        properties: properties
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        partitions: Some(1),
        ..KafkaOptions::default()
    };
    KafkaLog::new(&options).expect("the options are right")
}

/// What is appended, singly and as a transaction, can be read.
async fn works(log: &dyn Log, application: &'static str) {
    let topic = Topic::events_of(application);
    log.create_topic(&topic, Retention::default())
        .await
        .expect("a topic can be made");
    log.append(&topic, vec![record(&[], "one")])
        .await
        .expect("it is stored");
    let two = vec![record(&[], "two"), record(&[], "three")];
    log.append(&topic, two).await.expect("they are stored");
    let oldest = log.span(&topic).await.expect("it is there").oldest;
    let batch = log
        .read(&topic, &oldest, ReadLimit::default())
        .await
        .expect("it can be read");
    assert_eq!(payloads(&batch.records), ["one", "two", "three"]);
}

fn text(path: &Path) -> &str {
    path.to_str().expect("it is text")
}

#[tokio::test]
async fn every_way_in_works_with_what_it_wants_and_not_without() {
    let Some(kafka) = Kafka::start_secured().expect("Kafka starts") else {
        return;
    };
    let mine = kafka.certificate();
    let (certificate, key) = (text(&mine.certificate), text(&mine.key));
    let other = tempfile::tempdir().expect("a folder can be made");
    let other = sockeye_parts::certificate::Certificate::make(other.path()).expect("it can be made");
    let tls = [("security.protocol", "SSL"), ("ssl.ca.location", certificate)];
    let me = [("ssl.certificate.location", certificate), ("ssl.key.location", key)];
    works(&log(kafka.bootstrap_tls(), &tls), "tls").await;
    works(&log(kafka.bootstrap_mutual(), &[&tls[..], &me].concat()), "mutual").await;

    let sasl = [("security.protocol", "SASL_SSL"), ("ssl.ca.location", certificate)];
    let user = [("sasl.username", USER), ("sasl.password", PASSWORD)];
    let plain = [("sasl.mechanisms", "PLAIN")];
    let scram = [("sasl.mechanisms", "SCRAM-SHA-512")];
    let shorter = [("sasl.mechanisms", "SCRAM-SHA-256")];
    works(
        &log(kafka.bootstrap_sasl(), &[&sasl[..], &plain, &user].concat()),
        "plain",
    )
    .await;
    works(
        &log(kafka.bootstrap_sasl(), &[&sasl[..], &scram, &user].concat()),
        "scram",
    )
    .await;
    works(
        &log(kafka.bootstrap_sasl(), &[&sasl[..], &shorter, &user].concat()),
        "scram-256",
    )
    .await;
    let bearer = [
        ("sasl.mechanisms", "OAUTHBEARER"),
        ("enable.sasl.oauthbearer.unsecure.jwt", "true"),
        ("sasl.oauthbearer.config", "principal=sockeye"),
    ];
    works(&log(kafka.bootstrap_sasl(), &[&sasl[..], &bearer].concat()), "bearer").await;

    let strange = [
        ("security.protocol", "SSL"),
        ("ssl.ca.location", text(&other.certificate)),
    ];
    let wrong = [("sasl.username", USER), ("sasl.password", "wrong")];
    for (what, bootstrap, properties) in [
        ("a server that is not trusted", kafka.bootstrap_tls(), strange.to_vec()),
        ("no certificate", kafka.bootstrap_mutual(), tls.to_vec()),
        (
            "a wrong password",
            kafka.bootstrap_sasl(),
            [&sasl[..], &plain, &wrong].concat(),
        ),
        (
            "a wrong password for SCRAM",
            kafka.bootstrap_sasl(),
            [&sasl[..], &scram, &wrong].concat(),
        ),
        ("no TLS", kafka.bootstrap_tls(), vec![]),
    ] {
        log(bootstrap, &properties).probe().await.expect_err(what);
    }
}
