//! Sessions that have connections here: they count for as long as they have one (compat/octave.md 2.4).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// All of them, by their hashes.
#[derive(Default)]
pub(crate) struct Sessions {
    table: Mutex<Table>,
    /// One has lost its last connection.
    pub(crate) closed: Notify,
}

#[derive(Default)]
struct Table {
    /// How many connections each has.
    connected: HashMap<String, usize>,
    /// Those that have none any more, and were not prolonged since.
    left: Vec<String>,
}

/// One connection of a session, for as long as it is not dropped.
pub(crate) struct Connected {
    hash: String,
    sessions: Arc<Sessions>,
}

// ----------------------------------------------------------------------------------------------

impl Sessions {
    /// One more connection; `None` if the session has as many as it may have.
    pub(crate) fn connect(self: &Arc<Self>, hash: &str, most: usize) -> Option<Connected> {
        let mut table = self.table();
        let count = table.connected.entry(hash.to_owned()).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Connected {
            hash: hash.to_owned(),
            sessions: Arc::clone(self),
        })
    }

    /// Those that are to be prolonged: with connections, or without one since a moment ago.
    pub(crate) fn due(&self) -> Vec<String> {
        let mut table = self.table();
        let left = std::mem::take(&mut table.left);
        left.into_iter().chain(table.connected.keys().cloned()).collect()
    }

    /// Those that lost their last connection a moment ago.
    pub(crate) fn left(&self) -> Vec<String> {
        std::mem::take(&mut self.table().left)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let mut table = self.sessions.table();
        let Some(count) = table.connected.get_mut(&self.hash) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            table.connected.remove(&self.hash);
            table.left.push(std::mem::take(&mut self.hash));
            drop(table);
            self.sessions.closed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_due_as_long_as_it_has_a_connection_and_once_more() {
        let sessions = Arc::<Sessions>::default();
        let one = sessions.connect("a", 2).unwrap();
        let two = sessions.connect("a", 2).unwrap();
        assert_eq!(sessions.due(), ["a"]);
        drop(one);
        assert_eq!((sessions.left().len(), sessions.due()), (0, vec!["a".to_owned()]));
        drop(two);
        assert_eq!((sessions.left(), sessions.due().len()), (vec!["a".to_owned()], 0));
    }

    #[test]
    fn connections_of_a_session_are_bounded() {
        let sessions = Arc::<Sessions>::default();
        let mut all: Vec<_> = (0..3).map(|_| sessions.connect("a", 3).unwrap()).collect();
        assert!(sessions.connect("a", 3).is_none() && sessions.connect("b", 3).is_some());
        all.pop();
        assert!(sessions.connect("a", 3).is_some());
    }
}
