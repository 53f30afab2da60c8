//! What was missed: many short resumes at once, and one long backlog.

use anyhow::{Context as _, Result, bail};
use futures_util::StreamExt as _;
use sockeye_load::Load;

use crate::{
    report::{Bar, Table},
    sockeye::{APPLICATION, Sockeye},
};

const RESUMES: usize = 5_000;
const MISSED: usize = 10;
const BACKLOG: usize = 1_000_000;

// ----------------------------------------------------------------------------------------------

pub fn resumes(sockeye: &Sockeye, table: &mut Table) -> Result<()> {
    eprintln!("{RESUMES} resumes");
    sockeye.fill(1)?;
    let cursor = first_cursor(sockeye)?;
    sockeye.fill(MISSED)?;
    let each = read(sockeye, &format!("from={cursor}"), RESUMES, MISSED)? / RESUMES as f64;
    row(
        table,
        format!("{RESUMES} resumes from a cursor, {MISSED} events each, CPU us each"),
        each,
        80.0,
    );
    Ok(())
}

pub fn backlog(sockeye: &Sockeye, table: &mut Table) -> Result<()> {
    eprintln!("a backlog of {BACKLOG} events");
    sockeye.fill(BACKLOG)?;
    let each = read(sockeye, "from=earliest", 1, BACKLOG)? / BACKLOG as f64;
    row(
        table,
        format!("a backlog of {BACKLOG} events to one reader, CPU us each"),
        each,
        3.0,
    );
    Ok(())
}

/// CPU time of the server, in microseconds, until so many clients have read so many events each.
fn read(sockeye: &Sockeye, query: &str, clients: usize, events: usize) -> Result<f64> {
    let server = sockeye.server.process()?;
    let before = server.usage()?.cpu;
    let mut load = Load::new()?;
    load.open(sockeye.target(query), clients, |_| {})?;
    load.receive((clients * events) as u64)?;
    Ok(server.usage()?.cpu.saturating_sub(before).as_secs_f64() * 1e6)
}

/// The cursor behind the oldest event.
fn first_cursor(sockeye: &Sockeye) -> Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let url = format!("ws://{}/{APPLICATION}?from=earliest&cursor=true", sockeye.address);
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await?;
        while let Some(message) = socket.next().await {
            let message = message?;
            if message.is_text() {
                let event: serde_json::Value = serde_json::from_str(message.to_text()?)?;
                return Ok(event["cursor"].as_str().context("the event has no cursor")?.to_owned());
            }
        }
        bail!("the server gave no event")
    })
}

fn row(table: &mut Table, work: String, each: f64, most: f64) {
    let [bar, verdict] = Bar::AtMost(most).cells(each);
    table.row([
        work,
        format!("{each:.2}"),
        String::new(),
        format!("{each:.2}"),
        bar,
        verdict,
        "one round".to_owned(),
    ]);
}
