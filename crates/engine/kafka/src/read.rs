//! One read: partitions fetched from a position up to an end that is known, or to a limit.

use std::{
    cell::RefCell,
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::types::RDKafkaErrorCode as Code;
use sockeye_limits as limits;
use sockeye_log::{Batch, Incarnation, Position, ReadLimit, Unavailable};

use crate::{
    KafkaOptions,
    admin::{is_unknown_topic, unavailable},
    bounds::Bounds,
    client::{self, Consumer, Known},
    native::{Fetched, Queue, TopicHandle},
    record::Reading,
};

/// What one thread reads with.
pub(crate) struct Reader {
    options: KafkaOptions,
    current: RefCell<(Arc<Consumer>, Known)>,
}

/// Why a read gave nothing.
#[derive(Debug)]
pub(crate) enum ReadFailed {
    /// The topic has changed since its bounds were asked for: look again.
    Changed,
    /// Kafka does not answer.
    Unavailable(Unavailable),
}

/// One partition that has something to read.
struct Part {
    number: u32,
    next: u64,
    end: u64,
    /// What this partition may still give, so that one that is far behind leaves room for the others.
    records: usize,
    bytes: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    /// Before its end: a transaction is open.
    HeldBack,
    Done,
}

// ----------------------------------------------------------------------------------------------

impl Reader {
    pub(crate) fn new(options: KafkaOptions, client: Arc<Consumer>) -> Self {
        Self {
            options,
            current: RefCell::new((client, Known::default())),
        }
    }

    /// A client that has never known another topic of this name.
    fn client(&self, name: &str, incarnation: Incarnation) -> Result<Arc<Consumer>, ReadFailed> {
        let mut current = self.current.borrow_mut();
        if !current.1.admits(name, incarnation) {
            let made = client::consumer(&self.options, limits::KAFKA_READ_WAIT);
            let client = made.map_err(|error| ReadFailed::Unavailable(Unavailable(error.to_string())))?;
            *current = (client, Known::default());
            current.1.admits(name, incarnation);
        }
        Ok(current.0.clone())
    }

    /// Reads from a position that [`Bounds::locate`] gave.
    pub(crate) fn read(
        &self,
        reading: &Reading,
        bounds: &Bounds,
        from: Position,
        limit: ReadLimit,
    ) -> Result<Batch, ReadFailed> {
        let mut parts = parts(bounds, &from, limit);
        if parts.is_empty() {
            return Ok(Batch {
                records: Vec::new(),
                next: from,
            });
        }
        let client = self.client(&reading.name, bounds.incarnation)?;
        let queue = Queue::new(&client);
        let topic = TopicHandle::new(&client, &reading.name).map_err(failed)?;
        let started = parts
            .iter()
            .try_for_each(|part| topic.start(part.number.cast_signed(), Some(part.next), &queue))
            .map_err(failed);
        let records = started.and_then(|()| collect(&queue, reading, &mut parts, limit));
        for part in &parts {
            topic.stop(part.number.cast_signed());
        }
        // Log lines and errors, which the context has written down.
        while client.poll(Duration::ZERO).is_some() {}
        let records = records?;
        let mut next = from;
        for part in &parts {
            next.advance(part.number, part.next);
        }
        Ok(Batch { records, next })
    }
}

/// The partitions that have something to read, with an equal share of the limit.
fn parts(bounds: &Bounds, from: &Position, limit: ReadLimit) -> Vec<Part> {
    let mut parts: Vec<Part> = bounds
        .partitions
        .iter()
        .map(|partition| Part {
            number: partition.number,
            next: from.offset(partition.number),
            end: partition.end,
            records: 0,
            bytes: 0,
            state: State::Reading,
        })
        .filter(|part| part.next < part.end)
        .collect();
    let count = parts.len();
    for part in &mut parts {
        part.records = limit.records.div_ceil(count);
        part.bytes = limit.bytes / count;
    }
    parts
}

fn collect(
    queue: &Queue,
    reading: &Reading,
    parts: &mut [Part],
    limit: ReadLimit,
) -> Result<Vec<sockeye_log::Record>, ReadFailed> {
    let deadline = Instant::now() + limits::KAFKA_ANSWER;
    let mut records = Vec::new();
    let mut bytes = 0;
    let mut problem = None;
    loop {
        let is_reading = parts.iter().any(|part| part.state == State::Reading);
        let held_back = parts.iter().any(|part| part.state == State::HeldBack);
        // For what a transaction holds back, only a reader waits that would have nothing else to give.
        if !is_reading && (!held_back || !records.is_empty()) {
            return Ok(records);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        // Whole milliseconds: less would not wait.
        match queue.next(left.max(Duration::from_millis(1))) {
            Some(Fetched::Record(message)) => {
                let Some(part) = parts
                    .iter_mut()
                    .find(|p| p.number == message.partition().unsigned_abs())
                else {
                    continue;
                };
                if part.state == State::Done {
                    continue;
                }
                let record = reading.read(&message);
                let size = record.size();
                if !records.is_empty() && (records.len() >= limit.records || bytes + size > limit.bytes) {
                    return Ok(records);
                }
                part.take(record.offset, size);
                bytes += size;
                records.push(record);
            }
            Some(Fetched::End { partition, offset }) => {
                if let Some(part) = parts.iter_mut().find(|part| part.number == partition.unsigned_abs()) {
                    part.ended(offset);
                }
            }
            Some(Fetched::Problem(code)) if is_gone(code) => return Err(ReadFailed::Changed),
            // librdkafka goes on by itself; it may be a leader that moves.
            Some(Fetched::Problem(code)) => problem = Some(code),
            None if left.is_zero() && !records.is_empty() => return Ok(records),
            None if left.is_zero() => {
                let why = problem.map_or_else(
                    || Unavailable("Kafka gave no records: a transaction may be open".to_owned()),
                    |code| unavailable("give records", code),
                );
                return Err(ReadFailed::Unavailable(why));
            }
            None => {}
        }
    }
}

/// Whether it says that what is asked for is not there, or no longer.
pub(crate) fn is_gone(code: Code) -> bool {
    is_unknown_topic(code) || matches!(code, Code::OffsetOutOfRange | Code::AutoOffsetReset)
}

fn failed(code: Code) -> ReadFailed {
    ReadFailed::Unavailable(unavailable("give records", code))
}

impl Part {
    /// A record of this partition was taken.
    fn take(&mut self, offset: u64, size: usize) {
        self.next = offset + 1;
        self.records = self.records.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(size);
        let full = self.records == 0 || self.bytes == 0;
        self.state = if full || self.next >= self.end {
            State::Done
        } else {
            State::Reading
        };
    }

    /// There is nothing more before this offset.
    fn ended(&mut self, offset: u64) {
        if self.state != State::Done {
            self.next = self.next.max(offset);
            self.state = if self.next >= self.end {
                State::Done
            } else {
                State::HeldBack
            };
        }
    }
}
