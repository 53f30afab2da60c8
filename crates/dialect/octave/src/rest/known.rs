//! What a node has noted of one log: which parts of it hold which streams.

use std::collections::VecDeque;

use sockeye_limits as limits;
use sockeye_log::Position;

/// The part of a log that was looked at: all from one position to another.
pub(super) struct Known {
    pub(super) from: Position,
    pub(super) to: Position,
    /// Oldest first, without gaps.
    parts: VecDeque<Part>,
    /// Streams of all parts.
    noted: usize,
}

/// Some records that follow one another.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) from: Position,
    pub(super) next: Position,
    pub(super) records: usize,
    /// Hashes of the streams that have events here, in order.
    pub(super) streams: Vec<u32>,
}

// ----------------------------------------------------------------------------------------------

impl Known {
    /// Nothing yet, before this position.
    pub(super) fn at(end: &Position) -> Self {
        Self {
            from: end.clone(),
            to: end.clone(),
            parts: VecDeque::new(),
            noted: 0,
        }
    }

    /// The parts before a position that hold a stream, oldest first.
    pub(super) fn holding(&self, stream: u32, below: &Position) -> Vec<Part> {
        let holds = |part: &&Part| !part.from.is_at_or_behind(below) && part.streams.binary_search(&stream).is_ok();
        self.parts.iter().filter(holds).cloned().collect()
    }

    pub(super) fn push(&mut self, part: Part) {
        self.to = part.next.clone();
        self.noted += part.streams.len();
        match self.parts.back_mut() {
            // Each read notes a little.
            Some(last) if last.records + part.records <= limits::READ_RECORDS => {
                self.noted -= part.streams.len() + last.streams.len();
                (last.next, last.records) = (part.next, last.records + part.records);
                last.streams.extend(part.streams);
                last.streams.sort_unstable();
                last.streams.dedup();
                self.noted += last.streams.len();
            }
            _ => self.parts.push_back(part),
        }
        self.shrink();
    }

    /// What begins here, and ends where all begins.
    pub(super) fn push_before(&mut self, from: Position, parts: Vec<Part>) {
        for part in parts.into_iter().rev() {
            self.noted += part.streams.len();
            self.parts.push_front(part);
        }
        self.from = from;
        self.shrink();
    }

    /// Retention has passed this position.
    pub(super) fn forget(&mut self, oldest: &Position) {
        while self
            .parts
            .front()
            .is_some_and(|part| oldest.is_at_or_behind(&part.next))
        {
            self.drop_first();
        }
        if let Some(first) = self.parts.front_mut()
            && oldest.is_at_or_behind(&first.from)
        {
            first.from = oldest.clone();
            self.from = oldest.clone();
        }
    }

    /// What is too much is looked for again.
    fn shrink(&mut self) {
        while self.noted > limits::OCTAVE_NOTED_PLACES && self.parts.len() > 1 {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some(first) = self.parts.pop_front() {
            self.noted -= first.streams.len();
            self.from = first.next;
        }
    }
}
