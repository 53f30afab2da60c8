//! What a producer of librdkafka cannot make good: it takes no records any more.
//!
//! A broker that has lost what it had acknowledged says that the numbers of records do not follow each other. That cannot be had of a
//! real one at will; a proxy says so.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use common::{PATIENCE, proxy, proxy::Lie, record};
use sockeye_engine_kafka::{KafkaLog, KafkaOptions};
use sockeye_log::{AppendError, Log as _, Retention, Topic};
use tokio::time::Instant;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_stores_again_after_what_its_producer_cannot_make_good() {
    let Some((proxy, _kafka)) = proxy::start().await else {
        return;
    };
    let options = KafkaOptions {
        bootstrap: format!("127.0.0.1:{}", proxy.port),
        ..KafkaOptions::default()
    };
    let (log, topic) = (KafkaLog::new(&options).unwrap(), Topic::events_of("fatal"));
    log.create_topic(&topic, Retention::default()).await.unwrap();
    let one = || vec![record(&[], "1")];
    log.append(&topic, one()).await.unwrap();

    proxy.lie.send_replace(Lie::OutOfOrder);
    let refused = log.append(&topic, one()).await;
    assert!(matches!(refused, Err(AppendError::Unavailable(_))), "{refused:?}");
    proxy.lie.send_replace(Lie::None);
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = log.append(&topic, one()).await {
        assert!(Instant::now() < deadline, "{error}");
    }
}
