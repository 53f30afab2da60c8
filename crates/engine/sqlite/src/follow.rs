//! Following a topic.

use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use sockeye_log::{Batch, Follow, ReadError, ReadLimit, Record};

use crate::failure::Failure;
use crate::log;
use crate::metrics::Metrics;
use crate::readers::Readers;
use crate::topics::TopicState;

/// A position that moves: from the tail where it can, from the file where it has fallen behind.
pub(crate) struct Follower {
    topic: Arc<TopicState>,
    readers: Readers,
    metrics: Metrics,
    /// The offset of the next record.
    at: u64,
}

// ----------------------------------------------------------------------------------------------

impl Follower {
    pub(crate) fn new(topic: Arc<TopicState>, readers: Readers, metrics: Metrics, at: u64) -> Self {
        topic.tail.join();
        Self {
            topic,
            readers,
            metrics,
            at,
        }
    }

    /// What follows in the file.
    async fn read_file(&self) -> Result<Vec<Record>, ReadError> {
        self.metrics.follower_reads.inc();
        log::read_file(&self.topic, &self.readers, self.at, ReadLimit::default()).await
    }

    /// What follows in memory.
    fn read_tail(&self) -> Option<Vec<Record>> {
        let commit = self.topic.tail.after(self.at)?;
        let first = commit.records.partition_point(|record| record.offset < self.at);
        Some(commit.records[first..].to_vec())
    }

    fn give(&mut self, records: Vec<Record>) -> Batch {
        self.at = records.last().map_or(self.at, |record| record.offset + 1);
        Batch {
            records,
            next: self.topic.position(self.at),
        }
    }
}

#[async_trait]
impl Follow for Follower {
    async fn next(&mut self) -> Result<Batch, ReadError> {
        let topic = self.topic.clone();
        loop {
            // Before looking: what is appended meanwhile wakes.
            let mut news = pin!(topic.tail.news.notified());
            news.as_mut().enable();
            if topic.is_deleted() {
                return Err(ReadError::NoTopic(topic.name.clone()));
            }
            if topic.is_closed() {
                return Err(Failure::Closed.into());
            }
            if self.at < topic.oldest() {
                return Err(ReadError::Trimmed {
                    oldest: topic.position(topic.oldest()),
                });
            }
            if let Some(records) = self.read_tail() {
                return Ok(self.give(records));
            }
            if self.at < topic.end() {
                let records = self.read_file().await?;
                if !records.is_empty() {
                    return Ok(self.give(records));
                }
            }
            news.await;
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.topic.tail.leave();
    }
}
