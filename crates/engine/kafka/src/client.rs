//! The kinds of clients of librdkafka, and where their log lines go.
//!
//! Each client has threads and connections of its own, so there are few: one for topics, one or two that produce, one per
//! thread that reads, and one or few that follow.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    ClientConfig, ClientContext,
    admin::AdminClient,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, ConsumerContext},
    error::KafkaError,
    message::Message as _,
    producer::{DeliveryResult, ProducerContext, ThreadedProducer},
    types::RDKafkaErrorCode as Code,
};
use sockeye_limits as limits;
use sockeye_log::Incarnation;

use crate::{
    KafkaOptions, OptionsError,
    append::{Delivery, code},
    away::Away,
    native::has_said,
};

/// What librdkafka says, as log lines of Sockeye.
#[derive(Default)]
pub(crate) struct Context {
    /// Told of brokers that cannot be reached, or do not let it in.
    away: Arc<Away>,
    /// It has reached none of its brokers, or knows none any more.
    lost: AtomicBool,
}

/// Which topics a client has known. One that is made again under its name needs another client: librdkafka 2.12 goes on to compare the
/// epochs of leaders with those of the topic that was removed, takes what is new for outdated, and once it has lost a leader never
/// finds another (`rd_kafka_toppar_leader_update`; met by `tests/kafka_faults` of the command line).
#[derive(Debug, Default)]
pub(crate) struct Known(HashMap<String, Incarnation>);

pub(crate) type Admin = AdminClient<Context>;
pub(crate) type Consumer = BaseConsumer<Context>;
pub(crate) type Producer = ThreadedProducer<Context>;

// ----------------------------------------------------------------------------------------------

impl Context {
    fn of(away: &Arc<Away>) -> Self {
        Self {
            away: away.clone(),
            lost: AtomicBool::default(),
        }
    }

    /// None of its brokers answers.
    pub(crate) fn loses(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    /// Whether the client has lost all its brokers since this was asked last.
    pub(crate) fn has_lost(&self) -> bool {
        self.lost.swap(false, Ordering::Relaxed)
    }
}

impl Known {
    /// Whether the client can be used for this topic, which it knows from now on.
    pub(crate) fn admits(&mut self, name: &str, incarnation: Incarnation) -> bool {
        match self.0.get(name) {
            Some(known) => *known == incarnation,
            None if self.0.len() >= limits::KAFKA_KNOWN_TOPICS => false,
            None => {
                self.0.insert(name.to_owned(), incarnation);
                true
            }
        }
    }
}

/// For topics and positions.
pub(crate) fn admin(options: &KafkaOptions) -> Result<Arc<Admin>, OptionsError> {
    let mut config = common(options);
    // The crate takes nothing of this client from its queue. The other clients say the same of the brokers.
    config.set_log_level(RDKafkaLogLevel::Emerg);
    config
        .create_with_context(Context::default())
        .map(Arc::new)
        .map_err(wrong)
}

/// Acknowledged by all in-sync replicas, each record stored once and in order. With an id: in transactions.
pub(crate) fn producer(
    options: &KafkaOptions,
    away: &Arc<Away>,
    transactional_id: Option<&str>,
) -> Result<Producer, OptionsError> {
    let mut config = common(options);
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", millis(limits::KAFKA_LINGER))
        .set("message.timeout.ms", millis(limits::KAFKA_DELIVERY))
        // Topics are known to be there before anything is sent: one that is unknown was removed.
        .set("topic.metadata.propagation.max.ms", millis(limits::KAFKA_ANSWER))
        // What waits is bounded by admission; this is the bound behind it.
        .set(
            "queue.buffering.max.kbytes",
            (2 * limits::APPEND_QUEUE_BYTES / limits::KIB).to_string(),
        )
        .set("queue.buffering.max.messages", "0");
    if let Some(id) = transactional_id {
        config
            .set("transactional.id", id)
            .set("transaction.timeout.ms", millis(limits::KAFKA_TRANSACTION));
    }
    config.create_with_context(Context::of(away)).map_err(wrong)
}

/// Sees what is committed; `wait` is how long the broker may hold back an answer without records.
pub(crate) fn consumer(options: &KafkaOptions, wait: Duration) -> Result<Arc<Consumer>, OptionsError> {
    let mut config = common(options);
    config
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", "error")
        .set("auto.commit.enable", "false")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", millis(wait))
        .set("fetch.error.backoff.ms", millis(limits::KAFKA_FETCH_WAIT))
        .set("fetch.queue.backoff.ms", millis(limits::KAFKA_READ_WAIT))
        .set("fetch.message.max.bytes", limits::KAFKA_FETCH_AHEAD.to_string())
        .set(
            "queued.max.messages.kbytes",
            (limits::KAFKA_FETCH_AHEAD / limits::KIB).to_string(),
        );
    config
        .create_with_context(Context::default())
        .map(Arc::new)
        .map_err(wrong)
}

/// For groups and their offsets; it is a member of none. With a group of its own, as librdkafka 2.12 crashes otherwise when a broker
/// answers that it is no longer, or not yet, the coordinator of the group that is asked for (`rd_kafka_cgrp_op` is called without
/// one; `tests/found.rs` has met it).
pub(crate) fn groups(options: &KafkaOptions) -> Result<Arc<Consumer>, OptionsError> {
    let mut config = common(options);
    config.set("group.id", "sockeye").set("enable.auto.commit", "false");
    // The other clients say the same of the brokers.
    config.set_log_level(RDKafkaLogLevel::Emerg);
    config
        .create_with_context(Context::default())
        .map(Arc::new)
        .map_err(wrong)
}

/// Takes log lines and errors of a client from its queue. Nothing else is in there: what it fetches is in others.
pub(crate) fn listen(client: &Consumer) {
    while has_said(client) {
        // The context has written it down.
        client.poll(Duration::ZERO);
    }
}

fn common(options: &KafkaOptions) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (name, value) in &options.properties {
        config.set(name, value);
    }
    config
        .set("client.id", "sockeye")
        .set("bootstrap.servers", &options.bootstrap);
    if config.get("enable.sasl.oauthbearer.unsecure.jwt") == Some("true") {
        let token = unsecured_token(config.get("sasl.oauthbearer.config").unwrap_or_default());
        config.set("sasl.oauthbearer.config", token);
    }
    // Who asks for a topic that was removed would make it again.
    config.set("allow.auto.create.topics", "false");
    // A broker that comes back is used again soon.
    config.set("reconnect.backoff.max.ms", "1000");
    // A partition that had no leader when librdkafka asked (a broker that stood still and comes back) is not asked for again before
    // the next regular look, else five minutes later; its readers would stand still.
    config.set("topic.metadata.refresh.interval.ms", millis(limits::KAFKA_TOPIC_CHECK));
    config
}

/// What librdkafka writes into a token that nobody has signed. It makes one with each client, and no other: the crate passes over the
/// question for the next. So it lives as long as it may, unless it is said how long.
fn unsecured_token(said: &str) -> String {
    const LIFE: &str = "lifeSeconds=";
    if said.split(' ').any(|part| part.starts_with(LIFE)) {
        return said.to_owned();
    }
    let life = limits::KAFKA_UNSECURED_TOKEN.as_secs();
    format!("{said} {LIFE}{life}").trim_start().to_owned()
}

fn millis(time: Duration) -> String {
    time.as_millis().to_string()
}

fn wrong(error: KafkaError) -> OptionsError {
    match error {
        KafkaError::ClientConfig(_, why, name, _) => OptionsError(format!("`{name}`: {why}")),
        error => OptionsError(error.to_string()),
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::warn!(target: "librdkafka", facility, "{message}");
            }
            RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => {
                tracing::info!(target: "librdkafka", facility, "{message}");
            }
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::debug!(target: "librdkafka", facility, "{message}");
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = code(&error);
        self.away.hint(code);
        self.away.refused.hint(code, reason);
        if code == Code::AllBrokersDown {
            self.loses();
        }
        // It has written a log line of what is wrong with a broker; of all brokers the watch tells.
        tracing::debug!(target: "librdkafka", %error, "{reason}");
    }
}

impl ConsumerContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Delivery>;

    fn delivery(&self, result: &DeliveryResult<'_>, delivery: Box<Delivery>) {
        delivery.done(match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => {
                let code = code(error);
                self.away.hint(code);
                if code == Code::MessageTimedOut {
                    self.loses();
                }
                Err(code)
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of an hour, which is librdkafka's choice, let no connection be made after it.
    #[test]
    fn a_token_that_is_not_renewed_lives_long() {
        let config = |said: &str| {
            let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            let options = KafkaOptions {
                properties: vec![
                    named("enable.sasl.oauthbearer.unsecure.jwt", "true"),
                    named("sasl.oauthbearer.config", said),
                ],
                ..KafkaOptions::default()
            };
            common(&options).get("sasl.oauthbearer.config").unwrap().to_owned()
        };
        assert_eq!(config("principal=me"), "principal=me lifeSeconds=2073600");
        assert_eq!(config("lifeSeconds=60 principal=me"), "lifeSeconds=60 principal=me");
        assert_eq!(common(&KafkaOptions::default()).get("sasl.oauthbearer.config"), None);
    }

    #[test]
    fn a_client_knows_one_topic_of_a_name() {
        let mut known = Known::default();
        assert!(known.admits("a", Incarnation(1)) && known.admits("b", Incarnation(2)));
        assert!(known.admits("a", Incarnation(1)));
        assert!(!known.admits("a", Incarnation(3)));
    }
}
