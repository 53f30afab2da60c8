//! What one batch of the log holds, decoded once for all lanes and readers.

use jiff::Timestamp;
use sockeye_event::{Event, EventError, binary};
use sockeye_log::{Batch, Position, Record, Topic};

use crate::metrics::Held;

/// A batch of a topic.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Where it begins.
    pub(crate) from: Position,
    /// Where the next one begins.
    pub(crate) next: Position,
    /// Its events, in the order of the log. Records that are none are left out.
    pub(crate) entries: Vec<Entry>,
    /// When the newest of its records was appended.
    pub(crate) newest: Option<Timestamp>,
    /// Bytes that it keeps in memory.
    pub(crate) bytes: usize,
    /// Records that are no events.
    pub(crate) skipped: u64,
    /// Counts the bytes for as long as anybody needs them.
    pub(crate) _held: Held,
}

/// An event and its place.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) partition: u32,
    pub(crate) offset: u64,
    /// When it was appended.
    pub(crate) time: Timestamp,
    pub(crate) event: Event,
}

// ----------------------------------------------------------------------------------------------

impl Segment {
    /// Decodes a batch. A bad record stops no stream: it is skipped, counted and logged with its position (DESIGN.md,
    /// delivery contract 8).
    pub(crate) fn of(topic: &Topic, from: Position, batch: Batch, held: impl FnOnce(usize) -> Held) -> Self {
        let newest = batch.records.last().map(|record| record.time);
        let bytes = batch
            .records
            .iter()
            .map(|record| record.size() + size_of::<Entry>())
            .sum::<usize>();
        let records = batch.records.len();
        let mut entries = Vec::with_capacity(records);
        for record in batch.records {
            match binary::decode(&record.headers, record.payload.as_ref()) {
                Ok(event) => entries.push(Entry {
                    partition: record.partition,
                    offset: record.offset,
                    time: record.time,
                    event,
                }),
                Err(error) => skip(topic, &record, &error),
            }
        }
        let skipped = (records - entries.len()) as u64;
        Self {
            from,
            next: batch.next,
            entries,
            newest,
            bytes,
            skipped,
            _held: held(bytes),
        }
    }

    /// The events that a reader at this position has not seen.
    pub(crate) fn after<'a>(&'a self, position: &'a Position) -> impl Iterator<Item = usize> + 'a {
        let unseen = |entry: &Entry| entry.offset >= position.offset(entry.partition);
        self.entries
            .iter()
            .enumerate()
            .filter(move |(_, entry)| unseen(entry))
            .map(|(at, _)| at)
    }
}

fn skip(topic: &Topic, record: &Record, error: &EventError) {
    let (partition, offset) = (record.partition, record.offset);
    tracing::warn!(%topic, partition, offset, %error, "a record that is no event is skipped");
}
