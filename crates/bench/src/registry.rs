//! A registry of 100,000 devices: CPU time of the server for a list by a label beside a bare scan of the table, and for one device beside a
//! bare hyper server that reads one row of the same file.

use std::{fs, hint::black_box, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use sockeye_engine_sqlite::{Options, SqliteEngine};
use sockeye_load::{Load, Pace, Plan, Process, Publishing, Template};
use sockeye_registry::{Device, Registry as _};

use crate::{
    process::Server,
    report::Table,
    sockeye::{APPLICATION, Sockeye},
};

const DEVICES: usize = 100_000;
/// Values of the label that lists select by: each has 100 devices.
const SITES: usize = 1_000;
/// Lists, and scans, of each round: CPU time is counted in ticks.
const LISTS: usize = 30;
const CONNECTIONS: usize = 64;
const WARM_UP: Duration = Duration::from_millis(500);
const ROUND: Duration = Duration::from_secs(3);

// ----------------------------------------------------------------------------------------------

pub fn run(rounds: usize, binary: &Path) -> Result<Table> {
    let mut table = Table::new([
        "100,000 devices",
        "Sockeye",
        "beside",
        "ratio",
        "bar",
        "",
        "beside what",
    ]);
    let folder = tempfile::tempdir()?;
    let copy = folder.path().join("copy.db");
    let sockeye = Sockeye::start(binary)?.changed(|file| fill(file, &copy))?;
    let mut row = Command::new(std::env::current_exe()?);
    let row = Server::start(row.args(["serve", "row"]).arg(&copy), ":")?;

    let (mut lists, mut scans, mut gets, mut reads) = (vec![], vec![], vec![], vec![]);
    for round in 0..rounds {
        eprintln!("registry: round {} of {rounds}", round + 1);
        lists.push(list(&sockeye)?);
        scans.push(scan(&copy)?);
        let path = format!(
            "/api/registry/v1alpha1/apps/{APPLICATION}/devices/{}",
            name(DEVICES / 2)
        );
        let request = format!("GET {path} HTTP/1.1\r\nHost: bench\r\n{}\r\n", authorization(&sockeye));
        gets.push(answer(&sockeye.server, sockeye.address, &request)?);
        reads.push(answer(&row, row.ready.parse()?, &request)?);
    }
    let work = format!("list by a label, {} of them: ms CPU", DEVICES / SITES);
    let remark = "a scan of the table, every column";
    table.compare(work, &lists, &scans, 1.5, remark);
    let remark = "a bare hyper answer with one row of the file";
    table.compare("one device by its name: us CPU".to_owned(), &gets, &reads, 1.5, remark);
    Ok(table)
}

/// Makes the devices, in an order that is not that of their names, and a copy of the file.
fn fill(file: &Path, copy: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let engine = SqliteEngine::open(file, Options::default())?;
        let made = stream::iter((0..DEVICES).map(|number| engine.create_device(device(number * 7_919 % DEVICES))));
        made.buffer_unordered(1_000).try_for_each(async |_| Ok(())).await?;
        engine.close().await;
        Ok::<_, anyhow::Error>(())
    })?;
    fs::copy(file, copy)?;
    Ok(())
}

fn name(number: usize) -> String {
    format!("device-{number:06}")
}

fn device(number: usize) -> Device {
    let mut device = Device::named(APPLICATION, name(number));
    let site = format!("site-{}", number % SITES);
    device.metadata.labels = [("kind".to_owned(), "sensor".to_owned()), ("site".to_owned(), site)].into();
    let spec = json!({"authentication": {"credentials": [{"pass": format!("password of {number}")}]},
                      "gatewaySelector": {"matchNames": ["gateway"]}, "note": "x".repeat(100)});
    device.spec = spec.as_object().cloned().unwrap_or_default();
    device
}

fn authorization(sockeye: &Sockeye) -> String {
    let (user, key) = &sockeye.admin;
    format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:{key}")))
}

/// Milliseconds of the server for each list.
fn list(sockeye: &Sockeye) -> Result<f64> {
    let path = format!("/api/registry/v1alpha1/apps/{APPLICATION}/devices?labels=site%3Dsite-7");
    let head = format!("GET {path} HTTP/1.0\r\n{}", authorization(sockeye));
    let server = sockeye.server.process()?;
    let before = server.usage()?.cpu;
    for _ in 0..LISTS {
        let found = sockeye.ask(head.trim_end())?;
        let found = found.as_array().context("it is a list")?.len();
        ensure!(found == DEVICES / SITES, "{found} devices");
    }
    Ok(millis(server.usage()?.cpu.saturating_sub(before)))
}

/// Milliseconds of this process for each scan.
fn scan(copy: &Path) -> Result<f64> {
    let connection = Connection::open_with_flags(copy, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.pragma_update(None, "cache_size", -64 * 1024)?;
    let mut statement = connection.prepare("SELECT * FROM devices")?;
    let columns = statement.column_count();
    let own = Process::new(std::process::id())?;
    let before = own.usage()?.cpu;
    for _ in 0..LISTS {
        let (mut rows, mut found) = (statement.query([])?, 0);
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                black_box(row.get_ref(column)?);
            }
            found += 1;
        }
        // One more, which every bench has.
        ensure!(found == DEVICES + 1, "{found} devices");
    }
    Ok(millis(own.usage()?.cpu.saturating_sub(before)))
}

fn millis(all: Duration) -> f64 {
    all.as_secs_f64() * 1e3 / LISTS as f64
}

/// Microseconds of the server for each answer.
fn answer(server: &Server, address: std::net::SocketAddr, request: &str) -> Result<f64> {
    let mut load = Load::new()?;
    load.publish(Publishing::http(address, CONNECTIONS, Template::new(request)))?;
    let plan = Plan {
        pace: Pace::WhenArrived,
        reaches: None,
        warm_up: WARM_UP,
        time: ROUND,
        server: Some(server.process()?),
    };
    load.run(&plan, |_| {})?
        .cpu_per_answer()
        .context("nothing was answered")
}
