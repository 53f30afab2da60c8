//! Several topics with several partitions, and all that can happen to one. What was ever appended is remembered: it is the truth
//! that clients are compared with.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use sockeye_event::event::extension;
use sockeye_event::{Event, Headers, binary};
use sockeye_log::{Batch, Incarnation, NewRecord, Position, ReadError, Record, Span, Topic, Unavailable};
use tokio::time::Instant;

use sockeye_seeds::Random;

pub(crate) struct State {
    pub(crate) topics: BTreeMap<Topic, SimTopic>,
    /// By incarnation; never two of one topic.
    pub(crate) histories: BTreeMap<u64, History>,
    /// Batches that were given to readers.
    pub(crate) given: u64,
    /// Those of them that were read of the past.
    pub(crate) reads: u64,
    /// Bytes of the largest of them.
    pub(crate) largest: usize,
    /// What was appended to other topics, in order.
    pub(crate) appended: Vec<(Topic, NewRecord)>,
    /// Whether an answer may take its time.
    pub(crate) hesitates: bool,
    pub(crate) random: Random,
}

pub(crate) struct SimTopic {
    /// `None` while it is deleted.
    pub(crate) incarnation: Option<u64>,
    pub(crate) down: bool,
    /// When it was last not as it should be.
    pub(crate) trouble: Instant,
    /// When its outage began; one that is over for less than it takes to try again goes on.
    since: Instant,
    /// Its longest outage.
    longest: Duration,
}

/// All that a topic ever held in one incarnation.
pub(crate) struct History {
    pub(crate) partitions: Vec<Partition>,
}

#[derive(Default)]
pub(crate) struct Partition {
    pub(crate) records: Vec<Stored>,
    /// What is before this offset was removed.
    pub(crate) trimmed: u64,
    pub(crate) end: u64,
}

pub(crate) struct Stored {
    pub(crate) offset: u64,
    pub(crate) at: Instant,
    /// What it says; `None` if it is no event.
    pub(crate) facts: Option<Facts>,
    headers: Headers,
    pub(crate) payload: Option<Bytes>,
}

/// What of an event can be selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) channel: &'static str,
    pub(crate) device: &'static str,
    pub(crate) ty: &'static str,
}

/// Within this time after an outage a server has asked again, and has been answered.
const RETRIED: Duration = Duration::from_secs(6);

pub(crate) const CHANNELS: [&str; 3] = ["a", "b", "state"];
pub(crate) const DEVICES: [&str; 4] = ["d0", "d1", "d2", "d3"];
pub(crate) const TYPES: [&str; 2] = ["io.drogue.event.v1", "io.drogue.connection.v1"];

// ----------------------------------------------------------------------------------------------

impl Partition {
    /// What was appended of these offsets.
    pub(crate) fn part(&self, offsets: Range<u64>) -> &[Stored] {
        let before = |offset: u64| self.records.partition_point(|record| record.offset < offset);
        &self.records[before(offsets.start)..before(offsets.end.max(offsets.start))]
    }
}

impl State {
    /// Topics with nothing in them.
    pub(crate) fn new(mut random: Random, topics: &[Topic]) -> Self {
        let mut state = Self {
            topics: BTreeMap::new(),
            histories: BTreeMap::new(),
            given: 0,
            reads: 0,
            largest: 0,
            appended: Vec::new(),
            hesitates: true,
            random: random.split(),
        };
        for topic in topics {
            state.create(topic);
        }
        state
    }

    /// Makes a topic with nothing in it.
    pub(crate) fn create(&mut self, topic: &Topic) {
        let incarnation = self.histories.len() as u64 + 1;
        let partitions = self.random.pick(&[1, 1, 2, 3]);
        let history = History {
            partitions: (0..partitions).map(|_| Partition::default()).collect(),
        };
        self.histories.insert(incarnation, history);
        let now = Instant::now();
        let sim = SimTopic {
            incarnation: Some(incarnation),
            down: false,
            trouble: now,
            since: now,
            longest: Duration::ZERO,
        };
        self.topics.insert(topic.clone(), sim);
    }

    /// Appends an event with a payload of about this size, or something that is no event.
    pub(crate) fn append(&mut self, topic: &Topic, size: usize, is_event: bool) {
        let Some(incarnation) = self.topics[topic].incarnation else {
            return;
        };
        let at_device = self.random.between(0, DEVICES.len() as u64 - 1) as usize;
        let facts = Facts {
            channel: self.random.pick(&CHANNELS),
            device: DEVICES[at_device],
            ty: self.random.pick(&TYPES),
        };
        let gap = if self.random.percent(20) {
            self.random.between(1, 5)
        } else {
            0
        };
        let history = self.histories.get_mut(&incarnation).unwrap();
        let number = at_device % history.partitions.len();
        let partition = &mut history.partitions[number];
        // Offsets are ordered, not dense.
        let offset = partition.end + gap;
        let payload = Bytes::from(format!("{incarnation}:{number}:{offset}:{}", "x".repeat(size)));
        let (headers, payload) = if is_event {
            let id = format!("{number}:{offset}");
            binary::encode(&event(&id, facts, payload))
        } else {
            (Headers::default(), Some(payload))
        };
        partition.records.push(Stored {
            offset,
            at: Instant::now(),
            facts: is_event.then_some(facts),
            headers,
            payload,
        });
        partition.end = offset + 1;
    }

    /// Moves the end although nothing is appended, as Kafka's transaction markers do.
    pub(crate) fn skip(&mut self, topic: &Topic) {
        if let Some(incarnation) = self.topics[topic].incarnation {
            for partition in &mut self.histories.get_mut(&incarnation).unwrap().partitions {
                partition.end += 2;
            }
        }
    }

    /// Removes what is older than this.
    pub(crate) fn trim(&mut self, topic: &Topic, age: Duration) {
        if let Some(incarnation) = self.topics[topic].incarnation {
            for partition in &mut self.histories.get_mut(&incarnation).unwrap().partitions {
                let old = partition.records.iter().rev().find(|record| record.at.elapsed() >= age);
                let before = old.map_or(0, |record| record.offset + 1);
                partition.trimmed = partition.trimmed.max(before);
            }
        }
    }

    pub(crate) fn fail(&mut self, topic: &Topic, down: bool) {
        let topic = self.topics.get_mut(topic).unwrap();
        topic.longest = topic.longest_outage();
        if down && topic.trouble.elapsed() > RETRIED {
            topic.since = Instant::now();
        }
        topic.down = down;
        topic.trouble = Instant::now();
    }

    pub(crate) fn delete(&mut self, topic: &Topic) {
        self.topics.get_mut(topic).unwrap().incarnation = None;
    }

    /// What a server asks before it accepts a client: what the topic holds.
    pub(crate) fn span(&self, topic: &Topic) -> Option<Span> {
        let topic = &self.topics[topic];
        let incarnation = topic.incarnation.filter(|_| !topic.down)?;
        let history = &self.histories[&incarnation];
        Some(Span {
            oldest: history.position(incarnation, |partition| partition.trimmed),
            end: history.position(incarnation, |partition| partition.end),
        })
    }

    /// A position as the offset of each partition.
    pub(crate) fn offsets(&self, position: &Position) -> Vec<u64> {
        let partitions = self.histories[&position.incarnation().0].partitions.len() as u32;
        (0..partitions).map(|partition| position.offset(partition)).collect()
    }

    /// Some of what is there, in any order of the partitions; nothing at the end.
    pub(crate) fn take(
        &mut self,
        topic: &Topic,
        incarnation: u64,
        next: &mut [u64],
        most_bytes: usize,
    ) -> Result<Option<Batch>, ReadError> {
        self.check(topic, incarnation, next)?;
        let random = &mut self.random;
        let partitions = &self.histories[&incarnation].partitions;
        let behind = |next: &[u64]| {
            partitions
                .iter()
                .zip(next)
                .any(|(partition, next)| *next < partition.end)
        };
        if !behind(next) {
            return Ok(None);
        }
        let most = random.between(1, 30);
        let (mut records, mut bytes, mut moved) = (Vec::<Record>::new(), 0, false);
        // Whoever is unlucky with the partitions looks again.
        while records.is_empty() && !moved {
            for _ in 0..most {
                let number = random.between(0, partitions.len() as u64 - 1) as usize;
                let (partition, next) = (&partitions[number], &mut next[number]);
                let at = partition.records.partition_point(|record| record.offset < *next);
                if let Some(record) = partition.records.get(at) {
                    let record = Record {
                        partition: number as u32,
                        offset: record.offset,
                        time: Timestamp::UNIX_EPOCH,
                        headers: record.headers.clone(),
                        payload: record.payload.clone(),
                    };
                    bytes += record.size() + 512;
                    if bytes > most_bytes && !records.is_empty() {
                        break;
                    }
                    *next = record.offset + 1;
                    records.push(record);
                } else if *next < partition.end {
                    moved = true;
                    *next = partition.end;
                }
            }
        }
        self.given += 1;
        let bytes: usize = records.iter().map(|record| record.size() + 512).sum();
        self.largest = self.largest.max(512 + bytes);
        let next = Position::new(Incarnation(incarnation), (0..).zip(next.iter().copied()));
        Ok(Some(Batch { records, next }))
    }

    /// The topic as it can be read now from there.
    pub(crate) fn check(&self, topic: &Topic, incarnation: u64, next: &[u64]) -> Result<(), ReadError> {
        let sim = &self.topics[topic];
        if sim.down {
            return Err(Unavailable("down".to_owned()).into());
        }
        let Some(current) = sim.incarnation else {
            return Err(ReadError::NoTopic(topic.clone()));
        };
        let history = &self.histories[&current];
        let oldest = history.position(current, |partition| partition.trimmed);
        if current != incarnation {
            return Err(ReadError::OtherIncarnation { oldest });
        }
        if history
            .partitions
            .iter()
            .zip(next)
            .any(|(partition, next)| *next < partition.trimmed)
        {
            return Err(ReadError::Trimmed { oldest });
        }
        if history
            .partitions
            .iter()
            .zip(next)
            .any(|(partition, next)| *next > partition.end)
        {
            let end = history.position(current, |partition| partition.end);
            return Err(ReadError::BeyondEnd { end });
        }
        Ok(())
    }
}

impl SimTopic {
    pub(crate) fn longest_outage(&self) -> Duration {
        let now = if self.down {
            self.since.elapsed()
        } else {
            Duration::ZERO
        };
        self.longest.max(now)
    }
}

impl History {
    pub(crate) fn position(&self, incarnation: u64, offset: impl Fn(&Partition) -> u64) -> Position {
        let offsets = (0..).zip(self.partitions.iter().map(offset));
        Position::new(Incarnation(incarnation), offsets)
    }
}

fn event(id: &str, facts: Facts, payload: Bytes) -> Event {
    Event {
        id: id.into(),
        source: "simulation".into(),
        ty: facts.ty.into(),
        data_content_type: None,
        data_schema: None,
        subject: Some(facts.channel.into()),
        time: None,
        extensions: vec![(extension::DEVICE.into(), facts.device.into())],
        data: Some(payload),
    }
}
