//! A layer between a process and its files that makes `kill -9` a power failure: what was written and not synced is lost.
//!
//! The layer is a small shared library in C (`unsynced.c`, `LD_PRELOAD`), compiled when it is first asked for. Where the
//! process writes to regular files below one folder, the bytes stay in its own memory until `fsync` or `fdatasync` on that
//! file; reads and sizes show them. Files that end in `-shm` are left alone: SQLite maps them and rebuilds them.
//!
//! Names (files made, renamed, removed) are durable at once, which a real file system does not promise.

use std::{
    collections::hash_map::DefaultHasher,
    fs,
    hash::{Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};

use crate::part;

const SOURCE: &str = include_str!("unsynced.c");

/// The compiled library.
#[derive(Clone, Debug)]
pub struct Layer(PathBuf);

// ----------------------------------------------------------------------------------------------

/// The library, compiled if it is not there; `Ok(None)` where there is no C compiler.
pub fn library() -> anyhow::Result<Option<Layer>> {
    part::or_not_tested("the layer that loses what was not synced", compiled())
}

/// Puts the layer under a command, for the files below `folder` (made if it is not there).
///
/// Seed 0 writes nothing before a sync. Any other seed writes some pages earlier, as a kernel may: in any order, each whole.
///
/// # Panics
/// If the folder cannot be made.
pub fn apply(layer: &Layer, command: &mut Command, folder: &Path, seed: u64) {
    fs::create_dir_all(folder).expect("the folder can be made");
    // The layer compares with what the kernel calls the file.
    let folder = folder.canonicalize().expect("the folder is there");
    command
        .env("LD_PRELOAD", &layer.0)
        .env("UNSYNCED_FOLDER", folder)
        .env("UNSYNCED_SEED", seed.to_string());
}

fn compiled() -> anyhow::Result<Layer> {
    let mut hasher = DefaultHasher::new();
    SOURCE.hash(&mut hasher);
    let cache = part::cache()?;
    let library = cache.join(format!("libunsynced-{:016x}.so", hasher.finish()));
    if !library.exists() {
        fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
        // Renamed when it is whole: another test may compile it at the same time.
        let folder = tempfile::tempdir_in(&cache)?;
        let source = folder.path().join("unsynced.c");
        let made = folder.path().join("libunsynced.so");
        fs::write(&source, SOURCE)?;
        let output = Command::new("cc")
            .args([
                "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread", "-o",
            ])
            .args([&made, &source])
            .output()
            .context("there is no C compiler: apt-get install gcc")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::rename(&made, &library)?;
    }
    Ok(Layer(library))
}
