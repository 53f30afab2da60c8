//! Whether Kafka answers at all.

use std::time::Duration;

use sockeye_log::Unavailable;

use crate::{
    KafkaOptions, OptionsError,
    admin::unavailable,
    client::{self, Admin},
    native,
};

/// A client that asks who the brokers are, and never for a topic.
///
/// So it is the one that does not forget them: librdkafka 2.12 does only where an answer without brokers tells of topics (see
/// [`native::remind`]). It is not asked by `DescribeCluster`: an answer to that without brokers ends the process
/// (`rd_kafka_DescribeClusterResponse_parse` tells of no error and gives no result; met by `tests/forgotten.rs`).
pub(crate) struct Pulse(Admin);

// ----------------------------------------------------------------------------------------------

impl Pulse {
    pub(crate) fn new(options: &KafkaOptions) -> Result<Self, OptionsError> {
        client::admin(options).map(Self)
    }

    /// Whether a broker answers within this time. Blocks.
    pub(crate) fn check(&self, time: Duration) -> Result<(), Unavailable> {
        native::answers(&self.0, time).map_err(|code| unavailable("describe itself", code))
    }
}
