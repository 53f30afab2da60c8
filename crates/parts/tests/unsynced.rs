//! The layer of `unsynced`: after `kill -9` exactly what was synced is there.

use std::{fs, path::Path, process::Command, time::Duration};

use rusqlite::Connection;
use sockeye_parts::{
    process::Process,
    unsynced::{self, Layer},
};

const PATIENCE: Duration = Duration::from_secs(30);
/// Nothing early, then several orders of early pages.
const SEEDS: std::ops::Range<u64> = 0..8;

// ----------------------------------------------------------------------------------------------

/// Lets the writer write in this way, and kills it.
fn write(layer: Option<&Layer>, folder: &Path, how: &str, seed: u64) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unsynced-writer"));
    command.arg(how).arg(folder);
    if let Some(layer) = layer {
        unsynced::apply(layer, &mut command, folder, seed);
    }
    let mut process = Process::spawn(&mut command).expect("it starts");
    process
        .wait_line(PATIENCE, |line| line == "written")
        .expect("it writes");
    process.kill().expect("it is killed");
}

#[test]
fn a_file_has_what_was_synced() {
    let Some(layer) = unsynced::library().unwrap() else {
        return;
    };
    for (how, kept) in [
        ("unsynced", ""),
        ("synced", "0123456789"),
        ("synced-then-changed", "0123456789"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(Some(&layer), folder.path(), how, 0);
        assert_eq!(fs::read_to_string(folder.path().join("file")).unwrap(), kept, "{how}");
    }
    // Without the layer, a killed process loses nothing: it is the layer that loses.
    let folder = tempfile::tempdir().unwrap();
    write(None, folder.path(), "unsynced", 0);
    assert_eq!(fs::read_to_string(folder.path().join("file")).unwrap(), "0123456789");
}

#[test]
fn a_process_that_ends_in_order_loses_nothing() {
    let Some(layer) = unsynced::library().unwrap() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_unsynced-writer"));
    command.arg("exit").arg(folder.path());
    unsynced::apply(&layer, &mut command, folder.path(), 0);
    assert!(command.status().unwrap().success());
    assert_eq!(fs::read_to_string(folder.path().join("file")).unwrap(), "0123456789");
}

#[test]
fn sqlite_keeps_every_commit_if_it_syncs() {
    let Some(layer) = unsynced::library().unwrap() else {
        return;
    };
    for seed in SEEDS {
        let folder = tempfile::tempdir().unwrap();
        write(Some(&layer), folder.path(), "sqlite-full", seed);
        assert_eq!(rows(folder.path()), Ok(1_000), "seed {seed}");
    }
}

#[test]
fn sqlite_loses_commits_if_it_does_not_sync() {
    let Some(layer) = unsynced::library().unwrap() else {
        return;
    };
    for seed in SEEDS {
        let folder = tempfile::tempdir().unwrap();
        write(Some(&layer), folder.path(), "sqlite-off", seed);
        // With early pages the file may even be damaged.
        assert_ne!(rows(folder.path()), Ok(1_000), "seed {seed}");
    }
    // It is the missing sync that loses: without the layer, all rows are there.
    let folder = tempfile::tempdir().unwrap();
    write(None, folder.path(), "sqlite-off", 0);
    assert_eq!(rows(folder.path()), Ok(1_000));
}

/// The rows of a sound file, or what is wrong with it.
fn rows(folder: &Path) -> Result<i64, String> {
    let check = || -> rusqlite::Result<(String, i64)> {
        let connection = Connection::open(folder.join("rows.db"))?;
        let sound = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        Ok((
            sound,
            connection.query_row("SELECT count(*) FROM row", [], |row| row.get(0))?,
        ))
    };
    match check() {
        Ok((sound, rows)) if sound == "ok" => Ok(rows),
        Ok((damage, _)) => Err(damage),
        Err(error) => Err(error.to_string()),
    }
}
