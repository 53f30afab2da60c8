//! The newest commits of a topic, kept in memory for those who follow it.
//!
//! There is one tail per topic, whatever the number of followers: a follower is a position and nothing more. One that is
//! within the tail reads from it; one that has fallen behind reads from the file until it is within the tail again. So the
//! writer never waits for a follower, and a follower never holds memory of its own.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use sockeye_limits as limits;
use sockeye_log::Record;
use tokio::sync::Notify;

use crate::sync::lock;

/// What one commit added to a topic.
#[derive(Debug)]
pub(crate) struct Committed {
    /// The topic's end before it.
    pub(crate) from: u64,
    /// The topic's end after it.
    pub(crate) to: u64,
    /// Its records, in order.
    pub(crate) records: Vec<Record>,
    /// Their size.
    pub(crate) bytes: usize,
}

/// Memory that all tails of an engine share.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    used: AtomicUsize,
}

/// The tail of one topic. Empty while nobody follows.
#[derive(Debug)]
pub(crate) struct Tail {
    state: Mutex<State>,
    budget: Arc<Budget>,
    /// Tells the followers of every commit, and of the topic's end.
    pub(crate) news: Notify,
}

#[derive(Debug, Default)]
struct State {
    followers: usize,
    commits: VecDeque<Arc<Committed>>,
    bytes: usize,
}

// ----------------------------------------------------------------------------------------------

impl Tail {
    pub(crate) fn new(budget: Arc<Budget>) -> Self {
        Self {
            state: Mutex::default(),
            budget,
            news: Notify::new(),
        }
    }

    /// Whether anyone follows: if not, a commit needs no copy in memory.
    pub(crate) fn is_followed(&self) -> bool {
        self.state().followers > 0
    }

    /// Counts one more follower.
    pub(crate) fn join(&self) {
        self.state().followers += 1;
    }

    /// Counts one follower less.
    pub(crate) fn leave(&self) {
        let mut state = self.state();
        state.followers -= 1;
        if state.followers == 0 {
            while self.drop_oldest(&mut state) {}
        }
    }

    /// Adds a commit. Every commit is added while there are followers, and the last one to leave empties the tail: it has
    /// no gap.
    pub(crate) fn push(&self, commit: Committed) {
        let mut state = self.state();
        if state.followers > 0 {
            state.bytes += commit.bytes;
            self.budget.used.fetch_add(commit.bytes, Ordering::Relaxed);
            state.commits.push_back(Arc::new(commit));
            while state.commits.len() > limits::FOLLOW_QUEUE_BATCHES
                || (state.commits.len() > 1 && state.bytes > limits::FOLLOW_QUEUE_BYTES)
                || self.budget.used.load(Ordering::Relaxed) > limits::FOLLOW_QUEUES_BYTES
            {
                if !self.drop_oldest(&mut state) {
                    break;
                }
            }
        }
    }

    /// The commit that holds what follows offset `at`, if it is still in memory.
    pub(crate) fn after(&self, at: u64) -> Option<Arc<Committed>> {
        let state = self.state();
        let index = state.commits.partition_point(|commit| commit.to <= at);
        state.commits.get(index).filter(|commit| commit.from <= at).cloned()
    }

    fn drop_oldest(&self, state: &mut State) -> bool {
        let Some(commit) = state.commits.pop_front() else {
            return false;
        };
        state.bytes -= commit.bytes;
        self.budget.used.fetch_sub(commit.bytes, Ordering::Relaxed);
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let mut state = std::mem::take(&mut *self.state());
        while self.drop_oldest(&mut state) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(from: u64, to: u64, bytes: usize) -> Committed {
        Committed {
            from,
            to,
            records: Vec::new(),
            bytes,
        }
    }

    /// The offsets from which the tail can be read, of those from 0 to 199.
    fn readable(tail: &Tail) -> Vec<u64> {
        (0..200).filter(|at| tail.after(*at).is_some()).collect()
    }

    #[test]
    fn nothing_is_kept_for_nobody() {
        let tail = Tail::new(Arc::default());
        tail.push(commit(0, 5, 10));
        assert!(readable(&tail).is_empty());
        tail.join();
        tail.push(commit(5, 8, 10));
        assert_eq!(readable(&tail), [5, 6, 7]);
        tail.leave();
        assert!(readable(&tail).is_empty());
        assert_eq!(tail.budget.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn offsets_between_two_commits_belong_to_the_later_one() {
        let tail = Tail::new(Arc::default());
        tail.join();
        tail.push(commit(3, 20, 10)); // records at 18 and 19: other topics had the others
        tail.push(commit(20, 23, 10));
        assert_eq!(tail.after(3).unwrap().to, 20);
        assert_eq!(tail.after(19).unwrap().to, 20);
        assert_eq!(tail.after(20).unwrap().to, 23);
        assert!(tail.after(2).is_none());
        assert!(tail.after(23).is_none());
    }

    #[test]
    fn the_oldest_commits_go_first() {
        let tail = Tail::new(Arc::default());
        tail.join();
        let count = limits::FOLLOW_QUEUE_BATCHES as u64 + 1;
        for at in 0..count {
            tail.push(commit(at, at + 1, 10));
        }
        assert_eq!(readable(&tail), (1..count).collect::<Vec<_>>());
        tail.push(commit(count, count + 1, limits::FOLLOW_QUEUE_BYTES));
        assert_eq!(readable(&tail), [count], "one commit is kept whatever its size");
    }

    #[test]
    fn all_tails_share_one_budget() {
        let budget = Arc::<Budget>::default();
        let [one, two] = [Tail::new(budget.clone()), Tail::new(budget)];
        one.join();
        two.join();
        one.push(commit(0, 1, limits::FOLLOW_QUEUES_BYTES));
        assert_eq!(readable(&one), [0]);
        two.push(commit(0, 1, 1));
        assert!(readable(&two).is_empty(), "read from the file");
        drop(one);
        two.push(commit(1, 2, 1));
        assert_eq!(readable(&two), [1]);
    }
}
