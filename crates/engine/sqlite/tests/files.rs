//! Which files are taken, which are refused, and what is said then.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use futures_util::FutureExt as _;
use rusqlite::Connection;
use sockeye_engine_sqlite::{Options, SqliteEngine};
use sockeye_log::Log as _;
use sockeye_parts::disk::Disk;
use support::{all, engine, open, records};

/// Names the child of [`a_second_process_is_refused`] what to open.
const FILE_OF_CHILD: &str = "SOCKEYE_TEST_FILE";

/// Opening says all of this.
fn check(path: &Path, said: &[&str]) {
    let error = SqliteEngine::open(path, Options::default())
        .expect_err("it is refused")
        .to_string();
    for part in [&*path.display().to_string()].iter().chain(said) {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}

#[test]
fn what_is_no_file_of_sockeye_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sockeye.db");
    check(
        &folder.path().join("missing").join("sockeye.db"),
        &["cannot be opened for writing", "folder exists"],
    );

    fs::write(&path, "some notes of mine, longer than the header of a database").unwrap();
    check(&path, &["is no file of Sockeye", "move it away"]);
    assert_eq!(fs::read(&path).unwrap()[..4], *b"some", "it is untouched");

    fs::remove_file(&path).unwrap();
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE notes (text TEXT)")
        .unwrap();
    check(&path, &["is no file of Sockeye", "move it away"]);
}

#[tokio::test]
async fn a_newer_file_is_refused() {
    let (folder, engine, _) = engine().await;
    engine.close().await;
    let path = folder.path().join("sockeye.db");
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    check(&path, &["has version 99", "knows versions up to", "later release"]);
}

#[tokio::test]
async fn a_damaged_file_is_refused() {
    let (folder, engine, topic) = engine().await;
    for from in 0..50 {
        engine.append(&topic, records(from..from + 1, 20_000)).await.unwrap();
    }
    engine.close().await;
    let path = folder.path().join("sockeye.db");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..3 * 8_192]).unwrap();
    check(&path, &["is damaged", "restore a backup"]);
    let mut scribbled = whole.clone();
    scribbled[100..8_192].fill(7);
    fs::write(&path, &scribbled).unwrap();
    check(&path, &["is damaged", "restore a backup"]);
    fs::write(&path, whole).unwrap();
    assert_eq!(all(&open(&folder, Options::default()), &topic).await.len(), 50);
}

#[test]
fn a_file_that_cannot_be_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    // Root may write whatever the mode says, but not to a file system that is mounted read-only.
    let Some(disk) = Disk::mount(folder.path(), "4m").unwrap() else {
        return;
    };
    drop(open(&folder, Options::default()));
    disk.make_read_only().unwrap();
    check(
        &folder.path().join("sockeye.db"),
        &["cannot be opened for writing", "read-only"],
    );
}

#[tokio::test]
async fn only_the_owner_can_read_the_files() {
    let (folder, engine, topic) = engine().await;
    engine.append(&topic, records(0..1, 100)).await.unwrap();
    let mut names = Vec::new();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{entry:?}"
        );
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(
        names,
        ["sockeye.db", "sockeye.db-shm", "sockeye.db-wal", "sockeye.db.lock"]
    );
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let (folder, engine, topic) = engine().await;
    let path = folder.path().join("sockeye.db");
    let number = format!("process {}", std::process::id());
    check(&path, &["is in use by another server", &number, "stop that one"]);

    let child = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "child_opens_the_file", "--nocapture"])
            .env(FILE_OF_CHILD, &path);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let said = child();
    assert!(
        said.contains("is in use by another server") && said.contains(&number),
        "{said}"
    );
    engine.append(&topic, records(0..1, 100)).await.unwrap();
    engine.close().await;
    let said = child();
    assert!(said.contains("opened by the child"), "{said}");
}

/// No test by itself.
#[test]
fn child_opens_the_file() {
    if let Some(path) = std::env::var_os(FILE_OF_CHILD) {
        match SqliteEngine::open(Path::new(&path), Options::default()) {
            Ok(_) => println!("opened by the child"),
            Err(error) => println!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_dropped_engine_finishes_what_it_accepted_and_frees_the_file() {
    let (folder, engine, topic) = engine().await;
    {
        // Accepted, and given up at once.
        let append = engine.append(&topic, records(0..1_000, 300));
        assert!(append.now_or_never().is_none());
    }
    drop(engine);
    assert!(
        !folder.path().join("sockeye.db-wal").exists(),
        "the write-ahead log was written back"
    );
    assert_eq!(
        all(&open(&folder, Options::default()), &topic).await,
        (0..1_000).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_closed_engine_says_so() {
    let (_folder, engine, topic) = engine().await;
    let end = engine.span(&topic).await.unwrap().end;
    let mut follower = engine.follow(&topic, &end).await.unwrap();
    let (told, ()) = tokio::join!(follower.next(), engine.close());
    let said = [
        told.unwrap_err().to_string(),
        engine.append(&topic, records(0..1, 10)).await.unwrap_err().to_string(),
        engine.probe().await.unwrap_err().to_string(),
    ];
    for said in said {
        assert!(said.contains("the file was closed"), "{said}");
    }
    engine.close().await;
}
