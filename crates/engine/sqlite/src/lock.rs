//! One server per file: a lock on a file beside it, which ends with the process however that ends.
//!
//! It is not on the file itself: SQLite has locks of its own there, and a backup may read while a server runs.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::open::OpenError;

/// The lock; dropped, it is free.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

// ----------------------------------------------------------------------------------------------

impl Lock {
    /// Takes the lock of a file, or says who has it.
    pub(crate) fn take(path: &Path) -> Result<Self, OpenError> {
        let not_writable = |source| OpenError::NotWritable {
            path: path.to_owned(),
            source,
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(beside(path, ".lock")).map_err(not_writable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Who has the lock may be about to write its number.
                let pid = file
                    .read_to_string(&mut text)
                    .ok()
                    .and_then(|_| text.trim().parse().ok());
                return Err(OpenError::InUse {
                    path: path.to_owned(),
                    pid,
                });
            }
            Err(TryLockError::Error(source)) => return Err(not_writable(source)),
        }
        let number = format!("{}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(number.as_bytes()))
            .map_err(not_writable)?;
        Ok(Self { file })
    }
}

impl Drop for Lock {
    /// Closing would not do: a process that another thread starts just now has a copy of the file until it runs its program.
    fn drop(&mut self) {
        self.file.unlock().ok();
    }
}

/// The name of a file with something behind it.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_the_file_holds_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sockeye.db");
        let lock = Lock::take(&path).unwrap();
        let copy = lock.file.try_clone().unwrap();
        drop(lock);
        drop(Lock::take(&path).unwrap());
        drop(copy);
    }
}
