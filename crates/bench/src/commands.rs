//! Commands to devices that wait: from the moment at which one is sent until its device has it. Twice something is put on disk on the
//! way: that it is there, and that it was delivered.

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::future::try_join_all;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    sync::mpsc,
    task::JoinSet,
};

use crate::{
    report::{Table, median, percentile},
    sockeye::{APPLICATION, Sockeye},
};

const DEVICES: usize = 1_000;
/// Each waits for its command to arrive before it sends the next.
const SENDERS: [usize; 2] = [1, 8];
/// Commands to each device in a round.
const EACH: usize = 3;
const PASSWORD: &str = "bench-password";

/// A connection that is kept.
struct Connection {
    stream: BufReader<TcpStream>,
    authorization: String,
}

/// What a round came to.
struct Outcome {
    /// Of each command, in milliseconds.
    latencies: Vec<f64>,
    time: Duration,
    /// Of the server.
    cpu: Duration,
}

// ----------------------------------------------------------------------------------------------

pub fn run(rounds: usize, binary: &Path) -> Result<Table> {
    let title = format!("commands to {DEVICES} devices that wait");
    let mut table = Table::new([&*title, "p50", "p99", "commands/s", "CPU each"]);
    let sockeye = Sockeye::start(binary)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (_waiting, mut arrivals) = waiting(&sockeye).await?;
        for senders in SENDERS {
            let (mut p50, mut p99, mut rate, mut cpu) = (vec![], vec![], vec![], vec![]);
            for round in 0..rounds {
                eprintln!("commands, {senders} at a time: round {} of {rounds}", round + 1);
                let outcome = send(&sockeye, senders, &mut arrivals).await?;
                let commands = outcome.latencies.len() as f64;
                p50.push(percentile(&outcome.latencies, 0.5));
                p99.push(percentile(&outcome.latencies, 0.99));
                rate.push(commands / outcome.time.as_secs_f64());
                cpu.push(outcome.cpu.as_secs_f64() * 1e6 / commands);
            }
            table.row([
                format!("{senders} at a time"),
                format!("{:.2} ms", median(&p50)),
                format!("{:.2} ms", median(&p99)),
                format!("{:.0}", median(&rate)),
                format!("{:.0} us", median(&cpu)),
            ]);
        }
        Ok(table)
    })
}

/// Makes the devices, and lets each wait, again and again. Their tasks, and when each got a command.
async fn waiting(sockeye: &Sockeye) -> Result<(JoinSet<Result<()>>, Vec<mpsc::Receiver<Instant>>)> {
    let (user, key) = &sockeye.admin;
    let mut operator = Connection::open(sockeye.address, user, key).await?;
    let mut tasks = JoinSet::new();
    let mut arrivals = Vec::with_capacity(DEVICES);
    for number in 0..DEVICES {
        let device = json!({
            "metadata": {"application": APPLICATION, "name": name(number)},
            "spec": {"authentication": {"credentials": [{"pass": PASSWORD}]}},
        });
        let path = format!("/api/registry/v1alpha1/apps/{APPLICATION}/devices");
        let (status, _) = operator.post(&path, &device.to_string()).await?;
        ensure!(status == 201, "a device is not made: {status}");
        let user = format!("{}@{APPLICATION}", name(number));
        let mut device = Connection::open(sockeye.address, &user, PASSWORD).await?;
        let (arrived, arrival) = mpsc::channel(1);
        arrivals.push(arrival);
        tasks.spawn(async move {
            loop {
                match device.post("/v1/ready?ct=60", "{}").await? {
                    (200, true) if arrived.send(Instant::now()).await.is_err() => return Ok(()),
                    (200, true) | (202, false) => {}
                    (status, _) => bail!("a device is answered {status}"),
                }
            }
        });
    }
    Ok((tasks, arrivals))
}

/// Sends commands to all devices by turns.
async fn send(sockeye: &Sockeye, senders: usize, arrivals: &mut [mpsc::Receiver<Instant>]) -> Result<Outcome> {
    let (user, key) = &sockeye.admin;
    let process = sockeye.server.process()?;
    let before = process.usage()?.cpu;
    let started = Instant::now();
    let share = arrivals.len().div_ceil(senders);
    let sent = arrivals.chunks_mut(share).enumerate().map(async |(sender, arrivals)| {
        let mut operator = Connection::open(sockeye.address, user, key).await?;
        let mut latencies = Vec::with_capacity(EACH * arrivals.len());
        for _ in 0..EACH {
            for (number, arrival) in arrivals.iter_mut().enumerate() {
                let device = name(sender * share + number);
                let path = format!("/api/command/v1alpha1/apps/{APPLICATION}/devices/{device}?command=c");
                let sent = Instant::now();
                let (status, _) = operator.post(&path, r#"{"target":21.5}"#).await?;
                ensure!(status == 202, "a command is not taken: {status}");
                let arrived = arrival.recv().await.context("the device has ended")?;
                latencies.push(arrived.saturating_duration_since(sent).as_secs_f64() * 1e3);
            }
        }
        Ok(latencies)
    });
    let latencies = try_join_all(sent).await?.concat();
    Ok(Outcome {
        latencies,
        time: started.elapsed(),
        cpu: process.usage()?.cpu.saturating_sub(before),
    })
}

fn name(number: usize) -> String {
    format!("waiting-{number}")
}

impl Connection {
    async fn open(address: SocketAddr, user: &str, password: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let shown = STANDARD.encode(format!("{user}:{password}"));
        Ok(Self {
            stream: BufReader::new(stream),
            authorization: format!("Authorization: Basic {shown}"),
        })
    }

    /// Sends JSON; the status, and whether a command has come with it.
    async fn post(&mut self, path: &str, body: &str) -> Result<(u16, bool)> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: bench\r\n{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.authorization,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).await?;
        let (mut status, mut command, mut length) = (None, false, 0);
        let mut line = String::new();
        loop {
            line.clear();
            ensure!(self.stream.read_line(&mut line).await? > 0, "the server has gone");
            match line.trim_end().split_once(": ") {
                _ if line == "\r\n" => break,
                Some(("content-length", value)) => length = value.parse()?,
                Some(("command", _)) => command = true,
                None => status = line.split(' ').nth(1).and_then(|code| code.parse().ok()),
                Some(_) => {}
            }
        }
        self.stream.read_exact(&mut vec![0; length]).await?;
        Ok((status.context("no status")?, command))
    }
}
