//! One run: a server on a log, clients that come and go, and an operator who lets everything happen to them.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sockeye_delivery::{Delivery, MemoryLimits, Metrics};
use sockeye_limits as limits;
use sockeye_log::Topic;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::Client;
use crate::log::SimLog;
use sockeye_seeds::Random;

pub(crate) struct World {
    pub(crate) log: SimLog,
    pub(crate) topics: Vec<Topic>,
    server: Mutex<Server>,
    limits: MemoryLimits,
    /// Nothing more happens from now on: who is connected reads on, and nobody comes.
    pub(crate) finish: CancellationToken,
    /// All that was appended has had time to arrive.
    pub(crate) settled: CancellationToken,
    tally: Mutex<Tally>,
    trace: bool,
    pub(crate) began: Instant,
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
    pub(crate) connections: u64,
    pub(crate) events: u64,
    /// Those of connections with several subscriptions.
    pub(crate) beside_others: u64,
    /// Connections that were checked to the last event.
    pub(crate) complete: u64,
    /// How connections ended, by their causes.
    pub(crate) ends: BTreeMap<&'static str, u64>,
    /// Of everything that every client saw, and when.
    digest: u64,
}

// ----------------------------------------------------------------------------------------------

const TOPICS: usize = 3;
const CLIENTS: u64 = 8;

/// Runs one seed; panics where a client is not served as it should be.
pub(crate) async fn run(seed: u64, trace: bool) -> Tally {
    let mut random = Random::new(seed);
    let topics: Vec<_> = (0..TOPICS)
        .map(|number| Topic::events_of(format!("app{number}")))
        .collect();
    let log = SimLog::new(random.split(), &topics);
    let limits = memory_limits(&mut random);
    let world = Arc::new(World {
        server: Mutex::new(Server::start(&log, limits)),
        limits,
        log,
        topics,
        finish: CancellationToken::new(),
        settled: CancellationToken::new(),
        tally: Mutex::default(),
        trace,
        began: Instant::now(),
    });
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| tokio::spawn(Client::new(number, Arc::clone(&world), random.split()).run()))
        .collect();
    world.operate(&mut random).await;

    world.note(&"nothing more happens");
    world.finish.cancel();
    // Long enough for what waits between two tries of a log, sometimes for those who do not read any more, too.
    let patience = if random.percent(30) {
        2 * limits::WS_STALL + 2 * limits::WS_CLIENT_TIMEOUT
    } else {
        3 * limits::LOG_RETRY_MOST
    };
    sleep(patience).await;
    world.settled.cancel();
    sleep(Duration::from_millis(1)).await;
    let server = world.server();
    server.stop.cancel();
    server.retire().await;
    for client in clients {
        timeout(2 * limits::WS_STALL, client)
            .await
            .expect("clients end with the server")
            .expect("no client was served badly");
    }
    world.tally.lock().unwrap().clone()
}

impl World {
    pub(crate) fn server(&self) -> Server {
        self.server.lock().unwrap().clone()
    }

    /// Within this time an event is with a client that reads, if nothing is wrong: a few answers of the log, 20 ms each. More
    /// of them if all clients fall out of a tail that holds little, and read one record after the other.
    pub(crate) fn prompt(&self) -> Duration {
        Duration::from_millis(if self.limits.segment_bytes > 1 { 2_000 } else { 8_000 })
    }

    pub(crate) fn tally(&self, count: impl FnOnce(&mut Tally)) {
        count(&mut self.tally.lock().unwrap());
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
        let steps = random.between(5, 60);
        let mut healing: Vec<(Instant, Topic)> = Vec::new();
        for _ in 0..steps {
            let pause = if random.percent(5) { 5_000 } else { 500 };
            sleep(Duration::from_millis(random.between(0, pause))).await;
            healing.retain(|(at, topic)| {
                let over = *at <= Instant::now();
                if over {
                    self.note(&("up", topic));
                    self.log.change(|log| log.fail(topic, false));
                }
                !over
            });
            let topic = &self.topics[random.between(0, TOPICS as u64 - 1) as usize];
            let is_up = !self.log.lock().topics[topic].down;
            match random.between(0, 99) {
                0..60 => self.append(topic, random),
                60..64 => self.log.change(|log| log.skip(topic)),
                64..78 => {
                    let age = Duration::from_secs(random.between(2, 20));
                    self.note(&("trim", topic, age));
                    self.log.change(|log| log.trim(topic, age));
                }
                78..84 if is_up => {
                    let most = if random.percent(10) { 60_000 } else { 5_000 };
                    let time = Duration::from_millis(random.between(1, most));
                    self.note(&("down", topic, time));
                    self.log.change(|log| log.fail(topic, true));
                    healing.push((Instant::now() + time, topic.clone()));
                }
                84..85 if is_up && random.percent(20) => {
                    self.note(&("down for long", topic));
                    self.log.change(|log| log.fail(topic, true));
                    sleep(limits::LOG_OUTAGE + limits::LOG_RETRY_MOST).await;
                    self.log.change(|log| log.fail(topic, false));
                }
                85..87 if is_up => {
                    self.note(&("deleted", topic));
                    self.log.change(|log| log.delete(topic));
                    sleep(Duration::from_millis(random.pick(&[0, 0, 1, 100, 3000]))).await;
                    self.log.change(|log| log.create(topic));
                }
                87..89 => self.restart(random).await,
                _ => {}
            }
            self.check_memory();
        }
        for (_, topic) in healing {
            self.log.change(|log| log.fail(&topic, false));
        }
    }

    fn append(&self, topic: &Topic, random: &mut Random) {
        let most = random.pick(&[1, 1, 5, 20, 60]);
        let largest = if random.percent(3) {
            70_000 / most
        } else if random.percent(5) {
            // More than one write takes.
            4_000
        } else {
            random.pick(&[20, 20, 200, 1000])
        };
        let count = random.between(1, most);
        self.log.change(|log| {
            for _ in 0..count {
                log.append(topic, random.between(0, largest) as usize, !random.percent(2));
            }
        });
    }

    /// Another server on the same log; the old one stops, or just ends.
    async fn restart(&self, random: &mut Random) {
        let new = Server::start(&self.log, self.limits);
        let old = std::mem::replace(&mut *self.server.lock().unwrap(), new);
        if random.percent(50) {
            self.note(&"the server is killed");
            old.kill.cancel();
        } else {
            self.note(&"the server stops");
        }
        old.stop.cancel();
        old.retire().await;
    }

    /// What is in memory is bounded, whatever clients do: what is kept by its budget, the frames that wait by theirs, and
    /// beside them what is on its way: for each topic a batch that is shown and one of the past.
    pub(crate) fn check_memory(&self) {
        let (server, largest) = (self.server(), self.log.lock().largest);
        let (kept, held) = (server.metrics.kept_bytes(), server.metrics.held_bytes());
        let MemoryLimits { bytes, order_bytes, .. } = self.limits;
        assert!(kept <= bytes, "{kept} of {bytes} bytes are kept");
        // The frames of an event are about as large as the record, once for each kind of lane.
        let orders = order_bytes.max(limits::SHARD_SHARES as usize * largest * 2);
        let most = bytes + orders + 2 * TOPICS * largest;
        assert!(held <= most, "{held} of {most} bytes are held, {kept} of them kept");
    }
}

impl Server {
    fn start(log: &SimLog, limits: MemoryLimits) -> Self {
        let (metrics, tasks, stop) = (Metrics::default(), TaskTracker::new(), CancellationToken::new());
        let delivery = Delivery::new(Arc::new(log.clone()), metrics.clone(), tasks.clone(), stop.clone());
        Self {
            delivery: Arc::new(delivery.with_memory(limits)),
            metrics,
            tasks,
            stop,
            kill: CancellationToken::new(),
        }
    }

    /// Waits for the end of all tasks of a server that stops, and checks that it leaves nothing behind.
    async fn retire(self) {
        self.tasks.close();
        timeout(limits::WS_CLOSE_TIMEOUT + Duration::from_millis(100), self.tasks.wait())
            .await
            .expect("a server that stops does so in time");
        drop(self.delivery);
        assert_eq!(
            (self.metrics.kept_bytes(), self.metrics.held_bytes()),
            (0, 0),
            "memory is given back"
        );
    }
}

/// So small that readers fall out often, and topics wait for each other.
fn memory_limits(random: &mut Random) -> MemoryLimits {
    let bytes = random.pick(&[0, 4_000, 40_000, 40_000]);
    MemoryLimits {
        bytes,
        bytes_per_topic: bytes / 2,
        segments: random.pick(&[1, 8, 8]),
        segment_bytes: random.pick(&[1, 2_000, 10_000]),
        orders: random.pick(&[1, 2, 256]),
        order_bytes: random.pick(&[1, 1_000, 100_000]),
        group_bytes: 1,
    }
}

impl Tally {
    /// Adds something to what is compared between two runs of a seed.
    pub(crate) fn digest(&mut self, parts: &[u64]) {
        for part in parts {
            self.digest = (self.digest ^ part).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29);
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.connections += other.connections;
        self.events += other.events;
        self.beside_others += other.beside_others;
        self.complete += other.complete;
        for (cause, count) in other.ends {
            *self.ends.entry(cause).or_default() += count;
        }
        self.digest ^= other.digest;
    }
}
