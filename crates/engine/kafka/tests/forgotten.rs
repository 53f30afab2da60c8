//! Kafka says, for a moment, that it has no brokers; clients of librdkafka forget them all, and never ask again by themselves.
//!
//! A Kafka of one broker says so when it has stood still for longer than its controller waits, and leads many topics
//! (`scripts/bench kafka` does that). Here a proxy takes the brokers out of its answers.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use common::{PATIENCE, payloads, proxy, proxy::Lie, record};
use sockeye_engine_kafka::{KafkaLog, KafkaOptions};
use sockeye_log::{Follow, Log, Position, ReadLimit, Retention, Topic};
use tokio::time::Instant;

/// A node and its follower, which is opened anew where it must.
struct Node {
    log: KafkaLog,
    topic: Topic,
    follower: Option<Box<dyn Follow>>,
    at: Position,
}

// ----------------------------------------------------------------------------------------------

impl Node {
    /// Stores until it is stored; the follower and a reader have it.
    async fn works(&mut self, payload: &'static str) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.log.append(&self.topic, vec![record(&[], payload)]).await {
            assert!(Instant::now() < deadline, "{payload} is stored: {error}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        let from = self.at.clone();
        let followed = tokio::time::timeout(PATIENCE, self.next()).await;
        // What was not acknowledged may have been stored.
        assert_eq!(
            followed.unwrap_or_default().first().map(String::as_str),
            Some(payload),
            "followed"
        );
        loop {
            match self.log.read(&self.topic, &from, ReadLimit::default()).await {
                Ok(batch) => return assert_eq!(payloads(&batch.records)[0], payload, "read"),
                Err(error) => assert!(Instant::now() < deadline, "{payload} is read: {error}"),
            }
        }
    }

    async fn next(&mut self) -> Vec<String> {
        loop {
            let Some(follower) = &mut self.follower else {
                self.follower = self.log.follow(&self.topic, &self.at).await.ok();
                continue;
            };
            match follower.next().await {
                Ok(batch) => {
                    self.at = batch.next;
                    if !batch.records.is_empty() {
                        return payloads(&batch.records);
                    }
                }
                Err(_) => self.follower = None,
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_have_forgotten_all_brokers_are_reminded_of_them() {
    let Some((mut proxy, _kafka)) = proxy::start().await else {
        return;
    };
    let options = KafkaOptions {
        bootstrap: format!("127.0.0.1:{}", proxy.port),
        ..KafkaOptions::default()
    };
    let log = KafkaLog::new(&options).unwrap();
    let topic = Topic::events_of("forgotten");
    log.create_topic(&topic, Retention::default()).await.unwrap();
    let at = log.span(&topic).await.unwrap().end;
    let follower = log.follow(&topic, &at).await.unwrap();
    let mut node = Node {
        log,
        topic,
        follower: Some(follower),
        at,
    };
    node.works("before").await;

    for payload in ["after", "and again"] {
        // Who produces and who follows ask every few seconds.
        let before = *proxy.deceived.borrow();
        proxy.lie.send_replace(Lie::NoBrokers);
        let forgotten = proxy.deceived.wait_for(|forgotten| *forgotten >= before + 2);
        tokio::time::timeout(PATIENCE, forgotten)
            .await
            .expect("clients forget")
            .unwrap();
        proxy.lie.send_replace(Lie::None);
        node.works(payload).await;
    }
}
