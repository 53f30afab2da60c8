//! The interface of the log.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use sockeye_limits as limits;
use sockeye_log::{
    AppendError, Batch, Follow, Incarnation, Log, NewRecord, Position, ReadError, ReadLimit, Record, Retention, Span,
    Topic, TopicError, Unavailable,
};

use crate::engine::SqliteEngine;
use crate::follow::Follower;
use crate::read::{self, Found};
use crate::readers::Readers;
use crate::topics::{TopicRow, TopicState};

/// What became of a topic that was to be made.
enum Made {
    New(TopicRow),
    /// It was there; its retention is the new one.
    Kept,
}

// ----------------------------------------------------------------------------------------------

#[async_trait]
impl Log for SqliteEngine {
    async fn create_topic(&self, topic: &Topic, retention: Retention) -> Result<(), TopicError> {
        let (name, topics) = (topic.clone(), self.inner.topics.clone());
        let job = {
            let name = name.clone();
            move |connection: &Connection| make_topic(connection, &name, retention)
        };
        let committed = move |made: &Made| match made {
            Made::New(row) => topics.add(row),
            Made::Kept => {
                if let Some(topic) = topics.get(&name) {
                    topic.kept().retention = retention;
                }
            }
        };
        self.inner
            .writer
            .run_then(job, committed)
            .await
            .map_err(Unavailable::from)?;
        Ok(())
    }

    async fn delete_topic(&self, topic: &Topic) -> Result<(), TopicError> {
        let (name, topics) = (topic.clone(), self.inner.topics.clone());
        let job = {
            let name = name.clone();
            move |connection: &Connection| {
                let mut statement = connection.prepare_cached("UPDATE topics SET name = NULL WHERE name = ?1")?;
                statement.execute([name.to_string()])
            }
        };
        self.inner
            .writer
            .run_then(job, move |_| topics.delete(&name))
            .await
            .map_err(Unavailable::from)?;
        Ok(())
    }

    async fn append(&self, topic: &Topic, records: Vec<NewRecord>) -> Result<(), AppendError> {
        let Some(state) = self.inner.topics.get(topic) else {
            return Err(AppendError::NoTopic(topic.clone()));
        };
        if records.is_empty() {
            return Ok(());
        }
        self.inner.writer.append(&state, records).await
    }

    async fn span(&self, topic: &Topic) -> Result<Span, ReadError> {
        let state = self.topic(topic)?;
        // In this order: the oldest offset never passes the end.
        let oldest = state.oldest();
        Ok(Span {
            oldest: state.position(oldest),
            end: state.position(state.end()),
        })
    }

    async fn position_at(&self, topic: &Topic, time: Timestamp) -> Result<Position, ReadError> {
        let state = self.topic(topic)?;
        let (view, time) = (state.view(0, usize::MAX), microseconds(time));
        let offset = self
            .inner
            .readers
            .run(move |connection| read::at_time(connection, &view, time))
            .await?;
        Ok(state.position(offset.max(state.oldest())))
    }

    async fn read(&self, topic: &Topic, from: &Position, limit: ReadLimit) -> Result<Batch, ReadError> {
        let state = self.topic(topic)?;
        let from = offset_in(&state, from)?;
        let end = state.end();
        if from > end {
            return Err(ReadError::BeyondEnd {
                end: state.position(end),
            });
        }
        let at_end = from == end && from >= state.oldest();
        let records = if at_end {
            Vec::new()
        } else {
            read_file(&state, &self.inner.readers, from, limit).await?
        };
        let next = records.last().map_or(from, |record| record.offset + 1);
        Ok(Batch {
            records,
            next: state.position(next),
        })
    }

    async fn follow(&self, topic: &Topic, from: &Position) -> Result<Box<dyn Follow>, ReadError> {
        let state = self.topic(topic)?;
        let from = offset_in(&state, from)?;
        if from < state.oldest() {
            return Err(ReadError::Trimmed {
                oldest: state.position(state.oldest()),
            });
        }
        if from > state.end() {
            return Err(ReadError::BeyondEnd {
                end: state.position(state.end()),
            });
        }
        let (readers, metrics) = (self.inner.readers.clone(), self.inner.metrics.clone());
        Ok(Box::new(Follower::new(state, readers, metrics, from)))
    }

    async fn trim(&self, topic: &Topic, before: &Position) -> Result<Position, ReadError> {
        let state = self.topic(topic)?;
        let before = offset_in(&state, before)?;
        let job = {
            let state = state.clone();
            move |connection: &Connection| {
                // No commit is on its way while a job runs: the end is the end.
                let end = state.end();
                if before <= end {
                    connection
                        .prepare_cached("UPDATE topics SET oldest = max(oldest, ?2) WHERE id = ?1")?
                        .execute(params![state.id, before.cast_signed()])?;
                }
                Ok(end)
            }
        };
        let committed = {
            let state = state.clone();
            move |end: &u64| {
                if before <= *end {
                    state.set_oldest(before);
                }
            }
        };
        let end = self.inner.writer.run_then(job, committed).await?;
        if before > end {
            return Err(ReadError::BeyondEnd {
                end: state.position(end),
            });
        }
        Ok(state.position(state.oldest()))
    }

    async fn probe(&self) -> Result<(), Unavailable> {
        let answer = self.inner.writer.run(|_| Ok(()));
        match tokio::time::timeout(limits::ENGINE_PROBE, answer).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Unavailable(format!("no answer within {:?}", limits::ENGINE_PROBE))),
        }
    }
}

impl SqliteEngine {
    fn topic(&self, topic: &Topic) -> Result<Arc<TopicState>, ReadError> {
        self.inner
            .topics
            .get(topic)
            .ok_or_else(|| ReadError::NoTopic(topic.clone()))
    }
}

/// Reads what follows an offset from the file.
pub(crate) async fn read_file(
    topic: &TopicState,
    readers: &Readers,
    from: u64,
    limit: ReadLimit,
) -> Result<Vec<Record>, ReadError> {
    let view = topic.view(from, limit.records);
    let found = readers
        .run(move |connection| read::records(connection, &view, from, limit))
        .await;
    match found? {
        Found::Records(records) => Ok(records),
        Found::Trimmed(oldest) => Err(ReadError::Trimmed {
            oldest: topic.position(oldest),
        }),
        Found::NoTopic => Err(ReadError::NoTopic(topic.name.clone())),
    }
}

/// The offset that a position means. One that names no partition is the beginning.
fn offset_in(topic: &TopicState, position: &Position) -> Result<u64, ReadError> {
    if position.incarnation() != topic.incarnation {
        return Err(ReadError::OtherIncarnation {
            oldest: topic.position(topic.oldest()),
        });
    }
    if position.offsets().is_empty() {
        return Ok(topic.oldest());
    }
    Ok(position.offset(0).min(i64::MAX.cast_unsigned()))
}

fn make_topic(connection: &Connection, topic: &Topic, retention: Retention) -> rusqlite::Result<Made> {
    let name = topic.to_string();
    let age = i64::try_from(retention.age.as_millis()).unwrap_or(i64::MAX);
    let bytes = i64::try_from(retention.bytes).unwrap_or(i64::MAX);
    let kept: Option<i64> = connection
        .prepare_cached("UPDATE topics SET retain_age = ?2, retain_bytes = ?3 WHERE name = ?1 RETURNING id")?
        .query_row(params![name, age, bytes], |row| row.get(0))
        .optional()?;
    if kept.is_some() {
        return Ok(Made::Kept);
    }
    let incarnation = Incarnation(rand::random());
    let id = connection
        .prepare_cached(
            "INSERT INTO topics (name, incarnation, retain_age, retain_bytes, oldest, indexed_bytes) \
             VALUES (?1, ?2, ?3, ?4, 0, 0) RETURNING id",
        )?
        .query_row(params![name, incarnation.0.cast_signed(), age, bytes], |row| row.get(0))?;
    Ok(Made::New(TopicRow {
        id,
        name: Some(name),
        incarnation,
        retention,
        oldest: 0,
        indexed_bytes: 0,
    }))
}

/// Microseconds since 1970, rounded up: a record at this time or later is not before `time`.
fn microseconds(time: Timestamp) -> i64 {
    let floor = time.as_microsecond();
    floor + i64::from(time.as_nanosecond() > i128::from(floor) * 1_000)
}
