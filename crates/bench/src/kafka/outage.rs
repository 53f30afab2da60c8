//! Kafka stands still for a while under many topics with a live reader each: how long it takes until all have events again.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use sockeye_load::{Load, Pace, Plan, Target};
use sockeye_parts::{kafka::Kafka, process::connections};

use super::PATIENCE;
use crate::{
    report::{Bar, Table, median, spread},
    sockeye::Sockeye,
};

/// Longer than a record waits for Kafka, and than a reader believes in it.
const AWAY: Duration = Duration::from_secs(15);
const TIMES: usize = 3;

/// What one cost.
struct Outage {
    /// From when Kafka is back.
    took: Duration,
    cpu: Duration,
    /// CPU time while it is away.
    waiting: Duration,
}

// ----------------------------------------------------------------------------------------------

/// A reader of each of these applications, while Kafka stands still (SIGSTOP) and goes on.
pub fn run(sockeye: &Sockeye, kafka: &Kafka, applications: &[String], table: &mut Table) -> Result<()> {
    let mut load = Load::new()?;
    for application in applications {
        let mut target = Target::new(sockeye.address, format!("/{application}"));
        target.login = Some(sockeye.admin.clone());
        load.open(target, 1, |_| {})?;
    }
    let all = applications.len() as u64;
    let publisher = Publisher::new(kafka, applications)?;
    publisher.one_for_each()?;
    load.receive(all)?;
    let server = sockeye.server.process()?;
    let before = connections(server.pid(), kafka.port())?;

    let mut outages = Vec::new();
    for time in 1..=TIMES {
        eprintln!("Kafka stands still: {time} of {TIMES}");
        kafka.freeze()?;
        // Clients that are there, and answer Pings.
        let away = Plan {
            pace: Pace::WhenArrived,
            reaches: None,
            warm_up: Duration::ZERO,
            time: AWAY,
            server: Some(server),
        };
        let waiting = load.run(&away, |_| {})?.cpu.unwrap_or_default();
        kafka.thaw()?;
        let (back, used) = (Instant::now(), server.usage()?.cpu);
        thread::scope(|scope| {
            let published = scope.spawn(|| publisher.one_for_each());
            load.receive(((time + 1) * applications.len()) as u64)?;
            published.join().expect("it does not panic")
        })?;
        outages.push(Outage {
            took: back.elapsed(),
            cpu: server.usage()?.cpu.saturating_sub(used),
            waiting,
        });
    }
    let of =
        |part: fn(&Outage) -> Duration| -> Vec<f64> { outages.iter().map(|one| part(one).as_secs_f64()).collect() };
    let took = of(|one| one.took);
    let [bar, verdict] = Bar::None.cells(median(&took));
    table.row([
        format!(
            "{all} applications with a reader each, Kafka stands still for {} s: from then until all have an event again, s",
            AWAY.as_secs()
        ),
        String::new(),
        String::new(),
        spread(&took),
        bar,
        verdict,
        format!(
            "{TIMES} times; CPU {:.2} s, while it stands {:.2} s; {before} connections to Kafka before, {} then",
            median(&of(|one| one.cpu)),
            median(&of(|one| one.waiting)),
            connections(server.pid(), kafka.port())?
        ),
    ]);
    Ok(())
}

/// Somebody else who publishes, past Sockeye.
struct Publisher {
    producer: BaseProducer,
    topics: Vec<String>,
}

impl Publisher {
    fn new(kafka: &Kafka, applications: &[String]) -> Result<Self> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", kafka.bootstrap());
        let topics = applications.iter().map(|name| format!("events-{name}"));
        Ok(Self {
            producer: config.create()?,
            topics: topics.collect(),
        })
    }

    fn one_for_each(&self) -> Result<()> {
        for topic in &self.topics {
            let mut headers = OwnedHeaders::new();
            for (key, value) in [
                ("ce_specversion", "1.0"),
                ("ce_id", "1"),
                ("ce_type", "io.drogue.event.v1"),
                ("ce_source", "/bench"),
                ("ce_subject", "c"),
                ("content-type", "application/json"),
            ] {
                headers = headers.insert(Header {
                    key,
                    value: Some(value),
                });
            }
            let record = BaseRecord::<(), _>::to(topic).headers(headers).payload("1");
            let sent = self.producer.send(record).map_err(|(error, _)| error);
            sent.with_context(|| topic.clone())?;
        }
        Ok(self.producer.flush(PATIENCE)?)
    }
}
