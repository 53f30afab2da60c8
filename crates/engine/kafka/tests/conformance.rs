//! The engine passes the conformance suite of the log, on a real Kafka, with one partition and with three.

use std::sync::Arc;

use async_trait::async_trait;
use sockeye_engine_kafka::{KafkaLog, KafkaOptions};
use sockeye_log::{Log, conformance::Fixture};
use sockeye_parts::kafka;

/// An engine of the property's own, on the Kafka that all share.
struct Shared {
    options: KafkaOptions,
    /// `None` between stop and start.
    log: Option<Arc<KafkaLog>>,
}

#[async_trait]
impl Fixture for Shared {
    fn log(&self) -> Arc<dyn Log> {
        self.log.clone().expect("it runs")
    }

    async fn restart(&mut self) {
        self.log = None;
        self.log = Some(open(&self.options));
    }
}

fn open(options: &KafkaOptions) -> Arc<KafkaLog> {
    Arc::new(KafkaLog::new(options).expect("the options are right"))
}

#[allow(clippy::unused_async, reason = "the suite awaits it")]
async fn with_partitions(partitions: u16) -> impl Fixture {
    let kafka = kafka::shared()
        .expect("Kafka can be had")
        .expect("there is nothing to test without Kafka");
    let options = KafkaOptions {
        bootstrap: kafka.bootstrap(),
        partitions: Some(partitions),
        ..KafkaOptions::default()
    };
    Shared {
        log: Some(open(&options)),
        options,
    }
}

mod one_partition {
    async fn fresh() -> impl sockeye_log::conformance::Fixture {
        super::with_partitions(1).await
    }

    sockeye_log::log_conformance!(fresh);
}

mod three_partitions {
    async fn fresh() -> impl sockeye_log::conformance::Fixture {
        super::with_partitions(3).await
    }

    sockeye_log::log_conformance!(fresh);
}
