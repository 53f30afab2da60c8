//! One run: a server on a log and a store of positions, members that come and go, and an operator who lets everything happen
//! to them.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sockeye_delivery::{Balance, Cause, Delivery, MemoryLimits, Metrics};
use sockeye_limits as limits;
use sockeye_log::{Retention, Topic};
use sockeye_seeds::Random;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::Client;
use crate::history::State;
use crate::log::SimLog;
use crate::pick::Pick;
use crate::positions::SimPositions;
use crate::truth::{Counts, Plan, Truth};

pub(crate) struct World {
    pub(crate) log: SimLog,
    pub(crate) positions: SimPositions,
    topics: Vec<Topic>,
    server: Mutex<Option<Server>>,
    limits: MemoryLimits,
    /// Nothing more happens from now on: who is connected does all it should, and nobody new comes.
    pub(crate) finish: CancellationToken,
    /// All that was appended has had time to arrive.
    pub(crate) settled: CancellationToken,
    tally: Mutex<Tally>,
    trace: bool,
    began: Instant,
}

/// One life of the server.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) delivery: Arc<Delivery>,
    metrics: Metrics,
    tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    /// The end of the process, without a word.
    pub(crate) kill: CancellationToken,
}

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// How connections ended, by their causes.
    ends: BTreeMap<&'static str, u64>,
    kills: u64,
    stops: u64,
    counts: Counts,
    /// Questions to the store that failed, and those of them that had changed something.
    failed: u64,
    lied: u64,
    /// Of everything that every client saw.
    digest: u64,
}

// ----------------------------------------------------------------------------------------------

const TOPICS: usize = 2;
const CLIENTS: u64 = 7;

/// Runs one seed; panics where a group does what it must not.
pub(crate) async fn run(seed: u64, trace: bool) -> Tally {
    let mut random = Random::new(seed);
    let topics: Vec<_> = (0..TOPICS)
        .map(|number| Topic::events_of(format!("app{number}")))
        .collect();
    let log = SimLog::new(random.split(), &topics);
    let truth = Truth::new(vec![
        Plan::new("all", &topics[0], Pick::default(), Balance::Any, false),
        Plan::new("some", &topics[0], Pick::any(&mut random), Balance::Device, false),
        Plan::new("acks", &topics[1], Pick::any(&mut random), Balance::Any, true),
        Plan::new("both", &topics[1], Pick::default(), Balance::Device, true),
    ]);
    let positions = SimPositions::new(log.clone(), truth, random.split());
    let bytes = random.pick(&[0, 4_000, 40_000]);
    let limits = MemoryLimits {
        bytes,
        bytes_per_topic: bytes / 2,
        segments: random.pick(&[1, 8]),
        segment_bytes: random.pick(&[1, 2_000, 10_000]),
        orders: random.pick(&[1, 256]),
        order_bytes: random.pick(&[1, 100_000]),
        group_bytes: random.pick(&[1, 10_000, 1_000_000]),
    };
    let world = Arc::new(World {
        server: Mutex::new(Some(Server::start(&log, &positions, limits))),
        limits,
        log,
        positions,
        topics,
        finish: CancellationToken::new(),
        settled: CancellationToken::new(),
        tally: Mutex::default(),
        trace,
        began: Instant::now(),
    });
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|number| tokio::spawn(Client::new(number, Arc::clone(&world), random.split()).run()))
        .collect();
    world.operate(&mut random).await;

    world.note(&"nothing more happens");
    world.finish.cancel();
    for plan in 0..world.plans().len() {
        let client = Client::faithful(CLIENTS + plan as u64, Arc::clone(&world), random.split(), plan);
        clients.push(tokio::spawn(client.run()));
    }
    // Long enough for those who do not read, or say nothing, to be given up.
    sleep(2 * limits::WS_STALL + limits::GROUP_RECEIPT_TIME + limits::GROUP_ACK_TIME).await;
    world.positions.lock().take_letters();
    world.check(|truth, log, id, _| truth.check_complete(log, id));
    world.settled.cancel();
    world.stop().await;
    world.check(Truth::check_durable);
    for client in clients {
        timeout(2 * limits::WS_STALL, client)
            .await
            .expect("clients end with the server")
            .expect("no client was served badly");
    }
    let mut tally = world.tally.lock().unwrap().clone();
    let disk = world.positions.lock();
    (tally.failed, tally.lied) = (disk.failed, disk.lied);
    tally.counts = disk.truth.tally.clone();
    tally
}

impl World {
    /// The server, if there is one.
    pub(crate) fn server(&self) -> Option<Server> {
        self.server.lock().unwrap().clone()
    }

    pub(crate) fn plans(&self) -> Vec<Plan> {
        self.positions.lock().truth.plans.clone()
    }

    pub(crate) fn ended(&self, cause: Cause) {
        let mut tally = self.tally.lock().unwrap();
        *tally.ends.entry(cause.as_str()).or_default() += 1;
    }

    /// Adds something to what is compared between two runs of a seed.
    pub(crate) fn digest(&self, parts: &[u64]) {
        let now = self.began.elapsed().as_millis() as u64;
        let mut tally = self.tally.lock().unwrap();
        for part in parts.iter().chain([&now]) {
            tally.digest = (tally.digest ^ part)
                .wrapping_mul(0x0000_0100_0000_01b3)
                .rotate_left(29);
        }
    }

    /// Tells what happens, to people who look for the reason of a failure.
    #[allow(clippy::print_stderr, reason = "only when one seed is looked at")]
    pub(crate) fn note(&self, what: &dyn std::fmt::Debug) {
        if self.trace {
            eprintln!("{:?} {what:?}", self.began.elapsed());
        }
    }

    /// Lets things happen for about a minute.
    async fn operate(&self, random: &mut Random) {
        let mut healing: Vec<(Instant, Option<Topic>)> = Vec::new();
        for _ in 0..random.between(5, 60) {
            let pause = if random.percent(5) { 5_000 } else { 500 };
            sleep(Duration::from_millis(random.between(0, pause))).await;
            healing.retain(|(at, what)| {
                let over = *at <= Instant::now();
                if over {
                    self.heal(what.as_ref());
                }
                !over
            });
            let topic = self.topics[random.between(0, TOPICS as u64 - 1) as usize].clone();
            let is_up = !self.log.lock().topics[&topic].down;
            match random.between(0, 99) {
                0..55 => self.append(&topic, random),
                55..60 => self.log.change(|log| log.skip(&topic)),
                60..66 => {
                    let age = Duration::from_secs(random.between(2, 20));
                    self.note(&("trim", &topic, age));
                    self.log.change(|log| log.trim(&topic, age));
                }
                66..72 if is_up => {
                    self.note(&("down", &topic));
                    self.log.change(|log| log.fail(&topic, true));
                    let time = Duration::from_millis(random.between(1, 5_000));
                    healing.push((Instant::now() + time, Some(topic)));
                }
                72..78 if !self.positions.lock().down => {
                    self.note(&"positions down");
                    self.positions.lock().down = true;
                    let time = Duration::from_millis(random.between(1, 10_000));
                    healing.push((Instant::now() + time, None));
                }
                78..80 if is_up => {
                    self.note(&("deleted", &topic));
                    self.positions.lock().delete_application(topic.application());
                    self.log.change(|log| log.delete(&topic));
                    sleep(Duration::from_millis(random.pick(&[0, 1, 3000]))).await;
                    self.log.change(|log| log.create(&topic));
                }
                80..83 => self.seek(random).await,
                83..85 => self.forget(random).await,
                85..90 => self.restart(random).await,
                _ => {}
            }
        }
        for (_, what) in healing {
            self.heal(what.as_ref());
        }
    }

    fn heal(&self, what: Option<&Topic>) {
        self.note(&("up", what));
        match what {
            Some(topic) => self.log.change(|log| log.fail(topic, false)),
            None => self.positions.lock().down = false,
        }
    }

    fn append(&self, topic: &Topic, random: &mut Random) {
        let most = random.pick(&[1, 1, 5, 20, 60]);
        let largest = random.pick(&[20, 20, 200, 1000]);
        let count = random.between(1, most);
        self.log.change(|log| {
            for _ in 0..count {
                log.append(topic, random.between(0, largest) as usize, !random.percent(2));
            }
        });
    }

    /// Lets a group go on from the beginning of what is there, or from the end.
    async fn seek(&self, random: &mut Random) {
        let Some(server) = self.server() else { return };
        let plan = random.between(0, self.plans().len() as u64 - 1) as usize;
        let Plan { id, topic, .. } = self.plans()[plan].clone();
        let Some(span) = self.log.lock().span(&topic) else {
            return;
        };
        let to = if random.percent(50) { span.oldest } else { span.end };
        self.note(&("seek", &id, to.to_string()));
        self.positions.lock().truth.seek(&id, &to);
        let said = server.delivery.seek_group(&id, &to).await;
        self.note(&("sought", said));
    }

    async fn forget(&self, random: &mut Random) {
        let Some(server) = self.server() else { return };
        let plan = random.between(0, self.plans().len() as u64 - 1) as usize;
        let id = self.plans()[plan].id.clone();
        self.note(&("forget", &id));
        let said = server.delivery.forget_group(&id).await;
        self.note(&("forgotten", said));
    }

    /// The server ends, in peace or in the middle of everything, and another one begins. There are never two.
    async fn restart(&self, random: &mut Random) {
        if random.percent(60) {
            self.note(&"the server is killed");
            self.tally.lock().unwrap().kills += 1;
            let server = self.server.lock().unwrap().take();
            if let Some(server) = server {
                server.kill.cancel();
                server.stop.cancel();
            }
        } else {
            self.note(&"the server stops");
            self.tally.lock().unwrap().stops += 1;
            self.stop().await;
        }
        sleep(Duration::from_millis(random.pick(&[0, 100, 2_000]))).await;
        let next = Server::start(&self.log, &self.positions, self.limits);
        *self.server.lock().unwrap() = Some(next);
    }

    /// The server stops, and leaves nothing behind.
    async fn stop(&self) {
        let Some(server) = self.server.lock().unwrap().take() else {
            return;
        };
        server.stop.cancel();
        server.tasks.close();
        timeout(
            limits::GROUP_STOP_TIME + Duration::from_millis(100),
            server.tasks.wait(),
        )
        .await
        .expect("a server that stops does so in time");
        drop(server.delivery);
        let kept = (server.metrics.kept_bytes(), server.metrics.held_bytes());
        assert_eq!(kept, (0, 0), "memory is given back");
    }

    fn check(&self, check: impl Fn(&Truth, &State, &sockeye_log::GroupId, &sockeye_log::GroupMark)) {
        let (disk, log) = (self.positions.lock(), self.log.lock());
        for (id, mark) in &disk.groups {
            check(&disk.truth, &log, id, mark);
        }
    }
}

impl Server {
    fn start(log: &SimLog, positions: &SimPositions, limits: MemoryLimits) -> Self {
        let (metrics, tasks, stop) = (Metrics::default(), TaskTracker::new(), CancellationToken::new());
        let kill = CancellationToken::new();
        let delivery = Delivery::new(Arc::new(log.clone()), metrics.clone(), tasks.clone(), stop.clone())
            .with_memory(limits)
            .with_groups(Arc::new(positions.of(&kill)), Retention::default());
        Self {
            delivery: Arc::new(delivery),
            metrics,
            tasks,
            stop,
            kill,
        }
    }
}

impl Tally {
    /// What usually happens and did not.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let counts = &self.counts;
        let happened = [
            ("kills", self.kills),
            ("stops", self.stops),
            ("events that came again", counts.again),
            ("dead letters", counts.buried),
            ("events that retention took", counts.lost),
            ("groups that moved", counts.moved),
            ("failures of the store", self.failed),
            ("lies of the store", self.lied),
        ];
        let causes = ["client", "lost", "no_receipt", "group", "gone", "stopping"];
        let missing = causes.into_iter().filter(|cause| !self.ends.contains_key(cause));
        missing
            .chain(
                happened
                    .into_iter()
                    .filter(|(_, count)| *count == 0)
                    .map(|(what, _)| what),
            )
            .collect()
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        for (cause, count) in other.ends {
            *self.ends.entry(cause).or_default() += count;
        }
        self.kills += other.kills;
        self.stops += other.stops;
        self.counts += other.counts;
        self.failed += other.failed;
        self.lied += other.lied;
        self.digest ^= other.digest;
    }
}
