//! Removes what is no longer kept, in small steps that ride along with commits.
//!
//! A step looks at some topics, by turns, and removes whole chunks: those before the topic's oldest offset (an explicit
//! trim, or a deleted topic), those older than the topic's age, and the oldest beyond its size. The newest chunk is never
//! removed for its size. While much is appended a topic may exceed its size by an eighth ([`limits::TRIM_SLACK`]), so that
//! small topics are not trimmed record by record; when less is going on it is brought down to its size.
//!
//! The pages of what was removed are used again; the file does not shrink. One that is restored from a backup is compact.

use std::sync::Arc;

use rusqlite::{Connection, params};
use sockeye_limits as limits;
use sockeye_log::Retention;

use crate::clock::Ages;
use crate::index::{self, Chunk};
use crate::topics::{TopicState, Topics};

/// What a step did to a topic. It holds when the transaction is durable.
#[derive(Debug)]
pub(crate) struct Trimmed {
    topic: Arc<TopicState>,
    /// The offset below which nothing is left.
    below: u64,
    /// Records removed.
    pub(crate) records: u64,
    /// Size of what was removed of the chunks that are noted in the index.
    indexed_bytes: u64,
    /// Chunks removed of those that are not, and their size.
    pending: usize,
    pending_bytes: u64,
    oldest: Option<Chunk>,
    /// Whether the topic itself is gone.
    gone: bool,
}

/// How much one step may do.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// What tells how old a chunk is.
    pub(crate) ages: Ages,
    /// Records to remove, at most one chunk more.
    pub(crate) records: u64,
    /// Whether more work waits.
    pub(crate) busy: bool,
}

// ----------------------------------------------------------------------------------------------

impl Step {
    /// Whether a topic has something to remove.
    fn concerns(&self, topic: &TopicState) -> bool {
        let kept = topic.kept();
        let slack = if self.busy {
            kept.retention.bytes / limits::TRIM_SLACK
        } else {
            0
        };
        let limit = kept.retention.bytes.saturating_add(slack);
        topic.is_deleted()
            || kept
                .oldest
                .is_some_and(|oldest| self.removes(topic, kept.retention, oldest, kept.bytes(), limit))
    }

    /// Whether the oldest chunk of a topic has to go, when the topic has `bytes` and may have `limit`.
    fn removes(&self, topic: &TopicState, retention: Retention, oldest: Chunk, bytes: u64, limit: u64) -> bool {
        let age = self.ages.of(oldest.mark).max(0).cast_unsigned();
        oldest.end <= topic.oldest()
            || u128::from(age) > retention.age.as_millis()
            || (bytes > limit && oldest.end < topic.end())
            || topic.is_deleted()
    }

    /// The topics whose turn it is and that have something to remove.
    pub(crate) fn concerned(&self, topics: &Topics) -> Vec<Arc<TopicState>> {
        let mut turns = topics.turns();
        let count = turns.len().min(limits::TRIM_STEP_TOPICS);
        let concerned = turns
            .iter()
            .take(count)
            .filter(|topic| self.concerns(topic))
            .cloned()
            .collect();
        turns.rotate_left(count);
        concerned
    }

    /// Takes the step.
    pub(crate) fn take(
        &self,
        connection: &Connection,
        concerned: &[Arc<TopicState>],
    ) -> rusqlite::Result<Vec<Trimmed>> {
        let mut left = self.records;
        let mut trimmed = Vec::new();
        for topic in concerned {
            if left == 0 {
                break;
            }
            let one = self.trim(connection, topic, left)?;
            left = left.saturating_sub(one.records);
            trimmed.push(one);
        }
        Ok(trimmed)
    }

    fn trim(&self, connection: &Connection, topic: &Arc<TopicState>, records: u64) -> rusqlite::Result<Trimmed> {
        let (retention, mut left, noted_to) = {
            let kept = topic.kept();
            let pending = kept.pending.front().copied();
            (kept.retention, kept.bytes(), pending.unwrap_or(u64::MAX))
        };
        let mut trimmed = Trimmed {
            topic: topic.clone(),
            below: topic.oldest(),
            records: 0,
            indexed_bytes: 0,
            pending: 0,
            pending_bytes: 0,
            oldest: None,
            gone: false,
        };
        let (mut removed, mut removed_to) = (Vec::new(), 0);
        index::take_oldest(connection, topic, |chunk| {
            if trimmed.records >= records || !self.removes(topic, retention, chunk, left, retention.bytes) {
                trimmed.oldest = Some(chunk);
                return false;
            }
            removed.push(chunk.first);
            removed_to = chunk.end;
            left = left.saturating_sub(chunk.bytes);
            trimmed.records += chunk.end - chunk.first;
            if chunk.first < noted_to {
                trimmed.indexed_bytes += chunk.bytes;
            } else {
                trimmed.pending += 1;
                trimmed.pending_bytes += chunk.bytes;
            }
            true
        })?;
        trimmed.below = trimmed.below.max(removed_to);
        index::remove(connection, topic.id, &removed, removed_to)?;
        trimmed.gone = topic.is_deleted() && trimmed.oldest.is_none();
        if trimmed.gone {
            connection
                .prepare_cached("DELETE FROM topics WHERE id = ?1")?
                .execute([topic.id])?;
        } else {
            connection
                .prepare_cached(
                    "UPDATE topics SET oldest = max(oldest, ?2), indexed_bytes = indexed_bytes - ?3 WHERE id = ?1",
                )?
                .execute(params![
                    topic.id,
                    trimmed.below.cast_signed(),
                    trimmed.indexed_bytes.cast_signed()
                ])?;
        }
        Ok(trimmed)
    }
}

impl Trimmed {
    /// Takes over what is durable now.
    pub(crate) fn publish(&self, topics: &Topics) {
        let mut kept = self.topic.kept();
        kept.indexed_bytes = kept.indexed_bytes.saturating_sub(self.indexed_bytes);
        kept.pending.drain(..self.pending);
        kept.pending_bytes -= self.pending_bytes;
        kept.oldest = self.oldest;
        self.topic.set_oldest(self.below);
        if self.gone {
            topics.turns().retain(|topic| topic.id != self.topic.id);
        }
    }
}
