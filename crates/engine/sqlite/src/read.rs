//! What is read from the file. Every function runs in one read transaction.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sockeye_log::{ReadLimit, Record};

use crate::topics::View;
use crate::{chunk, commit};

/// Records that follow an offset.
#[derive(Debug)]
pub(crate) enum Found {
    /// They are there; none: the end.
    Records(Vec<Record>),
    /// The oldest offset is beyond.
    Trimmed(u64),
    /// The topic is gone.
    NoTopic,
}

/// Gathers records from chunks.
struct Gathered {
    from: u64,
    limit: ReadLimit,
    records: Vec<Record>,
    bytes: usize,
}

// ----------------------------------------------------------------------------------------------

/// Reads what follows `from`.
pub(crate) fn records(connection: &Connection, view: &View, from: u64, limit: ReadLimit) -> rusqlite::Result<Found> {
    match oldest(connection, view.id)? {
        None => return Ok(Found::NoTopic),
        Some(oldest) if from < oldest => return Ok(Found::Trimmed(oldest)),
        Some(_) => {}
    }
    let mut gathered = Gathered {
        from,
        limit,
        records: Vec::new(),
        bytes: 0,
    };
    // The chunk that begins at or before the offset may hold it.
    let mut indexed = connection.prepare_cached(
        "SELECT c.first, c.count, c.time, c.records FROM chunk_index i CROSS JOIN chunks c ON c.first = i.first \
         WHERE i.topic = ?1 AND i.first >= \
         ifnull((SELECT max(first) FROM chunk_index WHERE topic = ?1 AND first <= ?2), 0) ORDER BY i.first",
    )?;
    let mut newest = None;
    let mut rows = indexed.query(params![view.id, from.cast_signed()])?;
    while let Some(row) = rows.next()? {
        newest = Some(row.get::<_, i64>(0)?.cast_unsigned());
        if !gathered.add(row)? {
            return Ok(Found::Records(gathered.records));
        }
    }
    // What was pending when the view was made may have come into the index since.
    let mut one = connection.prepare_cached("SELECT first, count, time, records FROM chunks WHERE first = ?1")?;
    for first in view
        .pending
        .iter()
        .filter(|first| newest.is_none_or(|newest| **first > newest))
    {
        let mut rows = one.query([first.cast_signed()])?;
        if let Some(row) = rows.next()?
            && !gathered.add(row)?
        {
            break;
        }
    }
    Ok(Found::Records(gathered.records))
}

impl Gathered {
    /// Adds what follows of a chunk; whether there is room for more.
    fn add(&mut self, row: &Row<'_>) -> rusqlite::Result<bool> {
        let (first, count): (i64, i64) = (row.get(0)?, row.get(1)?);
        let (first, end) = (first.cast_unsigned(), (first + count).cast_unsigned());
        if end <= self.from {
            return Ok(true);
        }
        let time = row.get(2)?;
        let mut rest = Bytes::copy_from_slice(row.get_ref(3)?.as_blob()?);
        for _ in first..self.from {
            chunk::skip(&mut rest).map_err(damaged)?;
        }
        for offset in first.max(self.from)..end {
            let record = commit::read(offset, time, chunk::read(&mut rest).map_err(damaged)?);
            self.bytes += record.size();
            let full = self.bytes > self.limit.bytes || self.records.len() >= self.limit.records;
            if full && !self.records.is_empty() {
                return Ok(false);
            }
            self.records.push(record);
        }
        Ok(self.bytes < self.limit.bytes && self.records.len() < self.limit.records)
    }
}

/// The offset of the topic's first record that was appended at a time (microseconds) or later; its end if there is none.
pub(crate) fn at_time(connection: &Connection, view: &View, time: i64) -> rusqlite::Result<u64> {
    let Some(since) = first_since(connection, time)? else {
        return Ok(view.end);
    };
    let indexed: Option<i64> = connection
        .prepare_cached("SELECT min(first) FROM chunk_index WHERE topic = ?1 AND first >= ?2")?
        .query_row(params![view.id, since], |row| row.get(0))?;
    let pending = || {
        view.pending
            .iter()
            .copied()
            .find(|first| *first >= since.cast_unsigned())
    };
    Ok(indexed.map(i64::cast_unsigned).or_else(pending).unwrap_or(view.end))
}

/// The offset of the first chunk of any topic since a time. Times grow with offsets over all topics, so the tree of the
/// offsets serves as an index of times.
fn first_since(connection: &Connection, time: i64) -> rusqlite::Result<Option<i64>> {
    let (low, high): (Option<i64>, Option<i64>) = connection
        .prepare_cached("SELECT (SELECT min(first) FROM chunks), (SELECT max(first) FROM chunks)")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (Some(mut low), Some(high)) = (low, high) else {
        return Ok(None);
    };
    let mut next =
        connection.prepare_cached("SELECT first, time FROM chunks WHERE first >= ?1 ORDER BY first LIMIT 1")?;
    // Chunks below `low` are older, those from `found` on are not.
    let (mut found, mut high) = (None, high + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let (first, stamp): (i64, i64) = next.query_row([middle], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if stamp >= time {
            (found, high) = (Some(first), middle);
        } else {
            low = first + 1;
        }
    }
    Ok(found)
}

/// The oldest offset that may be read; `None` if there is no such topic.
fn oldest(connection: &Connection, topic: i64) -> rusqlite::Result<Option<u64>> {
    let oldest: Option<i64> = connection
        .prepare_cached("SELECT oldest FROM topics WHERE id = ?1 AND name IS NOT NULL")?
        .query_row([topic], |row| row.get(0))
        .optional()?;
    Ok(oldest.map(i64::cast_unsigned))
}

fn damaged(error: chunk::DamagedChunk) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(3, rusqlite::types::Type::Blob, Box::new(error))
}
