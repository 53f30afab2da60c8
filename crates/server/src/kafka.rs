//! Kafka, from the settings: its properties are read from a file, and it has to answer before anything is served.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sockeye_engine_kafka::{KafkaLog, KafkaOptions};
use sockeye_limits as limits;
use sockeye_log::Log;

use crate::{KafkaConfig, StartError};

// ----------------------------------------------------------------------------------------------

/// Whether the settings go together.
pub(crate) fn check(config: &KafkaConfig) -> Result<(), StartError> {
    if config.brokers.is_none() && *config != KafkaConfig::default() {
        return Err(error(
            "kafka.brokers",
            "it is off, but other settings of Kafka are given: give the brokers too, or none of them",
        ));
    }
    Ok(())
}

/// The log in Kafka, which has answered.
pub(crate) async fn open(brokers: &str, config: &KafkaConfig) -> Result<Arc<dyn Log>, StartError> {
    let number = |number: Option<usize>| number.and_then(|number| u16::try_from(number).ok());
    let options = KafkaOptions {
        bootstrap: brokers.to_owned(),
        properties: match &config.properties {
            Some(path) => properties(path)?,
            None => Vec::new(),
        },
        topics: config.topics.clone(),
        plain: config.plain.clone(),
        partitions: number(config.partitions),
        replicas: number(config.replicas),
    };
    let oidc = ("sasl.oauthbearer.method".to_owned(), "oidc".to_owned());
    let token = if options.properties.contains(&oidc) {
        limits::KAFKA_TOKEN
    } else {
        Duration::ZERO
    };
    // It starts threads, and looks for certificates.
    let made = tokio::task::spawn_blocking(move || KafkaLog::new(&options));
    let made = made.await.map_err(|ended| StartError::Thread(ended.into()))?;
    let log = made.map_err(|wrong| error("kafka.properties", wrong.to_string()))?;
    let begun = Instant::now();
    while let Err(unavailable) = log.probe().await {
        let refusal = log.refusal();
        let patience = limits::KAFKA_ANSWER + if refusal.is_none() { token } else { Duration::ZERO };
        if begun.elapsed() > patience {
            let error = match refusal {
                Some(refusal) => error("kafka.properties", format!("Kafka at {brokers}: {refusal}")),
                None => error(
                    "kafka.brokers",
                    format!(
                        "{unavailable} at {brokers}: check host and port, and what `kafka.properties` says of TLS, passwords and tokens; \
                         what librdkafka has met is in the lines above"
                    ),
                ),
            };
            // It waits for its threads.
            let _ = tokio::task::spawn_blocking(move || drop(log)).await;
            return Err(error);
        }
        tokio::time::sleep(limits::KAFKA_AGAIN).await;
    }
    Ok(Arc::new(log))
}

/// Lines such as `sasl.username=sockeye`; empty ones and those that begin with `#` say nothing. No message shows a value.
fn properties(path: &Path) -> Result<Vec<(String, String)>, StartError> {
    let wrong = |message: String| error("kafka.properties", format!("{}: {message}", path.display()));
    let size = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if size > limits::KAFKA_PROPERTIES_FILE {
        return Err(wrong(format!(
            "it has more than {} bytes",
            limits::KAFKA_PROPERTIES_FILE
        )));
    }
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let mut properties = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let property = line.split_once('=').filter(|(name, _)| !name.trim().is_empty());
        let (name, value) = property.ok_or_else(|| wrong(format!("line {} is not `name=value`", at + 1)))?;
        properties.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(properties)
}

fn error(setting: &'static str, message: impl Into<String>) -> StartError {
    let message = message.into();
    StartError::Kafka { setting, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_read_and_what_is_wrong_is_located() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kafka.properties");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            properties(&path).map_err(|error| error.to_string())
        };
        let good = read("# how\n\nsecurity.protocol = SASL_SSL\n sasl.password=a=b c\nempty=\n").unwrap();
        let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            good,
            [
                named("security.protocol", "SASL_SSL"),
                named("sasl.password", "a=b c"),
                named("empty", "")
            ]
        );
        for wrong in ["ok=1\nhush\n", "ok=1\n=hush"] {
            let error = read(wrong).unwrap_err();
            assert!(
                error.contains("kafka.properties") && error.contains("line 2"),
                "{error}"
            );
            assert!(!error.contains("hush"), "{error}");
        }
        let missing = properties(Path::new("/nowhere/kafka.properties"))
            .unwrap_err()
            .to_string();
        assert!(missing.contains("/nowhere/kafka.properties"), "{missing}");
    }

    #[tokio::test]
    async fn who_does_not_answer_is_named_with_the_setting() {
        let config = KafkaConfig {
            // Nothing listens on port 1.
            brokers: Some("127.0.0.1:1".to_owned()),
            ..KafkaConfig::default()
        };
        let refused = open("127.0.0.1:1", &config)
            .await
            .err()
            .expect("nobody is there")
            .to_string();
        assert!(
            refused.contains("kafka.brokers") && refused.contains("127.0.0.1:1"),
            "{refused}"
        );
        let without = KafkaConfig {
            brokers: None,
            partitions: Some(3),
            ..KafkaConfig::default()
        };
        assert!(check(&without).unwrap_err().to_string().contains("kafka.brokers"));
        check(&KafkaConfig::default()).unwrap();
    }
}
