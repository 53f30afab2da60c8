//! Copying the file while a server writes to it.
//!
//! The copy is of one moment: a read transaction holds it for as long as the copying takes. Meanwhile the write-ahead log
//! grows by what is written. The copy has all pages, those too that are free; `restore` makes a compact file of it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use sockeye_limits as limits;

use crate::lock::beside;
use crate::open::{self, OpenError};
use crate::schema::{self, Kind};

/// What was copied, and found whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupReport {
    /// Topics in it.
    pub topics: u64,
    /// Records in it.
    pub records: u64,
    /// Size of the copy.
    pub bytes: u64,
}

/// Why there is no backup. No part of one is left behind.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is no such file.
    #[error("there is no file {}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The target is there.
    #[error("{} exists: choose another name for the backup", path.display())]
    Exists {
        /// The target.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error(transparent)]
    Source(#[from] OpenError),
    /// The target cannot be written.
    #[error("the backup {} cannot be written: {detail}", path.display())]
    Target {
        /// The target.
        path: PathBuf,
        /// What SQLite or the system says.
        detail: String,
    },
    /// The copy is not what it should be.
    #[error("the copy of {} is not whole ({detail}): check the disk and try again", path.display())]
    NotWhole {
        /// What was copied.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
}

// ----------------------------------------------------------------------------------------------

/// Copies the file `path`, which a server may be using, to `target`, which must not exist. `progress` is told the pages that
/// are copied and their number. The target has its name only when it is whole and on disk.
pub fn backup(path: &Path, target: &Path, mut progress: impl FnMut(usize, usize)) -> Result<BackupReport, BackupError> {
    if target.exists() {
        return Err(BackupError::Exists {
            path: target.to_owned(),
        });
    }
    let source = open_source(path)?;
    let failed = |error: rusqlite::Error| BackupError::Source(OpenError::of(path, &error));
    // Everything below is of the moment of the first read.
    let moment = source.unchecked_transaction().map_err(failed)?;
    let (topics, records) = count(&moment).map_err(failed)?;

    let partial = Partial::create(target).map_err(|error| target_failed(target, &error))?;
    copy(&moment, partial.path(), &mut progress).map_err(|error| target_failed(target, &error))?;
    drop(moment);
    verify(partial.path(), (topics, records)).map_err(|detail| BackupError::NotWhole {
        path: path.to_owned(),
        detail,
    })?;
    let bytes = partial.publish(target).map_err(|error| target_failed(target, &error))?;
    Ok(BackupReport { topics, records, bytes })
}

/// Opens a file that is to be copied.
pub(crate) fn open_source(path: &Path) -> Result<Connection, BackupError> {
    if !path.exists() {
        return Err(BackupError::Missing { path: path.to_owned() });
    }
    let failed = |error: rusqlite::Error| OpenError::of(path, &error);
    let connection = open::reader(path).map_err(failed)?;
    let (path, known) = (path.to_owned(), schema::STEPS.len());
    match schema::kind(&connection).map_err(failed)? {
        Kind::Ours(found) if found > known => Err(OpenError::Newer { path, found, known }.into()),
        Kind::Ours(_) => Ok(connection),
        Kind::Empty | Kind::Foreign => Err(OpenError::Foreign { path }.into()),
    }
}

fn copy(source: &Connection, target: &Path, progress: &mut impl FnMut(usize, usize)) -> rusqlite::Result<()> {
    let mut target = Connection::open(target)?;
    {
        let copying = Backup::new(source, &mut target)?;
        loop {
            let step = copying.step(limits::BACKUP_STEP_PAGES)?;
            let state = copying.progress();
            let total = usize::try_from(state.pagecount).unwrap_or(0);
            progress(
                total.saturating_sub(usize::try_from(state.remaining).unwrap_or(0)),
                total,
            );
            match step {
                StepResult::Done => break,
                // Nobody writes to what the transaction holds, and nobody knows the target.
                StepResult::Busy | StepResult::Locked => return Err(locked()),
                _ => {}
            }
        }
    }
    // One plain file, without a write-ahead log beside it.
    target.pragma_update(None, "journal_mode", "DELETE")?;
    target.close().map_err(|(_, error)| error)
}

fn locked() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None)
}

/// Reads the copy as a whole.
fn verify(path: &Path, counts: (u64, u64)) -> Result<(), String> {
    let check = || -> rusqlite::Result<(String, (u64, u64))> {
        let connection = open::reader(path)?;
        let integrity = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        Ok((integrity, count(&connection)?))
    };
    match check() {
        Err(error) => Err(error.to_string()),
        Ok((integrity, _)) if integrity != "ok" => Err(integrity),
        Ok((_, copied)) if copied != counts => Err(format!("{copied:?} topics and records instead of {counts:?}")),
        Ok(_) => Ok(()),
    }
}

/// Topics and records.
pub(crate) fn count(connection: &Connection) -> rusqlite::Result<(u64, u64)> {
    let number = |sql| {
        connection
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .map(i64::cast_unsigned)
    };
    Ok((
        number("SELECT count(*) FROM topics WHERE name IS NOT NULL")?,
        number("SELECT ifnull(sum(count), 0) FROM chunks")?,
    ))
}

fn target_failed(path: &Path, error: &dyn std::error::Error) -> BackupError {
    BackupError::Target {
        path: path.to_owned(),
        detail: error.to_string(),
    }
}

/// A file that is being written under another name, and removed if it does not get its own.
pub(crate) struct Partial {
    path: PathBuf,
}

impl Partial {
    /// An empty file that only its owner can read. What an earlier attempt left behind is removed.
    pub(crate) fn create(target: &Path) -> io::Result<Self> {
        let path = beside(target, ".partial");
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name, on disk, and its size.
    pub(crate) fn publish(self, target: &Path) -> io::Result<u64> {
        let file = File::open(&self.path)?;
        file.sync_all()?;
        fs::rename(&self.path, target)?;
        open::sync_folder(target)?;
        Ok(file.metadata()?.len())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // It is not there any more if it was published.
        let _ = fs::remove_file(&self.path);
    }
}
