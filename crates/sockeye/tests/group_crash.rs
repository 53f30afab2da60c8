//! A group while its server and its members are killed (`kill -9`) again and again: every event that got its 202 reaches somebody,
//! and what comes twice is what was under way, or receipted and not durable yet, when somebody was killed.
//!
//! A failing seed is printed; `CRASH_SEED=n` replays it, `CRASH_SEEDS=n` runs more of them (`scripts/soak`).

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod support;

use std::{
    collections::BTreeMap,
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::Value;
use sockeye_limits as limits;
use support::{APP, PATIENCE, Server, numbered, sockeye};
use tokio::sync::Notify;

/// Seeds of an ordinary run.
const SEEDS: u64 = 2;
/// Kills of one seed.
const KILLS: usize = 6;
const MEMBERS: usize = 3;

/// `sockeye stream --group`, which connects again by itself; what it prints is in a file. It prints an event before it reads on,
/// so that what it has given a receipt for is there.
struct Member {
    child: Child,
    file: PathBuf,
}

/// What devices were told.
#[derive(Default)]
struct Acknowledged {
    /// Events that got their 202 have the numbers below, but for those that are missing.
    count: AtomicU64,
    more: Notify,
    enough: AtomicBool,
}

// ----------------------------------------------------------------------------------------------

#[tokio::test]
async fn nothing_is_lost_while_everybody_is_killed() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let seeds = match number("CRASH_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CRASH_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        kill_all(seed).await;
    }
}

async fn kill_all(seed: u64) {
    println!("CRASH_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let port = free_port();
    let mut server = start(&data, port);
    server.make_device();
    server.cli_ok(&["group", "create", APP, "g"]);
    let mut members: Vec<_> = (0..MEMBERS).map(|_| Member::start(folder.path(), &server)).collect();
    let mut dead = Vec::new();

    let acknowledged = Arc::new(Acknowledged::default());
    let publisher = tokio::spawn(publish(server.url.clone(), Arc::clone(&acknowledged)));
    let (mut servers, mut deliveries) = (0_u64, 0_u64);
    for _ in 0..KILLS {
        let enough = acknowledged.count.load(Ordering::Acquire) + rng.random_range(50..600);
        while acknowledged.count.load(Ordering::Acquire) < enough {
            let more = tokio::time::timeout(PATIENCE, acknowledged.more.notified()).await;
            more.expect("publishing goes on");
        }
        if rng.random_bool(0.5) {
            server.kill();
            server = start(&data, port);
            servers += 1;
        } else {
            let victim = rng.random_range(0..MEMBERS);
            members[victim].kill();
            let next = Member::start(folder.path(), &server);
            dead.push(std::mem::replace(&mut members[victim], next));
            deliveries += limits::GROUP_CREDIT as u64;
        }
    }
    acknowledged.enough.store(true, Ordering::Release);
    let published = publisher.await.unwrap();
    let all = |members: &[Member], dead: &[Member]| {
        let mut seen = BTreeMap::<u64, u64>::new();
        for number in members.iter().chain(dead).flat_map(Member::numbers) {
            *seen.entry(number).or_default() += 1;
        }
        seen
    };
    until(&server, |shown| shown["lag"]["events"] == 0).await;
    let seen = all(&members, &dead);
    let lost: Vec<_> = published.iter().filter(|number| !seen.contains_key(number)).collect();
    assert!(
        lost.is_empty(),
        "CRASH_SEED={seed}: {} of {} lost: {lost:?}",
        lost.len(),
        published.len()
    );
    let twice = seen.values().sum::<u64>() - seen.len() as u64;
    println!(
        "{} events, {servers} kills of the server, {} of members: {twice} duplicates",
        published.len(),
        dead.len()
    );
    // What a server had not made durable, and what was under way to a member.
    assert!(
        twice <= servers * limits::GROUP_WINDOW_EVENTS as u64 + deliveries,
        "{twice}"
    );

    // Once everything is durable, a kill doubles nothing.
    let end = server.cli_ok(&["group", "create", APP, "end"]);
    let end: Value = serde_json::from_str(&end).unwrap();
    until(&server, |shown| shown["position"] == end["position"]).await;
    server.kill();
    server = start(&data, port);
    let last = 1_000_000;
    let answer = server.publish(&support::http(), "c", &numbered(last)).await;
    assert_eq!(answer.unwrap(), 202);
    let deadline = Instant::now() + PATIENCE;
    while !all(&members, &dead).contains_key(&last) {
        assert!(Instant::now() < deadline, "the members have come back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let after = all(&members, &dead);
    assert_eq!(
        after.values().sum::<u64>() - seen.values().sum::<u64>(),
        1,
        "only the last one is new"
    );
}

/// A server at this port, which its members know.
fn start(data: &Path, port: u16) -> Server {
    Server::start_with(data, |command| {
        command.args(["--http-bind", &format!("127.0.0.1:{port}")]);
    })
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Publishes numbered events until it is enough, whatever the server is; the numbers that got their 202.
async fn publish(url: String, acknowledged: Arc<Acknowledged>) -> Vec<u64> {
    let http = support::http();
    let mut numbers = Vec::new();
    for number in 0.. {
        if acknowledged.enough.load(Ordering::Acquire) {
            break;
        }
        let answer = http
            .post(format!("{url}/v1/c"))
            .basic_auth(format!("{}@{APP}", support::DEVICE), Some(support::PASSWORD))
            .json(&numbered(number))
            .send()
            .await;
        match answer {
            Ok(answer) if answer.status() == 202 => {
                numbers.push(number);
                acknowledged.count.fetch_add(1, Ordering::AcqRel);
                acknowledged.more.notify_one();
            }
            // It is being killed, or starts.
            _ => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    numbers
}

impl Member {
    fn start(folder: &Path, server: &Server) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let file = folder.join(format!("member-{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        let child = sockeye()
            .args(["stream", APP, "--group", "g", "--output", "json"])
            .env("SOCKEYE_URL", &server.url)
            .env("SOCKEYE_KEY", server.admin())
            .stdout(File::create(&file).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, file }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// What it has printed; a line that was cut off by a kill does not count.
    fn numbers(&self) -> Vec<u64> {
        let text = std::fs::read_to_string(&self.file).unwrap();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let number = |line: &str| {
            serde_json::from_str::<Value>(line).unwrap()["data"]["number"]
                .as_u64()
                .unwrap()
        };
        whole.lines().map(number).collect()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until the group is like that.
async fn until(server: &Server, is: impl Fn(&Value) -> bool) {
    let deadline = Instant::now() + 2 * PATIENCE;
    loop {
        let shown = server.cli_ok(&["group", "show", APP, "g"]);
        if is(&serde_json::from_str(&shown).unwrap()) {
            return;
        }
        assert!(Instant::now() < deadline, "{shown}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
