//! Events in Kafka: Sockeye beside a bare consumer of librdkafka, and beside itself with events in its file. Kafka's own CPU time is
//! not counted, but it runs on the same machine: only ratios are worth quoting.

mod outage;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rdkafka::{
    ClientConfig, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};
use sockeye_load::{Load, Outcome, Pace, Plan, Publishing};
use sockeye_parts::kafka::Kafka;

use crate::{
    process::Server,
    report::{Bar, Table, median, percentile, ratios, spread},
    sockeye::{APPLICATION, DEVICE, Sockeye},
};

/// Events that one reader reads.
const BACKLOG: usize = 200_000;
/// Clients of the keyed fan-out, and how many of them want the same device.
const READERS: usize = 5_000;
const KEYS: usize = 400;
/// 5,000 readers of 400 devices are 12 or 13 for each; those of the device that publishes are 13.
const OF_A_KEY: usize = READERS.div_ceil(KEYS);
const IN_FLIGHT: usize = 8;
/// Part of what it can do, at which latency is measured.
const LOAD: f64 = 0.3;
const APPLICATIONS: usize = 1_000;
const PAYLOAD: usize = 110;
const WARM_UP: Duration = Duration::from_millis(500);
const ROUND: Duration = Duration::from_secs(2);
/// A server that is not ready by then is not.
const PATIENCE: Duration = Duration::from_mins(1);

// ----------------------------------------------------------------------------------------------

pub fn run(rounds: usize, binary: &Path) -> Result<Table> {
    let mut table = Table::new(["Kafka", "CPU us", "beside CPU us", "ratio or s", "bar", "", "remarks"]);
    let kafka = Kafka::start()?;
    // What one server leaves is gone when the next one makes an application of the same name.
    let on_kafka = ["--kafka", &kafka.bootstrap(), "--retention-deleted", "off"].map(str::to_owned);
    backlog(rounds, binary, &kafka, &on_kafka, &mut table).context("a backlog")?;
    keyed(rounds, binary, &on_kafka, &mut table).context("keyed fan-out")?;
    let (sockeye, applications) = ready(binary, &on_kafka, &mut table).context("many applications")?;
    outage::run(&sockeye, &kafka, &applications, &mut table).context("an outage")?;
    Ok(table)
}

/// One subscriber reads what is in Kafka, beside a bare consumer that reads the same.
fn backlog(rounds: usize, binary: &Path, kafka: &Kafka, on_kafka: &[String], table: &mut Table) -> Result<()> {
    let sockeye = Sockeye::start_on(binary, on_kafka)?;
    sockeye.fill(BACKLOG)?;
    let (mut own, mut bare) = (vec![], vec![]);
    for round in 0..rounds {
        eprintln!("Kafka to one subscriber: round {} of {rounds}", round + 1);
        let server = sockeye.server.process()?;
        let before = server.usage()?.cpu;
        let mut load = Load::new()?;
        load.open(sockeye.target("from=earliest"), 1, |_| {})?;
        load.receive(BACKLOG as u64)?;
        own.push(each(server.usage()?.cpu.saturating_sub(before)));
        bare.push(consume(&kafka.bootstrap())?);
    }
    let ratios = ratios(&own, &bare);
    let [bar, verdict] = Bar::AtMost(2.0).cells(median(&ratios));
    table.row([
        format!("{BACKLOG} events of Kafka to one subscriber, beside a bare consumer"),
        format!("{:.2}", median(&own)),
        format!("{:.2}", median(&bare)),
        spread(&ratios),
        bar,
        verdict,
        String::new(),
    ]);
    // The next server begins with Kafka as this one found it.
    sockeye.run(&["app", "delete", APPLICATION])
}

/// CPU time of a process that only consumes, for each event.
fn consume(bootstrap: &str) -> Result<f64> {
    let mut command = std::process::Command::new(std::env::current_exe()?);
    let consumer = Server::start(command.args(["serve", "kafka-consumer", bootstrap]), "consumed")?;
    let micros = consumer.ready.split(' ').nth(1).context("it says how much it used")?;
    Ok(micros.parse::<f64>()? / BACKLOG as f64)
}

/// The process of [`consume`]: reads all with the settings of librdkafka that everybody has, and says how much CPU time that took.
pub fn serve_consumer(bootstrap: &str) -> Result<()> {
    let usage = || Ok::<_, anyhow::Error>(sockeye_load::Process::new(std::process::id())?.usage()?.cpu);
    let before = usage()?;
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "bare")
        .set("enable.auto.commit", "false")
        .create()?;
    let topic = format!("events-{APPLICATION}");
    let metadata = consumer.fetch_metadata(Some(&topic), PATIENCE)?;
    let mut all = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        all.add_partition_offset(&topic, partition.id(), rdkafka::Offset::Beginning)?;
    }
    consumer.assign(&all)?;
    let mut bytes = 0;
    for _ in 0..BACKLOG {
        let message = consumer.poll(PATIENCE).context("there is more to read")??;
        bytes += message.payload_len();
    }
    ensure!(bytes > 0, "nothing was read");
    println!("consumed {}", usage()?.saturating_sub(before).as_micros());
    Ok(())
}

fn each(cpu: Duration) -> f64 {
    cpu.as_secs_f64() * 1e6 / BACKLOG as f64
}

/// Many readers of many devices, an event to a few of them: events in Kafka beside events in the file.
fn keyed(rounds: usize, binary: &Path, on_kafka: &[String], table: &mut Table) -> Result<()> {
    let (kafka, file) = (Sockeye::start_on(binary, on_kafka)?, Sockeye::start(binary)?);
    let (mut own, mut beside, mut p99) = (vec![], vec![], vec![]);
    for round in 0..rounds {
        for (sockeye, cpu) in [(&kafka, &mut own), (&file, &mut beside)] {
            eprintln!("keyed fan-out: round {} of {rounds}", round + 1);
            let mut load = Load::new()?;
            load.open(sockeye.target(&format!("device={DEVICE}")), OF_A_KEY, |_| {})?;
            for number in OF_A_KEY..READERS {
                let device = format!("device=other-{}", number % (KEYS - 1));
                load.open(sockeye.target(&device), 1, |_| {})?;
            }
            let outcome = measure(sockeye, &mut load, Pace::WhenArrived)?;
            cpu.push(outcome.cpu_per_delivery().context("nothing was delivered")?);
            if std::ptr::eq(sockeye, &raw const kafka) {
                let most = outcome.rate() / OF_A_KEY as f64;
                let calm = measure(sockeye, &mut load, Pace::Rate(most * LOAD))?;
                p99.push(calm.arrivals.at(0.99).as_secs_f64() * 1e3);
            }
        }
    }
    let ratios = ratios(&own, &beside);
    let [bar, verdict] = Bar::AtMost(1.3).cells(median(&ratios));
    table.row([
        format!("{READERS} readers of {KEYS} devices, an event to {OF_A_KEY}, beside events in the file"),
        format!("{:.2}", median(&own)),
        format!("{:.2}", median(&beside)),
        spread(&ratios),
        bar,
        verdict,
        format!(
            "HTTP publish included; p99 from publish to socket at {:.0} % load: {:.1} ms ({:.1} to {:.1}), aim 20",
            LOAD * 100.0,
            median(&p99),
            percentile(&p99, 0.0),
            percentile(&p99, 1.0)
        ),
    ]);
    kafka.run(&["app", "delete", APPLICATION])
}

fn measure(sockeye: &Sockeye, load: &mut Load, pace: Pace) -> Result<Outcome> {
    load.publish(Publishing::http(sockeye.address, IN_FLIGHT, sockeye.numbered(PAYLOAD)))?;
    let plan = Plan {
        pace,
        reaches: Some(OF_A_KEY),
        warm_up: WARM_UP,
        time: ROUND,
        server: Some(sockeye.server.process()?),
    };
    load.run(&plan, |_| {})
}

/// How long a server takes until it is ready that has many applications; the server and their names.
fn ready(binary: &Path, on_kafka: &[String], table: &mut Table) -> Result<(Sockeye, Vec<String>)> {
    let sockeye = Sockeye::start_on(binary, on_kafka)?;
    let mut applications = vec![APPLICATION.to_owned()];
    for number in 1..APPLICATIONS {
        if number % 100 == 0 {
            eprintln!("{number} of {APPLICATIONS} applications");
        }
        let name = format!("bench-{number}");
        sockeye.run(&["app", "create", &name])?;
        applications.push(name);
    }
    let begun = Instant::now();
    // What librdkafka says of a Kafka that is away would be all there is to read here.
    let quietly = [on_kafka, &["--log-level".to_owned(), "error".to_owned()]].concat();
    let sockeye = sockeye.start_again(&quietly)?;
    let took = begun.elapsed().as_secs_f64();
    let [bar, verdict] = Bar::AtMost(5.0).cells(took);
    table.row([
        format!("{APPLICATIONS} applications: from start to listening, s"),
        String::new(),
        String::new(),
        format!("{took:.2}"),
        bar,
        verdict,
        "one round".to_owned(),
    ]);
    Ok((sockeye, applications))
}
