//! Copies of a file that is being written, and files made of copies.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sockeye_engine_sqlite::{BackupReport, Options, RestoreReport, SqliteEngine, backup, restore};
use sockeye_log::{GroupId, GroupPositions as _, Log as _, ReadError, ReadLimit, Retention, Topic};
use sockeye_registry::{Application, Registry as _};
use support::{all, engine, open, records, since};

fn no_progress(_: usize, _: usize) {}

/// The error says all of this, and no file is left behind but SQLite's own beside the one that was read.
fn check(folder: &Path, files: &[&str], error: &dyn std::error::Error, said: &[&str]) {
    let text = error.to_string();
    for part in said {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    let mut left: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.retain(|name| {
        ![".lock", "-wal", "-shm"]
            .iter()
            .any(|end| name.to_str().unwrap().ends_with(end))
    });
    left.sort();
    assert_eq!(left, files);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_of_one_moment_while_a_server_writes() {
    let (folder, engine, topic) = engine().await;
    let other = Topic::events_of("other");
    engine.create_topic(&other, Retention::default()).await.unwrap();
    for from in (0..5_000).step_by(500) {
        engine.append(&topic, records(from..from + 500, 1_000)).await.unwrap();
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn({
        let (engine, topic, stop) = (engine.clone(), topic.clone(), stop.clone());
        async move {
            let mut next = 5_000;
            while !stop.load(Ordering::Relaxed) {
                engine.append(&topic, records(next..next + 10, 1_000)).await.unwrap();
                next += 10;
            }
            next
        }
    });
    let (path, target) = (folder.path().join("sockeye.db"), folder.path().join("copy.db"));
    let (report, steps) = tokio::task::spawn_blocking({
        let target = target.clone();
        move || {
            let mut steps = Vec::new();
            (
                backup(&path, &target, |done, total| steps.push((done, total))).unwrap(),
                steps,
            )
        }
    })
    .await
    .unwrap();
    stop.store(true, Ordering::Relaxed);
    let appended = writing.await.unwrap();

    assert!(steps.is_sorted() && steps.len() > 1, "{steps:?}");
    assert!(
        steps.iter().all(|(_, total)| *total == steps[0].1),
        "it was started over: {steps:?}"
    );
    assert_eq!(steps.last().unwrap().0, steps[0].1);
    let BackupReport {
        topics,
        records: count,
        bytes,
    } = report;
    assert_eq!((topics, bytes), (2, fs::metadata(&target).unwrap().len()));
    assert!((5_000..=appended as u64).contains(&count), "{count} of {appended}");

    let restored = tempfile::tempdir().unwrap();
    let report = restore(&target, &restored.path().join("sockeye.db"), false).unwrap();
    assert_eq!((report.topics, report.records), (2, count));
    let restored = open(&restored, Options::default());
    assert_eq!(all(&restored, &topic).await, (0..count as usize).collect::<Vec<_>>());
    assert_eq!(all(&engine, &topic).await.len(), appended);
}

#[tokio::test]
async fn a_restored_log_is_another_incarnation_and_groups_go_on() {
    let (folder, engine, topic) = engine().await;
    let (path, copy) = (folder.path().join("sockeye.db"), folder.path().join("copy.db"));
    engine.append(&topic, records(0..10, 100)).await.unwrap();
    let span = engine.span(&topic).await.unwrap();
    let first = engine
        .read(
            &topic,
            &span.oldest,
            ReadLimit {
                records: 4,
                bytes: usize::MAX,
            },
        )
        .await
        .unwrap();
    engine
        .create_application(Application::named("garden", "me"))
        .await
        .unwrap();
    let group = GroupId {
        application: "garden".into(),
        group: "workers".into(),
        selection: String::new(),
    };
    assert_eq!(engine.create_group(&group, &first.next).await, Ok(true));
    backup(&path, &copy, no_progress).unwrap();
    engine.append(&topic, records(10..20, 100)).await.unwrap();

    let refused = restore(&copy, &path, true).unwrap_err().to_string();
    assert!(refused.contains("is in use by another server"), "{refused}");
    engine.close().await;
    let refused = restore(&copy, &path, false).unwrap_err().to_string();
    assert!(refused.contains("exists") && refused.contains("--force"), "{refused}");
    assert_eq!(
        all(&open(&folder, Options::default()), &topic).await.len(),
        20,
        "it is untouched"
    );
    let RestoreReport {
        topics, records: count, ..
    } = restore(&copy, &path, true).unwrap();
    assert_eq!((topics, count), (1, 10));

    let engine = open(&folder, Options::default());
    let oldest = engine.span(&topic).await.unwrap().oldest;
    for position in [&span.oldest, &span.end, &first.next] {
        let told = engine.read(&topic, position, ReadLimit::default()).await.unwrap_err();
        assert_eq!(told, ReadError::OtherIncarnation { oldest: oldest.clone() });
    }
    engine.append(&topic, records(10..12, 100)).await.unwrap();
    assert_eq!(all(&engine, &topic).await, (0..12).collect::<Vec<_>>());
    let position = engine.group(&group).await.unwrap().unwrap().mark.position;
    assert_eq!(
        since(&engine, &topic, &position).await.unwrap(),
        (4..12).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_file_that_crashed_is_replaced_as_a_whole() {
    let (folder, engine, topic) = engine().await;
    let (path, copy) = (folder.path().join("sockeye.db"), folder.path().join("copy.db"));
    engine.append(&topic, records(0..10, 100)).await.unwrap();
    backup(&path, &copy, no_progress).unwrap();
    engine.append(&topic, records(10..20, 100)).await.unwrap();
    // The log beside the file, as a crash leaves it.
    let log = folder.path().join("sockeye.db-wal");
    let left = fs::read(&log).unwrap();
    engine.close().await;
    assert!(!left.is_empty());
    fs::write(&log, left).unwrap();
    restore(&copy, &path, true).unwrap();
    assert_eq!(
        all(&open(&folder, Options::default()), &topic).await,
        (0..10).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn what_cannot_be_copied_is_refused() {
    let (folder, engine, topic) = engine().await;
    for id in 0..30 {
        engine.append(&topic, records(id..id + 1, 20_000)).await.unwrap();
    }
    engine.close().await;
    drop(engine);
    let [path, copy, other] = ["sockeye.db", "copy.db", "other.db"].map(|name| folder.path().join(name));
    let here = folder.path();

    let error = backup(&other, &copy, no_progress).unwrap_err();
    check(here, &["sockeye.db"], &error, &["there is no file", "other.db"]);
    let error = backup(&path, &here.join("no folder").join("copy.db"), no_progress).unwrap_err();
    check(here, &["sockeye.db"], &error, &["cannot be written", "no folder"]);
    fs::write(&copy, "mine").unwrap();
    let error = backup(&path, &copy, no_progress).unwrap_err();
    check(
        here,
        &["copy.db", "sockeye.db"],
        &error,
        &["copy.db exists", "another name"],
    );
    let error = restore(&copy, &other, false).unwrap_err();
    check(
        here,
        &["copy.db", "sockeye.db"],
        &error,
        &["copy.db is no file of Sockeye"],
    );
    fs::remove_file(&copy).unwrap();

    backup(&path, &copy, no_progress).unwrap();
    let mut damaged = fs::read(&copy).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 20_000].fill(0xee);
    fs::write(&copy, damaged).unwrap();
    let error = restore(&copy, &other, false).unwrap_err();
    check(
        here,
        &["copy.db", "sockeye.db"],
        &error,
        &["copy.db is damaged", "another one"],
    );
}

#[tokio::test]
async fn a_restored_file_is_compact() {
    let (folder, engine, topic) = engine().await;
    let (path, copy) = (folder.path().join("sockeye.db"), folder.path().join("copy.db"));
    engine.append(&topic, records(0..5_000, 1_000)).await.unwrap();
    engine.delete_topic(&topic).await.unwrap();
    let rows = || count_chunks(&path);
    support::until("the records are gone", async || rows() == 0).await;
    engine.close().await;
    let large = backup(&path, &copy, no_progress).unwrap().bytes;
    let small = restore(&copy, &folder.path().join("new.db"), false).unwrap().bytes;
    assert!(small * 10 < large, "{small} of {large}");
    drop(SqliteEngine::open(folder.path().join("new.db"), Options::default()).unwrap());
}

fn count_chunks(path: &Path) -> i64 {
    let file = rusqlite::Connection::open(path).unwrap();
    file.query_row("SELECT count(*) FROM chunks", [], |row| row.get(0))
        .unwrap()
}
