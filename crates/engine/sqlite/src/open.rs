//! Opening the file: whose it is, whether it is whole, which version it has.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use sockeye_limits as limits;

use crate::committer::LogLength;
use crate::schema::{self, Kind};

/// Why the file cannot be used. Each names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another engine in this one, has the file.
    #[error("{} is in use by another server{}: stop that one, or use another data folder", path.display(), of_pid(*pid))]
    InUse {
        /// The file.
        path: PathBuf,
        /// The other process, if it said so.
        pid: Option<u32>,
    },
    /// It, its folder or its lock cannot be opened for writing.
    #[error("{} cannot be opened for writing ({source}): check that the folder exists and belongs to this user, and that \
             the disk has room and is not mounted read-only", path.display())]
    NotWritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is no file of Sockeye.
    #[error("{} is no file of Sockeye: move it away, or use another data folder", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It was written by a later release.
    #[error("{} has version {found}, this release knows versions up to {known}: use a later release, or restore a backup \
             of this one", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: usize,
        /// The newest version this release knows.
        known: usize,
    },
    /// It is damaged.
    #[error("{} is damaged ({detail}): move it away and restore a backup (`sockeye restore`)", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        detail: String,
    },
    /// SQLite cannot use it for another reason.
    #[error("{} cannot be used ({detail}): check that the disk has room and reports no errors", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        detail: String,
    },
}

// ----------------------------------------------------------------------------------------------

/// Makes the file if there is none, and brings it to the version of this release.
pub(crate) fn prepare(path: &Path, steps: &[&[&str]]) -> Result<(), OpenError> {
    let not_writable = |source| OpenError::NotWritable {
        path: path.to_owned(),
        source,
    };
    // SQLite gives its other files the mode of this one.
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path);
    drop(file.map_err(not_writable)?);
    let failed = |error| OpenError::of(path, &error);
    let (mut connection, _) = writer(path, None).map_err(failed)?;
    let taken = match schema::kind(&connection).map_err(failed)? {
        Kind::Foreign => return Err(OpenError::Foreign { path: path.to_owned() }),
        Kind::Ours(found) if found > steps.len() => {
            return Err(OpenError::Newer {
                path: path.to_owned(),
                found,
                known: steps.len(),
            });
        }
        Kind::Ours(taken) => taken,
        Kind::Empty => 0,
    };
    // Kept in the file; one that was restored has another.
    connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
    if taken < steps.len() {
        schema::migrate(&mut connection, taken, steps).map_err(failed)?;
        if taken > 0 {
            tracing::info!(path = %path.display(), from = taken, to = steps.len(), "the file was migrated");
        }
    }
    // A new file is durable only when its name is.
    sync_folder(path).map_err(not_writable)
}

/// Makes the name of a file durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// The connection that writes.
pub(crate) fn writer(path: &Path, max_bytes: Option<u64>) -> rusqlite::Result<(Connection, LogLength)> {
    let mut connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    set_up(&connection)?;
    connection.pragma_update(None, "page_size", limits::SQLITE_PAGE as i64)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    if let Some(bytes) = max_bytes {
        let page: u64 = connection
            .query_row("PRAGMA page_size", [], |row| row.get::<_, i64>(0))?
            .cast_unsigned();
        connection.pragma_update(None, "max_page_count", (bytes / page).max(1).cast_signed())?;
    }
    let length = LogLength::default();
    let hook = Arc::clone(&length);
    connection.wal_hook(Some(move |_: &'_ mut rusqlite::hooks::Wal, pages| {
        hook.store(usize::try_from(pages).unwrap_or(0), Ordering::Relaxed);
        Ok(())
    }))?;
    Ok((connection, length))
}

/// A connection that reads.
pub(crate) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    set_up(&connection)?;
    Ok(connection)
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(limits::SQLITE_LOCK_WAIT)?;
    // With this, a statement keeps its plan whatever it is bound to, and is not prepared anew for each range.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // What savepoints keep aside needs no file.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Memory maps would turn a disk error into a crash.
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "cache_size", -((limits::SQLITE_CACHE / limits::KIB) as i64))?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

impl OpenError {
    /// What an error of SQLite means for whoever wants to open the file.
    pub(crate) fn of(path: &Path, error: &rusqlite::Error) -> Self {
        let (path, detail) = (path.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::Foreign { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { path, detail },
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::DiskFull) => {
                Self::NotWritable {
                    path,
                    source: io::Error::other(detail),
                }
            }
            _ => Self::Unusable { path, detail },
        }
    }
}

fn of_pid(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}
