//! Memory for the events of all groups together.
//!
//! Each group has its window, and each member its credit; a thousand groups whose members are slow would still hold a thousand
//! windows. When as much is held as may be, a group reads on only if it has less than its share: so none is kept from reading
//! by others, and who holds most waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus_client::metrics::gauge::Gauge;

/// What all groups hold, and how many there are. A clone counts into the same numbers.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    most: usize,
    /// Bytes of events and their frames; what groups share counts once.
    held: Gauge,
    groups: Arc<AtomicUsize>,
}

/// One group's share. Dropped, it is the others'.
#[derive(Debug)]
pub(crate) struct Share(Memory);

// ----------------------------------------------------------------------------------------------

impl Memory {
    /// So many bytes; `held` tells how many are in use.
    pub(crate) fn new(most: usize, held: Gauge) -> Self {
        Self {
            most,
            held,
            groups: Arc::default(),
        }
    }

    /// For one more group.
    pub(crate) fn share(&self) -> Share {
        self.groups.fetch_add(1, Ordering::Relaxed);
        Share(self.clone())
    }
}

impl Share {
    /// Whether a group that has so many bytes of events may take one more. Who has none always may.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let Memory { most, held, groups } = &self.0;
        bytes == 0 || held.get() < *most as i64 || bytes < most / groups.load(Ordering::Relaxed).max(1)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.groups.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_less_than_its_share_is_not_kept_from_more() {
        let held = Gauge::default();
        let memory = Memory::new(100, held.clone());
        let (one, two) = (memory.share(), memory.share());
        held.set(99);
        assert!(one.has_room(99), "nobody else needs it");
        held.set(100);
        assert!(!one.has_room(90) && two.has_room(10), "its share is 50");
        assert!(one.has_room(49) && !one.has_room(50));
        let many: Vec<_> = (0..1_000).map(|_| memory.share()).collect();
        assert!(many.iter().all(|one| one.has_room(0) && !one.has_room(1)));
        drop((many, two));
        assert!(one.has_room(99));
    }
}
