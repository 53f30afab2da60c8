//! Rounds of faults with real processes: a server over Kafka and PostgreSQL, a device that publishes all the time, members of a
//! group, a reader with a cursor; and each round something breaks. What was answered with 202 comes to the group and to the reader.
//!
//! `FAULT_ROUNDS=20 FAULT_SEED=7 cargo test -p sockeye --test kafka_faults -- --nocapture` runs many, and says what came of them;
//! with `FAULT_LOG=info` the server tells its part.
//!
//! Runs once: it has a Kafka and a PostgreSQL of its own, to break them.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod clients;
mod leader;
mod link;
mod outage;
#[path = "../support/mod.rs"]
mod support;

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use clients::{Address, Publisher, Seen, member, reader};
use link::{Link, Weather};
use sockeye_parts::{kafka::Kafka, postgres::Postgres};
use sockeye_seeds::Random;
use support::{APP, Server};
use tempfile::TempDir;
use tokio::runtime::Handle;

/// What can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The server is killed, and started again.
    ServerKilled,
    /// So is Kafka.
    KafkaKilled,
    /// Kafka stands still for longer than anybody waits for it, and goes on.
    KafkaStopped,
    /// So is PostgreSQL.
    PostgresKilled,
    /// All connections to Kafka are cut, again and again.
    LinkCut,
    /// Nothing comes through to Kafka for a while, and nobody is told.
    LinkHeld,
    /// Everything takes longer on its way to Kafka.
    LinkSlow,
    /// The topic gets more partitions.
    Grown,
    /// There is no room for another record on Kafka's disk, until somebody makes room and starts it again.
    DiskFull,
    /// Everything that was read is removed from the topic.
    Trimmed,
    /// The topic is removed, and made again.
    Remade,
}

struct World {
    kafka: Kafka,
    postgres: Postgres,
    database: String,
    link: Link,
    server: Server,
    folder: TempDir,
    address: Address,
    partitions: u32,
}

/// All of them, once in every so many rounds.
const FAULTS: [Fault; 11] = [
    Fault::KafkaKilled,
    Fault::ServerKilled,
    Fault::Grown,
    Fault::PostgresKilled,
    Fault::LinkCut,
    Fault::Trimmed,
    Fault::LinkSlow,
    Fault::Remade,
    Fault::LinkHeld,
    Fault::DiskFull,
    Fault::KafkaStopped,
];
/// Rounds in a usual run of the tests.
const USUAL: usize = 3;
/// Within this all is as it should be again.
const RECOVERY: Duration = Duration::from_mins(2);
/// Longer than records wait for Kafka (`KAFKA_DELIVERY`).
const BEYOND: Duration = Duration::from_secs(12);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
const TOPIC: &str = "events-app";
const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";

// ----------------------------------------------------------------------------------------------

impl World {
    async fn new(elsewhere: &Handle) -> Option<Self> {
        let link = elsewhere.spawn(Link::new()).await.unwrap();
        let kafka = Kafka::start_behind(link.port).unwrap()?;
        link.leads_to(kafka.port());
        let postgres = Postgres::start_or_say().unwrap()?;
        let database = postgres.database().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let server = start(&database, link.port, &folder.path().join("data"));
        server.make_device();
        let address = Address::default();
        address.set(&server.url, &server.admin());
        Some(Self {
            kafka,
            postgres,
            database,
            link,
            server,
            folder,
            address,
            partitions: 1,
        })
    }

    /// One round of a fault, while the device publishes; at its end the fault is over.
    async fn suffer(&mut self, fault: Fault, random: &mut Random, publisher: &Publisher, seen: &[&Seen]) {
        match fault {
            Fault::ServerKilled => {
                self.server.kill();
                self.server = start(&self.database, self.link.port, &self.folder.path().join("data"));
                self.address.set(&self.server.url, &self.server.admin());
            }
            Fault::KafkaKilled => {
                self.kafka.kill().unwrap();
                self.is_refused(publisher).await;
                self.kafka.start_again().unwrap();
            }
            Fault::KafkaStopped => {
                self.kafka.freeze().unwrap();
                self.is_refused(publisher).await;
                tokio::time::sleep(BEYOND).await;
                self.kafka.thaw().unwrap();
            }
            Fault::DiskFull => {
                // Who may not mount one was told so.
                let Some(disk) = self.kafka.disk() else { return };
                disk.set_full(true).unwrap();
                self.is_refused(publisher).await;
                disk.set_full(false).unwrap();
                // It has ended by itself, or stands on a log that it has given up.
                self.kafka.kill().unwrap();
                self.kafka.start_again().unwrap();
            }
            Fault::PostgresKilled => {
                self.postgres.kill().unwrap();
                let before = publisher.accepted().len();
                until("what is known goes on", || publisher.accepted().len() > before + 20).await;
                self.postgres.start_again().unwrap();
            }
            Fault::LinkCut => {
                for _ in 0..random.between(2, 5) {
                    self.link.set(Weather::Cut);
                    tokio::time::sleep(Duration::from_millis(random.between(1, 400))).await;
                    self.link.set(Weather::Fine);
                    tokio::time::sleep(Duration::from_millis(random.between(1, 800))).await;
                }
            }
            Fault::LinkHeld => {
                self.link.set(Weather::Held);
                tokio::time::sleep(Duration::from_millis(random.between(500, 4_000))).await;
                self.link.set(Weather::Fine);
            }
            Fault::LinkSlow => {
                self.link
                    .set(Weather::Slow(Duration::from_millis(random.between(1, 200))));
                let before = publisher.accepted().len();
                until("slow is not dead", || publisher.accepted().len() > before + 20).await;
                self.link.set(Weather::Fine);
            }
            Fault::Grown => {
                self.partitions += if self.partitions == 1 { 5 } else { 1 };
                let partitions = self.partitions.to_string();
                self.tool(TOPICS, &["--alter", "--topic", TOPIC, "--partitions", &partitions]);
            }
            Fault::Trimmed => {
                self.all_is_read(publisher, seen).await;
                let partition = |number| format!(r#"{{"topic":"{TOPIC}","partition":{number},"offset":-1}}"#);
                let partitions: Vec<String> = (0..self.partitions).map(partition).collect();
                let file = self.folder.path().join("trim.json");
                let json = format!(r#"{{"partitions":[{}],"version":1}}"#, partitions.join(","));
                std::fs::write(&file, json).unwrap();
                let words = ["--offset-json-file", file.to_str().unwrap()];
                self.tool("org.apache.kafka.tools.DeleteRecordsCommand", &words);
                publisher.pause(false);
            }
            Fault::Remade => {
                // What nobody has read yet would be lost with it, whoever removes it.
                self.all_is_read(publisher, seen).await;
                let gone = seen.iter().map(|seen| seen.gone()).sum::<u64>();
                self.tool(TOPICS, &["--delete", "--topic", TOPIC]);
                self.partitions = 1;
                publisher.pause(false);
                let told = || seen.iter().map(|seen| seen.gone()).sum::<u64>() > gone;
                until("who comes with a cursor of the old topic is told 410", told).await;
            }
        }
    }

    /// A device is told at once that nothing is stored, and nobody is told otherwise.
    async fn is_refused(&self, publisher: &Publisher) {
        let refused = publisher.refused.load(Ordering::SeqCst);
        until("a device is refused", || {
            publisher.refused.load(Ordering::SeqCst) > refused
        })
        .await;
    }

    /// Nothing is published, and all was read.
    async fn all_is_read(&self, publisher: &Publisher, seen: &[&Seen]) {
        publisher.pause(true);
        let mut last = publisher.accepted().len();
        // The call that was under way is answered.
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = publisher.accepted().len();
            if std::mem::replace(&mut last, now) == now {
                break;
            }
        }
        all_comes(publisher, seen).await;
    }

    fn tool(&self, class: &str, words: &[&str]) {
        let mut command = self.kafka.tool(class);
        let output = command
            .args(["--bootstrap-server", &self.kafka.bootstrap()])
            .args(words)
            .output();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {said}");
    }
}

/// Everything that was accepted by now comes to all.
async fn all_comes(publisher: &Publisher, seen: &[&Seen]) {
    let accepted = publisher.accepted();
    let deadline = Instant::now() + RECOVERY;
    for (who, seen) in ["the group", "the reader with a cursor"].into_iter().zip(seen) {
        loop {
            let missing = seen.missing(&accepted);
            if missing.is_empty() {
                break;
            }
            let few = &missing[..missing.len().min(10)];
            assert!(
                Instant::now() < deadline,
                "lost for {who}: {} of {}: {few:?}..",
                missing.len(),
                accepted.len()
            );
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn start(database: &str, port: u16, data: &Path) -> Server {
    Server::start_with(data, |command| {
        command.env("SOCKEYE_POSTGRES", database);
        command.args(["--kafka", &format!("127.0.0.1:{port}"), "--kafka-partitions", "1"]);
        let level = std::env::var("FAULT_LOG").unwrap_or_else(|_| "off".to_owned());
        command.args(["--log-level", &level]);
    })
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + RECOVERY;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {RECOVERY:?}: {what}");
        tokio::time::sleep(LOOK).await;
    }
}

/// A runtime on a thread of its own: clients and the link go on while the test waits for a process.
fn elsewhere() -> Handle {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let handle = runtime.handle().clone();
    std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    handle
}

#[tokio::test]
#[allow(clippy::print_stdout, reason = "people look at what came of a run")]
async fn nothing_that_was_accepted_is_lost_whatever_breaks() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let rounds = number("FAULT_ROUNDS").unwrap_or(USUAL);
    let seed = number("FAULT_SEED").unwrap_or(0) as u64;
    let elsewhere = elsewhere();
    let Some(mut world) = World::new(&elsewhere).await else {
        return;
    };
    let (group, cursor) = (Arc::<Seen>::default(), Arc::<Seen>::default());
    let both = [&*group, &*cursor];
    let clients = {
        let _elsewhere = elsewhere.enter();
        [
            member(world.address.clone(), Arc::clone(&group)),
            member(world.address.clone(), Arc::clone(&group)),
            reader(world.address.clone(), Arc::clone(&cursor)),
        ]
    };
    // The group is there before the first event is.
    let is_member = || world.server.cli(&["group", "show", APP, "g"]).status.success();
    until("the group is there", is_member).await;
    let publisher = {
        let _elsewhere = elsewhere.enter();
        Publisher::start(world.address.clone())
    };
    until("it runs", || publisher.accepted().len() > 20).await;

    let begun = Instant::now();
    let mut random = Random::new(seed);
    for round in 0..rounds {
        // With the usual seed each run begins with the same; others begin elsewhere.
        let fault = FAULTS[(seed as usize + round) % FAULTS.len()];
        let before = publisher.accepted().len();
        let started = Instant::now();
        world.suffer(fault, &mut random, &publisher, &both).await;
        until("publishing works again", || publisher.accepted().len() > before + 50).await;
        all_comes(&publisher, &both).await;
        println!(
            "round {round}: {fault:?}, {:.1?}, {} accepted",
            started.elapsed(),
            publisher.accepted().len()
        );
    }
    let (refused, slowest) = (
        publisher.refused.load(Ordering::SeqCst),
        publisher.slowest.load(Ordering::SeqCst),
    );
    let elapsed = begun.elapsed();
    world.all_is_read(&publisher, &both).await;
    let accepted = publisher.end().await;
    let ((to_group, twice), (to_reader, again)) = (group.counts(), cursor.counts());
    println!(
        "seed {seed}, {rounds} rounds in {elapsed:.0?}: {} accepted, {refused} refused (slowest answer {slowest} ms); group: {to_group} \
         deliveries, {twice} of them again, {} lost; reader with a cursor: {to_reader} deliveries, {again} again, {} lost",
        accepted.len(),
        group.missing(&accepted).len(),
        cursor.missing(&accepted).len(),
    );
    for client in clients {
        client.abort();
    }
}
