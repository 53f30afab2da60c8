//! What of the log a group has read, and what of that is open: read and not receipted.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use sockeye_log::{Incarnation, Position};

use crate::mark::{Mark, Receipted};

/// The books of a group: from them comes its [`Mark`].
///
/// Records that the group does not want, and offsets that are no records, need no line: between two lines there is nothing to
/// receipt. A run of receipts is one line, so lines are at most about twice as many as open events.
#[derive(Debug)]
pub(crate) struct Ledger {
    incarnation: Incarnation,
    partitions: BTreeMap<u32, Partition>,
}

#[derive(Debug, Default)]
struct Partition {
    /// Read on from here.
    next: u64,
    /// By offset. The first one is open.
    lines: VecDeque<Line>,
    /// Of these are open.
    open: usize,
    /// Runs that were receipted before this group was loaded, as far as they are not read yet.
    known: VecDeque<Range<u64>>,
}

/// An event that is open, or one or several that were receipted behind an open one.
#[derive(Clone, Copy, Debug)]
struct Line {
    offset: u64,
    open: bool,
}

// ----------------------------------------------------------------------------------------------

impl Ledger {
    /// The books as they were stored.
    pub(crate) fn of(mark: &Mark) -> Self {
        let mut ledger = Self {
            incarnation: mark.position.incarnation(),
            partitions: BTreeMap::new(),
        };
        for (partition, next) in mark.position.offsets() {
            ledger.partition(*partition).next = *next;
        }
        for (partition, runs) in &mark.receipted.0 {
            ledger.partition(*partition).known = runs.iter().cloned().collect();
        }
        ledger
    }

    /// Where to read on.
    pub(crate) fn position(&self) -> Position {
        let offsets = self
            .partitions
            .iter()
            .map(|(number, partition)| (*number, partition.next));
        Position::new(self.incarnation, offsets)
    }

    /// Enters an event that was read. False if there is nothing to do for it: it was read before, or is receipted.
    pub(crate) fn open(&mut self, partition: u32, offset: u64) -> bool {
        self.partition(partition).read(offset)
    }

    /// An open event is receipted.
    pub(crate) fn close(&mut self, partition: u32, offset: u64) {
        self.partition(partition).close(offset);
    }

    /// Everything before `next` was read; whether that is more than before.
    pub(crate) fn pass(&mut self, next: &Position) -> bool {
        debug_assert_eq!(next.incarnation(), self.incarnation, "a log of another incarnation");
        let mut moved = false;
        for (partition, next) in next.offsets() {
            moved |= self.partition(*partition).pass(*next);
        }
        moved
    }

    /// Goes on from `oldest` where that is behind: how many events are lost, at most (offsets are not dense).
    pub(crate) fn trim(&mut self, oldest: &Position) -> u64 {
        let mut lost = 0;
        for (partition, oldest) in oldest.offsets() {
            let partition = self.partition(*partition);
            let gap = partition.next..(*oldest).max(partition.next);
            let receipted = partition.known.iter().map(|run| overlap(run, &gap)).sum::<u64>();
            lost += gap.end - gap.start - receipted;
            if partition.pass(gap.end) {
                partition.skip(gap.end - 1);
            }
        }
        lost
    }

    /// What is to be stored.
    pub(crate) fn mark(&self) -> Mark {
        let mut receipted = Vec::new();
        let offsets = self.partitions.iter().map(|(number, partition)| {
            let (low, runs) = partition.mark();
            if !runs.is_empty() {
                receipted.push((*number, runs));
            }
            (*number, low)
        });
        let position = Position::new(self.incarnation, offsets);
        Mark {
            position,
            receipted: Receipted(receipted),
        }
    }

    fn partition(&mut self, number: u32) -> &mut Partition {
        self.partitions.entry(number).or_default()
    }
}

impl Partition {
    fn read(&mut self, offset: u64) -> bool {
        if !self.pass_to(offset) {
            return false;
        }
        let receipted = self.known.front().is_some_and(|run| run.contains(&offset));
        self.next = offset + 1;
        if receipted {
            self.skip(offset);
        } else {
            self.lines.push_back(Line { offset, open: true });
            self.open += 1;
        }
        !receipted
    }

    /// Nothing is to be done for this offset. What comes before the first open event needs no line, nor what follows a run.
    fn skip(&mut self, offset: u64) {
        if self.lines.back().is_some_and(|last| last.open) {
            self.lines.push_back(Line { offset, open: false });
        }
    }

    fn pass(&mut self, next: u64) -> bool {
        let moved = next > self.next;
        if moved {
            self.pass_to(next);
            self.next = next;
        }
        moved
    }

    /// Forgets known runs before an offset that is about to be read; false if it was read before.
    fn pass_to(&mut self, offset: u64) -> bool {
        if offset < self.next {
            return false;
        }
        while self.known.front().is_some_and(|run| run.end <= offset) {
            self.known.pop_front();
        }
        true
    }

    fn close(&mut self, offset: u64) {
        let Ok(at) = self.lines.binary_search_by_key(&offset, |line| line.offset) else {
            return;
        };
        self.open -= usize::from(std::mem::take(&mut self.lines[at].open));
        while self.lines.front().is_some_and(|first| !first.open) {
            self.lines.pop_front();
        }
        // Rarely enough that it costs nothing for each event.
        if self.lines.len() > 4 * self.open + 64 {
            let mut last = true;
            self.lines
                .retain(|line| std::mem::replace(&mut last, line.open) || line.open);
        }
    }

    /// The low-water mark, and the runs behind it.
    fn mark(&self) -> (u64, Vec<Range<u64>>) {
        let mut low = self.lines.front().map_or(self.next, |first| first.offset);
        let mut runs: Vec<Range<u64>> = Vec::new();
        let mut lines = self.lines.iter().peekable();
        let mut start = low;
        while let Some(line) = lines.next() {
            if line.open {
                start = line.offset + 1;
            } else if lines.peek().is_none_or(|next| next.open) {
                runs.push(start..lines.peek().map_or(self.next, |next| next.offset));
            }
        }
        for run in &self.known {
            let run = run.start.max(self.next)..run.end;
            match runs.last_mut() {
                Some(last) if last.end == run.start => last.end = run.end,
                None if run.start == low => low = run.end,
                _ => runs.push(run),
            }
        }
        (low, runs)
    }
}

fn overlap(one: &Range<u64>, other: &Range<u64>) -> u64 {
    one.end.min(other.end).saturating_sub(one.start.max(other.start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        Ledger::of(&Mark::at(Position::new(Incarnation(1), [(0, 10)])))
    }

    fn runs(mark: &Mark) -> (u64, Vec<Range<u64>>) {
        let runs = mark.receipted.0.first().map_or(Vec::new(), |(_, runs)| runs.clone());
        (mark.position.offset(0), runs)
    }

    #[test]
    fn the_mark_follows_receipts() {
        let mut ledger = ledger();
        for offset in [10, 12, 13, 14, 20] {
            assert!(ledger.open(0, offset), "{offset}");
        }
        ledger.pass(&Position::new(Incarnation(1), [(0, 30)]));
        let mut closed = |offset, expected| {
            ledger.close(0, offset);
            assert_eq!(runs(&ledger.mark()), expected, "after {offset}");
        };
        closed(12, (10, vec![11..13; 1]));
        closed(14, (10, vec![11..13, 14..20]));
        closed(13, (10, vec![11..20; 1]));
        closed(13, (10, vec![11..20; 1]));
        closed(10, (20, vec![]));
        closed(20, (30, vec![]));
    }

    #[test]
    fn the_end_of_what_was_read_ends_the_last_run() {
        let mut ledger = ledger();
        assert!(ledger.open(0, 10) && ledger.open(0, 11));
        ledger.close(0, 11);
        assert_eq!(runs(&ledger.mark()), (10, vec![11..12; 1]));
        assert!(ledger.pass(&Position::new(Incarnation(1), [(0, 15)])));
        assert!(!ledger.pass(&Position::new(Incarnation(1), [(0, 15)])));
        assert_eq!(runs(&ledger.mark()), (10, vec![11..15; 1]));
    }

    #[test]
    fn a_loaded_mark_is_kept_until_it_is_read() {
        let mark = Mark {
            position: Position::new(Incarnation(1), [(0, 10)]),
            receipted: Receipted(vec![(0, vec![11..13, 15..20])]),
        };
        let mut ledger = Ledger::of(&mark);
        assert_eq!(ledger.mark(), mark);
        let mut open = |offset, new, expected| {
            assert_eq!(ledger.open(0, offset), new, "{offset}");
            assert_eq!(runs(&ledger.mark()), expected, "after {offset}");
        };
        open(10, true, (10, vec![11..13, 15..20]));
        open(10, false, (10, vec![11..13, 15..20]));
        open(11, false, (10, vec![11..13, 15..20]));
        open(12, false, (10, vec![11..13, 15..20]));
        open(13, true, (10, vec![11..13, 15..20]));
        open(16, false, (10, vec![11..13, 14..20]));
        open(20, true, (10, vec![11..13, 14..20]));
        ledger.close(0, 10);
        ledger.close(0, 13);
        assert_eq!(runs(&ledger.mark()), (20, vec![]));
    }

    #[test]
    fn a_run_at_the_low_water_mark_moves_it() {
        let mark = Mark {
            position: Position::new(Incarnation(1), [(0, 10)]),
            receipted: Receipted(vec![(0, vec![11..13; 1])]),
        };
        let mut ledger = Ledger::of(&mark);
        assert!(ledger.open(0, 10));
        ledger.close(0, 10);
        assert_eq!(runs(&ledger.mark()), (13, vec![]));
    }

    #[test]
    fn what_retention_took_is_counted_once() {
        let mark = Mark {
            position: Position::new(Incarnation(1), [(0, 10)]),
            receipted: Receipted(vec![(0, vec![12..15, 18..25])]),
        };
        let mut ledger = Ledger::of(&mark);
        assert!(ledger.open(0, 10));
        let oldest = Position::new(Incarnation(1), [(0, 20), (4, 3)]);
        assert_eq!(ledger.trim(&oldest), 9 - 3 - 2 + 3);
        assert_eq!(ledger.trim(&oldest), 0);
        assert_eq!(ledger.position(), oldest);
        // What is lost and what was receipted behind an open event stay so after a crash (SIM_SEED=6389).
        assert_eq!(runs(&ledger.mark()), (10, vec![11..25; 1]));
        ledger.close(0, 10);
        assert_eq!(runs(&ledger.mark()), (25, vec![]));
    }

    #[test]
    fn runs_of_receipts_do_not_pile_up() {
        let mut ledger = ledger();
        for offset in 10..10_000 {
            assert!(ledger.open(0, offset));
            if offset != 10 && offset % 1_000 != 0 {
                ledger.close(0, offset);
            }
            assert!(ledger.partitions[&0].lines.len() <= 4 * 11 + 65);
        }
        let (low, runs) = runs(&ledger.mark());
        assert_eq!(
            (low, runs.len(), &runs[0], &runs[9]),
            (10, 10, &(11..1_000), &(9_001..10_000))
        );
    }
}
