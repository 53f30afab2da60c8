//! One read of a topic's past, and what is kept for the one that follows it: partitions are fetched from a position up to an
//! end that is known, or to a limit, and those that have more go on being fetched.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::types::RDKafkaErrorCode as Code;
use sockeye_limits as limits;
use sockeye_log::{Batch, Incarnation, Position, ReadLimit, Record, Unavailable};

use crate::{
    admin::{is_unknown_topic, unavailable},
    bounds::Bounds,
    client::Consumer,
    native::{Fetched, Queue, TopicHandle},
    record::Reading,
};

/// A topic that is being read.
pub(crate) struct Reach {
    reading: Reading,
    incarnation: Incarnation,
    client: Arc<Consumer>,
    topic: TopicHandle,
    parts: Vec<Part>,
    /// The partition with which the next read begins: the first is never left without a record.
    turn: usize,
}

/// Why a read gave nothing.
#[derive(Debug)]
pub(crate) enum ReadFailed {
    /// The topic has changed since its bounds were asked for: look again.
    Changed,
    /// Kafka does not answer.
    Unavailable(Unavailable),
}

/// One partition.
struct Part {
    number: u32,
    next: u64,
    end: u64,
    /// While it is fetched.
    queue: Option<Queue>,
    /// Taken from the queue, and too large for what was left of a read.
    held: Option<Record>,
    /// Nothing comes before the end for now: a transaction is open.
    is_held_back: bool,
}

/// What one read has taken, and what it may.
struct Taken {
    records: Vec<Record>,
    bytes: usize,
    limit: ReadLimit,
    deadline: Instant,
    problem: Option<Code>,
}

// ----------------------------------------------------------------------------------------------

impl Reach {
    /// A topic from a position on that [`Bounds::locate`] gave. The client reads it nowhere else.
    pub(crate) fn new(
        client: &Arc<Consumer>,
        reading: Reading,
        bounds: &Bounds,
        from: &Position,
    ) -> Result<Self, ReadFailed> {
        let part = |number, end| Part {
            number,
            next: from.offset(number),
            end,
            queue: None,
            held: None,
            is_held_back: false,
        };
        Ok(Self {
            topic: TopicHandle::new(client, &reading.name).map_err(failed)?,
            reading,
            incarnation: bounds.incarnation,
            client: client.clone(),
            parts: bounds.partitions.iter().map(|p| part(p.number, p.end)).collect(),
            turn: 0,
        })
    }

    /// Whether this topic is read on from there.
    pub(crate) fn is_at(&self, name: &str, position: &Position) -> bool {
        self.reading.name == name && self.position() == *position
    }

    /// Behind the last record given.
    fn position(&self) -> Position {
        Position::new(self.incarnation, self.parts.iter().map(|part| (part.number, part.next)))
    }

    /// Whether there is more before the ends that are known.
    pub(crate) fn has_more(&self) -> bool {
        self.parts.iter().any(Part::has_more)
    }

    /// Goes on up to new ends; `false` if the partitions are others.
    pub(crate) fn extend(&mut self, bounds: &Bounds) -> bool {
        let numbers = bounds.partitions.iter().map(|partition| partition.number);
        if !numbers.eq(self.parts.iter().map(|part| part.number)) {
            return false;
        }
        for (part, partition) in self.parts.iter_mut().zip(&bounds.partitions) {
            part.end = partition.end;
        }
        true
    }

    /// Some of what follows, nothing at the end; not to be used any more after an error.
    pub(crate) fn read(&mut self, limit: ReadLimit) -> Result<Batch, ReadFailed> {
        let mut taken = Taken::new(limit);
        loop {
            let fetched = self.start()?;
            let share = ReadLimit {
                records: limit.records.div_ceil(fetched),
                bytes: limit.bytes.div_ceil(fetched),
            };
            for turn in 0..self.parts.len() {
                let at = (self.turn + turn) % self.parts.len();
                self.parts[at].give(&self.reading, share, &mut taken)?;
            }
            self.stop(|part| !part.has_more());
            if !taken.records.is_empty() || !self.has_more() {
                break;
            }
            if Instant::now() > taken.deadline {
                return Err(taken.nothing());
            }
        }
        self.turn += 1;
        Ok(Batch {
            records: taken.records,
            next: self.position(),
        })
    }

    /// Fetches what has more, so many partitions at a time; the number of those that are fetched, or 1.
    fn start(&mut self) -> Result<usize, ReadFailed> {
        let mut fetched = self.parts.iter().filter(|part| part.queue.is_some()).count();
        for part in self.parts.iter_mut().filter(|part| part.has_more()) {
            if part.queue.is_some() {
                continue;
            }
            if fetched == limits::KAFKA_READ_PARTITIONS {
                break;
            }
            let queue = Queue::new(&self.client);
            let started = self.topic.start(part.number.cast_signed(), Some(part.next), &queue);
            started.map_err(failed)?;
            part.queue = Some(queue);
            fetched += 1;
        }
        Ok(fetched.max(1))
    }

    fn stop(&mut self, ended: impl Fn(&Part) -> bool) {
        for part in self.parts.iter_mut().filter(|part| ended(part)) {
            if part.queue.take().is_some() {
                self.topic.stop(part.number.cast_signed());
            }
        }
    }
}

impl Drop for Reach {
    fn drop(&mut self) {
        self.stop(|_| true);
    }
}

impl Part {
    fn has_more(&self) -> bool {
        self.next < self.end
    }

    /// Gives what it has, up to its end or its share: one that is far behind leaves room for the others.
    fn give(&mut self, reading: &Reading, share: ReadLimit, taken: &mut Taken) -> Result<(), ReadFailed> {
        let mut left = share;
        while self.has_more() {
            let record = match self.held.take() {
                Some(record) => Some(record),
                None => self.fetch(reading, taken)?,
            };
            let Some(record) = record else { break };
            let size = record.size();
            if !taken.has_room(size) || left.records == 0 || left.bytes == 0 {
                self.held = Some(record);
                break;
            }
            left.records -= 1;
            left.bytes = left.bytes.saturating_sub(size);
            self.next = record.offset + 1;
            taken.bytes += size;
            taken.records.push(record);
        }
        Ok(())
    }

    /// The next record, if one comes before the deadline and the end.
    fn fetch(&mut self, reading: &Reading, taken: &mut Taken) -> Result<Option<Record>, ReadFailed> {
        let Some(queue) = &self.queue else { return Ok(None) };
        // What is there needs no clock.
        let mut wait = Duration::ZERO;
        loop {
            match queue.next(wait) {
                Some(Fetched::Record(message)) => {
                    self.is_held_back = false;
                    return Ok(Some(reading.read(&message)));
                }
                Some(Fetched::End { offset, .. }) => {
                    self.next = self.next.max(offset);
                    self.is_held_back = self.next < self.end;
                    return Ok(None);
                }
                Some(Fetched::Problem(code)) if is_gone(code) => return Err(ReadFailed::Changed),
                // librdkafka goes on by itself; it may be a leader that moves.
                Some(Fetched::Problem(code)) => taken.problem = Some(code),
                None => {}
            }
            let left = taken.deadline.saturating_duration_since(Instant::now());
            wait = match (self.is_held_back, taken.records.is_empty()) {
                // Whole milliseconds: less would not wait.
                (false, _) if !left.is_zero() => left.max(Duration::from_millis(1)),
                // For what a transaction holds back, only a reader waits that would have nothing else to give, and not long.
                (true, true) if wait.is_zero() => limits::KAFKA_AGAIN,
                _ => return Ok(None),
            };
        }
    }
}

impl Taken {
    fn new(limit: ReadLimit) -> Self {
        Self {
            records: Vec::new(),
            bytes: 0,
            limit,
            deadline: Instant::now() + limits::KAFKA_ANSWER,
            problem: None,
        }
    }

    /// Whether one more record of this size may be given; the first always.
    fn has_room(&self, size: usize) -> bool {
        let fits = self.records.len() < self.limit.records && self.bytes + size <= self.limit.bytes;
        self.records.is_empty() || fits
    }

    /// Why there is nothing.
    fn nothing(&self) -> ReadFailed {
        ReadFailed::Unavailable(self.problem.map_or_else(
            || Unavailable("Kafka gave no records: a transaction may be open".to_owned()),
            |code| unavailable("give records", code),
        ))
    }
}

/// Whether it says that what is asked for is not there, or no longer.
pub(crate) fn is_gone(code: Code) -> bool {
    is_unknown_topic(code) || matches!(code, Code::OffsetOutOfRange | Code::AutoOffsetReset)
}

fn failed(code: Code) -> ReadFailed {
    ReadFailed::Unavailable(unavailable("give records", code))
}
