//! What changes in the registry, for those who remember what they have read of it.

use sockeye_registry::{Change, Registry};
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

/// What changed, and how much of it was taken in.
pub(crate) struct Feed {
    changes: Receiver<Change>,
    era: u64,
}

// ----------------------------------------------------------------------------------------------

impl Feed {
    pub(crate) fn new(registry: &dyn Registry) -> Self {
        Self {
            changes: registry.changes(),
            era: 0,
        }
    }

    /// Moves with every change that made somebody forget.
    pub(crate) fn era(&self) -> u64 {
        self.era
    }

    /// Takes in what changed; `forget` says whether it had to do with what is remembered. [`Change::All`] stands for changes
    /// that were missed, too, and for an engine that has stopped: nothing can be current any more.
    pub(crate) fn catch_up(&mut self, mut forget: impl FnMut(Change) -> bool) {
        loop {
            let (change, is_last) = match self.changes.try_recv() {
                Ok(change) => (change, false),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Lagged(_)) => (Change::All, false),
                Err(TryRecvError::Closed) => (Change::All, true),
            };
            self.era += u64::from(forget(change));
            if is_last {
                return;
            }
        }
    }
}
