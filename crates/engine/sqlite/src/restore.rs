//! Making the file of a server from a backup.
//!
//! Every topic gets a new incarnation: clients that come with a cursor of what happened after the backup are told, instead
//! of being given something else. Groups go on where they were when the backup was made.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use crate::backup::{BackupError, Partial, count, open_source};
use crate::lock::{Lock, beside};
use crate::open::{self, OpenError};

/// What was restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoreReport {
    /// Topics in it.
    pub topics: u64,
    /// Records in it.
    pub records: u64,
    /// Size of the file.
    pub bytes: u64,
}

/// Why nothing was restored. What was there before is untouched.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The file is there.
    #[error("{} exists: move it away, or restore with `--force` to replace it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A server uses the file, or it cannot be locked.
    #[error(transparent)]
    InUse(#[from] OpenError),
    /// The backup cannot be read.
    #[error(transparent)]
    Backup(BackupError),
    /// The backup is damaged.
    #[error("the backup {} is damaged ({detail}): use another one", path.display())]
    Damaged {
        /// The backup.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The file cannot be written.
    #[error("{} cannot be written: {detail}", path.display())]
    Target {
        /// The file.
        path: PathBuf,
        /// What SQLite or the system says.
        detail: String,
    },
}

// ----------------------------------------------------------------------------------------------

/// Makes `target` from a backup. If it is there, only with `force`, and not while a server uses it. The result is compact:
/// pages that were free in the backup are not in it.
pub fn restore(backup: &Path, target: &Path, force: bool) -> Result<RestoreReport, RestoreError> {
    let _lock = Lock::take(target)?;
    if target.exists() && !force {
        return Err(RestoreError::Exists {
            path: target.to_owned(),
        });
    }
    let source = open_source(backup).map_err(RestoreError::Backup)?;
    let damaged = |detail| RestoreError::Damaged {
        path: backup.to_owned(),
        detail,
    };
    let counts = check(&source).map_err(damaged)?;

    let failed = |error: &dyn std::error::Error| RestoreError::Target {
        path: target.to_owned(),
        detail: error.to_string(),
    };
    let partial = Partial::create(target).map_err(|error| failed(&error))?;
    write(&source, partial.path()).map_err(|error| failed(&error))?;
    // What is left of the file that was there would be taken for a part of the new one.
    for suffix in ["-wal", "-shm"] {
        match fs::remove_file(beside(target, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&error)),
            _ => {}
        }
    }
    open::sync_folder(target).map_err(|error| failed(&error))?;
    let bytes = partial.publish(target).map_err(|error| failed(&error))?;
    let (topics, records) = counts;
    Ok(RestoreReport { topics, records, bytes })
}

/// Reads the backup as a whole, and counts what is in it.
fn check(source: &Connection) -> Result<(u64, u64), String> {
    let integrity: String = source
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(|error| error.to_string())?;
    if integrity != "ok" {
        return Err(integrity);
    }
    count(source).map_err(|error| error.to_string())
}

fn write(source: &Connection, target: &Path) -> rusqlite::Result<()> {
    let name = target
        .to_str()
        .ok_or_else(|| rusqlite::Error::InvalidPath(target.to_owned()))?;
    source.execute("VACUUM INTO ?1", [name])?;
    let mut restored = Connection::open(target)?;
    restored.pragma_update(None, "synchronous", "FULL")?;
    let transaction = restored.transaction()?;
    let old: Vec<i64> = transaction
        .prepare("SELECT incarnation FROM topics")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for old in old {
        let new = rand::random::<i64>();
        for table in ["topics", "group_positions", "dead_letters"] {
            let sql = format!("UPDATE {table} SET incarnation = ?2 WHERE incarnation = ?1");
            transaction.prepare_cached(&sql)?.execute(params![old, new])?;
        }
    }
    transaction.commit()?;
    restored.close().map_err(|(_, error)| error)
}
