//! Appends to the SQLite engine beside a raw append-only file: the same bytes, in the same batches, synced as often.

use std::{
    fs::File,
    io::{Seek as _, Write as _},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use bytes::Bytes;
use futures_util::future::try_join_all;
use sockeye_engine_sqlite::{Options, SqliteEngine};
use sockeye_event::Headers;
use sockeye_log::{Log, NewRecord, Retention, Topic};

use crate::report::{Bar, Table, median, percentile, ratios, spread};

const RECORD: usize = 300;
const BATCH: usize = 100;
const APPLICATIONS: usize = 1_000;
const ROUND: Duration = Duration::from_millis(1500);
/// Small enough that trimming goes on all the time once it is reached.
const RETAIN_BYTES: u64 = 16 * 1024 * 1024;

// ----------------------------------------------------------------------------------------------

pub fn run(rounds: usize) -> Result<Table> {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let engine: Arc<dyn Log> = Arc::new(SqliteEngine::open(folder.path().join("bench.db"), Options::default())?);
    let retention = Retention {
        bytes: RETAIN_BYTES,
        ..Retention::default()
    };
    let one = Topic::events_of("one");
    let many: Vec<Topic> = (0..APPLICATIONS)
        .map(|number| Topic::events_of(format!("app-{number}")))
        .collect();
    runtime.block_on(async {
        engine.create_topic(&one, retention).await?;
        let share = Retention {
            bytes: RETAIN_BYTES / APPLICATIONS as u64,
            ..retention
        };
        for topic in &many {
            engine.create_topic(topic, share).await?;
        }
        // Trimming has to be going on while it is measured.
        fill(&*engine, &one).await?;
        for _ in 0..RETAIN_BYTES as usize / RECORD / APPLICATIONS {
            append_one_each(&*engine, &many).await?;
        }
        anyhow::Ok(())
    })?;
    let (mut raw, mut over, mut raw_many, mut batches, mut each) = (vec![], vec![], vec![], vec![], vec![]);
    let (mut syncs, file) = (Vec::new(), folder.path().join("raw"));
    for round in 0..rounds {
        eprintln!("append: round {} of {rounds}", round + 1);
        raw.push(raw_file(&file, BATCH, false, &mut syncs)?);
        over.push(raw_file(&file, BATCH, true, &mut Vec::new())?);
        batches.push(runtime.block_on(rate(BATCH, || engine.append(&one, records(BATCH))))?);
        raw_many.push(raw_file(&file, APPLICATIONS, false, &mut Vec::new())?);
        each.push(runtime.block_on(rate(APPLICATIONS, || append_one_each(&*engine, &many)))?);
    }
    let mut table = Table::new(["append", "Sockeye: events/s", "beside", "events/s", "ratio", "bar", ""]);
    // The second bar is half of the first row, measured in the same rounds.
    for (work, own, beside, floor, bar) in [
        (
            "batches of 100, trimming",
            &batches,
            "a raw file",
            &raw,
            Bar::AtLeast(0.5),
        ),
        (
            "the same",
            &batches,
            "a raw file that is written over",
            &over,
            Bar::None,
        ),
        (
            "1,000 applications, one event each",
            &each,
            "the row above",
            &batches,
            Bar::AtLeast(0.5),
        ),
        ("the same", &each, "a raw file, 1,000 a batch", &raw_many, Bar::None),
    ] {
        let ratios = ratios(own, floor);
        let [bar, verdict] = bar.cells(median(&ratios));
        let rate = |values: &[f64]| format!("{:.0}", median(values));
        table.row([
            work.to_owned(),
            rate(own),
            beside.to_owned(),
            rate(floor),
            spread(&ratios),
            bar,
            verdict,
        ]);
    }
    eprintln!(
        "fsync of the raw file: median {:.0} us, p99 {:.0} us",
        median(&syncs) * 1e6,
        percentile(&syncs, 0.99) * 1e6
    );
    Ok(table)
}

/// Events per second of a raw file: a batch is one write and one sync. A file that grows writes its new size with each sync;
/// one that is written over, as a write-ahead log is, does not.
fn raw_file(path: &Path, batch: usize, over: bool, syncs: &mut Vec<f64>) -> Result<f64> {
    let mut file = File::create(path)?;
    let bytes = vec![b'x'; RECORD * batch];
    if over {
        file.write_all(&vec![b'x'; RETAIN_BYTES as usize])?;
        file.sync_all()?;
        file.rewind()?;
    }
    let started = Instant::now();
    let (mut events, mut written) = (0, 0);
    while started.elapsed() < ROUND {
        if over && written + bytes.len() > RETAIN_BYTES as usize {
            file.rewind()?;
            written = 0;
        }
        file.write_all(&bytes)?;
        written += bytes.len();
        let before = Instant::now();
        file.sync_data()?;
        syncs.push(before.elapsed().as_secs_f64());
        events += batch;
    }
    Ok(events as f64 / started.elapsed().as_secs_f64())
}

/// Events per second of an operation that appends `events` at a time.
async fn rate<F, E>(events: usize, append: impl Fn() -> F) -> Result<f64>
where
    F: Future<Output = Result<(), E>>,
    E: std::error::Error + Send + Sync + 'static,
{
    let started = Instant::now();
    let mut done = 0;
    while started.elapsed() < ROUND {
        append().await?;
        done += events;
    }
    Ok(done as f64 / started.elapsed().as_secs_f64())
}

async fn append_one_each(engine: &dyn Log, topics: &[Topic]) -> Result<(), sockeye_log::AppendError> {
    try_join_all(topics.iter().map(|topic| engine.append(topic, records(1)))).await?;
    Ok(())
}

async fn fill(engine: &dyn Log, topic: &Topic) -> Result<()> {
    for _ in 0..RETAIN_BYTES as usize / RECORD / 1_000 {
        engine.append(topic, records(1_000)).await?;
    }
    Ok(())
}

/// Records of [`RECORD`] bytes, headers and payload together.
fn records(count: usize) -> Vec<NewRecord> {
    let headers: Headers = [
        ("ce_id", Some(&b"0123456789"[..])),
        ("ce_type", Some(b"io.drogue.event.v1")),
    ]
    .into_iter()
    .collect();
    let payload = Bytes::from(vec![b'x'; RECORD - headers.len()]);
    vec![
        NewRecord {
            headers,
            payload: Some(payload)
        };
        count
    ]
}
