//! What one batch of the log holds, decoded once for all lanes and readers.

use std::vec;

use jiff::Timestamp;
use sockeye_event::{Event, EventError, binary};
use sockeye_log::{Batch, Position, Record, Topic};

use crate::groups;
use crate::metrics::Held;
use crate::session::Place;

/// A batch of a topic, or a part of one.
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
    /// The event as groups hold it.
    pub(crate) item: groups::Place,
}

/// A batch on its way to be segments.
pub(crate) struct Cut {
    topic: Topic,
    /// Where the next segment begins.
    from: Position,
    /// Where the last one ends.
    next: Position,
    records: vec::IntoIter<Record>,
    /// Bytes of one segment; one record may be larger.
    most: usize,
    /// What is still to be cut.
    held: Held,
    ended: bool,
}

// ----------------------------------------------------------------------------------------------

impl Entry {
    pub(crate) fn place(&self) -> Place {
        Place {
            partition: self.partition,
            offset: self.offset,
            time: self.time,
        }
    }
}

impl Cut {
    /// Cuts a batch that begins at `from` into segments of at most `most` bytes, or of one record.
    pub(crate) fn new(
        topic: &Topic,
        from: Position,
        batch: Batch,
        most: usize,
        hold: impl FnOnce(usize) -> Held,
    ) -> Self {
        let held = hold(size_of::<Segment>() + batch.records.iter().map(bytes_of).sum::<usize>());
        Self {
            topic: topic.clone(),
            from,
            next: batch.next,
            records: batch.records.into_iter(),
            most,
            held,
            ended: false,
        }
    }
}

impl Iterator for Cut {
    type Item = Segment;

    /// Decodes the next part. A bad record stops no stream: it is skipped, counted and logged with its position (DESIGN.md,
    /// delivery contract 8).
    fn next(&mut self) -> Option<Segment> {
        if self.ended {
            return None;
        }
        let mut bytes = 0;
        let fits = |record: &&Record| {
            bytes += bytes_of(record);
            bytes <= self.most
        };
        let count = self.records.as_slice().iter().take_while(fits).count();
        let count = count.max(1).min(self.records.len());
        let (mut next, mut newest, mut bytes) = (self.from.clone(), None, 0);
        let mut entries = Vec::with_capacity(count);
        for record in self.records.by_ref().take(count) {
            next.advance(record.partition, record.offset + 1);
            newest = Some(record.time);
            bytes += bytes_of(&record);
            match binary::decode(&record.headers, record.payload.as_ref()) {
                Ok(event) => entries.push(Entry {
                    partition: record.partition,
                    offset: record.offset,
                    time: record.time,
                    event,
                    item: groups::Place::default(),
                }),
                Err(error) => skip(&self.topic, &record, &error),
            }
        }
        self.ended = self.records.len() == 0;
        if self.ended {
            next = self.next.clone();
            // So one without records has a size too: there may be any number of them.
            bytes += size_of::<Segment>();
        }
        Some(Segment {
            from: std::mem::replace(&mut self.from, next.clone()),
            next,
            newest,
            bytes,
            skipped: (count - entries.len()) as u64,
            entries,
            _held: self.held.split(bytes),
        })
    }
}

impl Segment {
    /// The events that a reader at this position has not seen.
    pub(crate) fn after<'a>(&'a self, position: &'a Position) -> impl Iterator<Item = usize> + 'a {
        let unseen = |entry: &Entry| entry.offset >= position.offset(entry.partition);
        self.entries
            .iter()
            .enumerate()
            .filter(move |(_, entry)| unseen(entry))
            .map(|(at, _)| at)
    }

    /// Whether a reader at this position reads on in here, without gap.
    pub(crate) fn holds(&self, position: &Position) -> bool {
        position.is_at_or_behind(&self.from) && !position.is_at_or_behind(&self.next)
    }
}

/// What a record takes in memory, about.
fn bytes_of(record: &Record) -> usize {
    record.size() + size_of::<Entry>()
}

fn skip(topic: &Topic, record: &Record, error: &EventError) {
    let (partition, offset) = (record.partition, record.offset);
    tracing::warn!(%topic, partition, offset, %error, "a record that is no event is skipped");
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use sockeye_log::Incarnation;

    use super::*;

    pub(crate) fn position(next: u64) -> Position {
        Position::new(Incarnation(1), [(0, next)])
    }

    /// A segment without events that takes so many bytes.
    pub(crate) fn segment(from: u64, next: u64, bytes: usize) -> Arc<Segment> {
        between(position(from), position(next), bytes)
    }

    pub(crate) fn between(from: Position, next: Position, bytes: usize) -> Arc<Segment> {
        Arc::new(Segment {
            from,
            next,
            entries: Vec::new(),
            newest: None,
            bytes,
            skipped: 0,
            _held: Held::default(),
        })
    }

    /// An entry with an event.
    pub(crate) fn entry(partition: u32, offset: u64) -> Entry {
        let event = Event {
            id: offset.to_string().into(),
            source: "s".into(),
            ty: "t".into(),
            data_content_type: None,
            data_schema: None,
            subject: None,
            time: None,
            extensions: Vec::new(),
            data: None,
        };
        Entry {
            partition,
            offset,
            time: Timestamp::UNIX_EPOCH,
            event,
            item: groups::Place::default(),
        }
    }

    /// The bounds of the segments that a batch of records of these sizes is cut into, from offset 10 on.
    fn cut(sizes: &[usize], next: u64, most: usize) -> Vec<(u64, u64)> {
        let record = |(offset, size): (u64, &usize)| Record {
            partition: 0,
            offset,
            time: Timestamp::UNIX_EPOCH,
            headers: sockeye_event::Headers::default(),
            payload: Some(vec![b'x'; *size].into()),
        };
        let records: Vec<_> = (10..).zip(sizes).map(record).collect();
        let batch = Batch {
            records,
            next: position(next),
        };
        let metrics = crate::Metrics::default();
        let topic = Topic::events_of("app");
        let all: Vec<_> = Cut::new(&topic, position(10), batch, most, |bytes| metrics.hold(bytes)).collect();
        let records: usize = sizes.iter().map(|size| size + size_of::<Entry>()).sum();
        let bytes = size_of::<Segment>() + records;
        assert_eq!(all.iter().map(|segment| segment.bytes).sum::<usize>(), bytes);
        assert_eq!(metrics.held_bytes(), bytes, "each byte is counted once");
        let skipped = all.iter().map(|segment| segment.skipped).sum::<u64>();
        assert_eq!(skipped, sizes.len() as u64, "none of them is an event");
        let bounds = all
            .iter()
            .map(|segment| (segment.from.offset(0), segment.next.offset(0)));
        let bounds = bounds.collect();
        drop(all);
        assert_eq!(metrics.held_bytes(), 0);
        bounds
    }

    #[test]
    fn a_large_batch_is_cut() {
        let entry = size_of::<Entry>();
        assert_eq!(cut(&[], 15, 100), [(10, 15)], "a batch without records moves the end");
        assert_eq!(cut(&[1, 1], 15, 10 * entry), [(10, 15)]);
        assert_eq!(cut(&[0; 5], 20, 2 * entry), [(10, 12), (12, 14), (14, 20)]);
        assert_eq!(cut(&[0; 4], 20, 2 * entry), [(10, 12), (12, 20)]);
        assert_eq!(
            cut(&[5, 10_000, 5], 13, 2 * entry),
            [(10, 11), (11, 12), (12, 13)],
            "one may be larger"
        );
    }
}
