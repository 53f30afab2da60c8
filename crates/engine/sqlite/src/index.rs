//! Which chunks are a topic's.
//!
//! Every commit writes chunks of many topics side by side. To note each at once in an index by topic would touch a page of
//! the index for every topic of the commit, 8 KiB for a record of 300 bytes. So a topic keeps its newest chunks in mind
//! (`Kept::pending`) and they are noted all together now and then, many of each topic at a time ([`note`]). What a start finds
//! behind the newest note it keeps in mind again.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::topics::TopicState;

/// A row of `chunks`, without its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// The offset of its first record.
    pub(crate) first: u64,
    /// The offset behind its last record.
    pub(crate) end: u64,
    /// Its size.
    pub(crate) bytes: u64,
    /// Its age mark.
    pub(crate) mark: i64,
}

/// The pending chunks of a topic that were noted, to be forgotten when that is durable.
#[derive(Debug)]
pub(crate) struct Noted {
    topic: Arc<TopicState>,
    /// How many.
    count: usize,
    bytes: u64,
}

// ----------------------------------------------------------------------------------------------

/// Notes the pending chunks of these topics.
pub(crate) fn note(connection: &Connection, topics: &[Arc<TopicState>]) -> rusqlite::Result<Vec<Noted>> {
    let mut insert = connection.prepare_cached("INSERT INTO chunk_index (topic, first) VALUES (?1, ?2)")?;
    let mut update = connection.prepare_cached("UPDATE topics SET indexed_bytes = indexed_bytes + ?2 WHERE id = ?1")?;
    let mut noted = Vec::new();
    for topic in topics {
        let (firsts, bytes) = topic.pending();
        if firsts.is_empty() {
            continue;
        }
        for first in &firsts {
            insert.execute(params![topic.id, first.cast_signed()])?;
        }
        update.execute(params![topic.id, bytes.cast_signed()])?;
        noted.push(Noted {
            topic: topic.clone(),
            count: firsts.len(),
            bytes,
        });
    }
    Ok(noted)
}

impl Noted {
    /// Takes over what is durable now.
    pub(crate) fn publish(&self) {
        let mut kept = self.topic.kept();
        kept.pending.drain(..self.count);
        kept.pending_bytes -= self.bytes;
        kept.indexed_bytes += self.bytes;
    }
}

/// All chunks that are not noted, by topic, in their order.
pub(crate) fn load_pending(connection: &Connection) -> rusqlite::Result<HashMap<i64, Vec<Chunk>>> {
    // Notes are made of all topics at once: what is behind the newest has none.
    let newest: i64 = connection.query_row(
        "SELECT ifnull(max((SELECT max(first) FROM chunk_index WHERE topic = id)), -1) FROM topics",
        [],
        |row| row.get(0),
    )?;
    let mut pending = HashMap::<i64, Vec<Chunk>>::new();
    let mut statement =
        connection.prepare("SELECT first, count, bytes, mark, topic FROM chunks WHERE first > ?1 ORDER BY first")?;
    let mut rows = statement.query([newest])?;
    while let Some(row) = rows.next()? {
        pending.entry(row.get(4)?).or_default().push(chunk(row)?);
    }
    Ok(pending)
}

/// The oldest and the newest of the chunks of a topic that are noted.
pub(crate) fn ends(connection: &Connection, topic: i64) -> rusqlite::Result<(Option<Chunk>, Option<Chunk>)> {
    let end = |sql: &str| connection.prepare_cached(sql)?.query_row([topic], chunk).optional();
    Ok((
        end(&select("topic = ?1 ORDER BY i.first LIMIT 1"))?,
        end(&select("topic = ?1 ORDER BY i.first DESC LIMIT 1"))?,
    ))
}

/// Gives the chunks of a topic from the oldest on, as long as they are taken: those that are noted, then those that are not.
pub(crate) fn take_oldest(
    connection: &Connection,
    topic: &TopicState,
    mut takes: impl FnMut(Chunk) -> bool,
) -> rusqlite::Result<()> {
    let mut noted = connection.prepare_cached(&select("topic = ?1 ORDER BY i.first"))?;
    let mut rows = noted.query([topic.id])?;
    while let Some(row) = rows.next()? {
        if !takes(chunk(row)?) {
            return Ok(());
        }
    }
    let mut one = connection.prepare_cached("SELECT first, count, bytes, mark FROM chunks WHERE first = ?1")?;
    for first in topic.pending().0 {
        let found = one.query_row([first.cast_signed()], chunk).optional()?;
        if found.is_some_and(|found| !takes(found)) {
            return Ok(());
        }
    }
    Ok(())
}

/// Removes chunks of a topic, and the notes of them: all that begin before `below`, which are these.
pub(crate) fn remove(connection: &Connection, topic: i64, firsts: &[u64], below: u64) -> rusqlite::Result<()> {
    let mut delete = connection.prepare_cached("DELETE FROM chunks WHERE first = ?1")?;
    for first in firsts {
        delete.execute([first.cast_signed()])?;
    }
    connection
        .prepare_cached("DELETE FROM chunk_index WHERE topic = ?1 AND first < ?2")?
        .execute(params![topic, below.cast_signed()])?;
    Ok(())
}

fn select(condition: &str) -> String {
    format!(
        "SELECT c.first, c.count, c.bytes, c.mark FROM chunk_index i CROSS JOIN chunks c ON c.first = i.first \
         WHERE i.{condition}"
    )
}

fn chunk(row: &Row<'_>) -> rusqlite::Result<Chunk> {
    let (first, count): (i64, i64) = (row.get(0)?, row.get(1)?);
    Ok(Chunk {
        first: first.cast_unsigned(),
        end: (first + count).cast_unsigned(),
        bytes: row.get::<_, i64>(2)?.cast_unsigned(),
        mark: row.get(3)?,
    })
}
