//! A small disk of a test's own, which can be full or read-only: a file system in memory, mounted by root.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::part;

/// A mounted file system; unmounted when dropped.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
}

// ----------------------------------------------------------------------------------------------

impl Disk {
    /// Mounts an empty file system of this size (`16m`) over a folder. `Ok(None)` for who may not; in CI an error for root.
    pub fn mount(folder: &Path, size: &str) -> anyhow::Result<Option<Self>> {
        let size = format!("size={size}");
        match mount(&["-t", "tmpfs", "-o", &size, "tmpfs"], folder) {
            Ok(()) => Ok(Some(Self {
                folder: folder.to_owned(),
            })),
            Err(error) if rustix::process::geteuid().is_root() => part::or_not_tested("a small disk", Err(error)),
            Err(_) => {
                part::not_tested("a small disk: only root may mount one");
                Ok(None)
            }
        }
    }

    /// Gives it another size.
    pub fn resize(&self, size: &str) -> anyhow::Result<()> {
        mount(&["-o", &format!("remount,size={size}")], &self.folder)
    }

    /// Fills it with a file until nothing more fits, or makes room again.
    pub fn set_full(&self, full: bool) -> anyhow::Result<()> {
        let filler = self.folder.join("filler");
        if !full {
            return Ok(fs::remove_file(filler)?);
        }
        let mut file = File::create(filler)?;
        let mut part = vec![0; 1 << 20];
        while !part.is_empty() {
            match file.write(&part) {
                Ok(0) => part.clear(),
                Ok(_) => {}
                // What is left is less than this.
                Err(error) if error.kind() == ErrorKind::StorageFull => part.truncate(part.len() / 2),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// From now on nobody can write to it; no file may be open for writing.
    pub fn make_read_only(&self) -> anyhow::Result<()> {
        mount(&["-o", "remount,ro"], &self.folder)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: after a failed assertion a process may still have files there.
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
    }
}

fn mount(arguments: &[&str], folder: &Path) -> anyhow::Result<()> {
    let mut command = Command::new("mount");
    let output = command
        .args(arguments)
        .arg(folder)
        .stdin(Stdio::null())
        .output()
        .context("cannot run mount")?;
    ensure!(
        output.status.success(),
        "mount failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_full_and_read_only_and_gone() {
        let folder = tempfile::tempdir().unwrap();
        let Some(disk) = Disk::mount(folder.path(), "1m").unwrap() else {
            return;
        };
        let file = folder.path().join("file");
        let kind = |content: &[u8]| fs::write(&file, content).err().map(|error| error.kind());
        assert_eq!(kind(&vec![0; 2 << 20]), Some(ErrorKind::StorageFull));
        disk.resize("4m").unwrap();
        assert_eq!(kind(&vec![0; 2 << 20]), None);
        disk.set_full(true).unwrap();
        assert_eq!(
            fs::write(folder.path().join("other"), b"x")
                .err()
                .map(|error| error.kind()),
            Some(ErrorKind::StorageFull)
        );
        disk.set_full(false).unwrap();
        assert_eq!(kind(&vec![0; 2 << 20]), None);
        disk.make_read_only().unwrap();
        assert_eq!(kind(b"x"), Some(ErrorKind::ReadOnlyFilesystem));
        drop(disk);
        assert!(!file.exists());
    }
}
