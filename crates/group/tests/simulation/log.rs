//! A log in memory: partitions whose offsets have gaps, records that the group does not want, retention.

use std::rc::Rc;

use bytestring::ByteString;
use sockeye_group::Item;
use sockeye_log::{Incarnation, Position};

use sockeye_seeds::Random;

pub(crate) struct SimLog {
    pub(crate) partitions: Vec<Partition>,
    /// All events that the group wants, trimmed ones too, by number.
    pub(crate) events: Vec<Event>,
    devices: u64,
    ids: u64,
}

#[derive(Default)]
pub(crate) struct Partition {
    pub(crate) records: Vec<Record>,
    pub(crate) end: u64,
    pub(crate) trimmed: u64,
}

pub(crate) struct Record {
    pub(crate) offset: u64,
    /// `None`: the group does not want it.
    pub(crate) event: Option<Event>,
}

/// An event that the group wants.
#[derive(Clone, Debug)]
pub(crate) struct Event(Rc<Facts>);

#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) number: usize,
    pub(crate) partition: u32,
    pub(crate) offset: u64,
    pub(crate) device: ByteString,
    id: ByteString,
    bytes: usize,
}

pub(crate) const INCARNATION: Incarnation = Incarnation(77);

// ----------------------------------------------------------------------------------------------

impl SimLog {
    pub(crate) fn new(random: &mut Random) -> Self {
        Self {
            partitions: (0..random.between(1, 3)).map(|_| Partition::default()).collect(),
            events: Vec::new(),
            devices: random.between(1, 6),
            ids: random.pick(&[2, 10, 1_000]),
        }
    }

    pub(crate) fn append(&mut self, random: &mut Random) {
        let device = random.between(1, self.devices);
        // What is of one device is in one partition.
        let partition = device % self.partitions.len() as u64;
        let log = &mut self.partitions[partition as usize];
        let offset = log.end + if random.percent(20) { random.between(1, 5) } else { 0 };
        log.end = offset + 1;
        let event = random.percent(80).then(|| {
            Event(Rc::new(Facts {
                number: self.events.len(),
                partition: partition as u32,
                offset,
                device: format!("device-{device}").into(),
                id: random.between(1, self.ids).to_string().into(),
                bytes: random.pick(&[50, 300, 300, 500, 3_000, 20_000]),
            }))
        });
        self.events.extend(event.clone());
        log.records.push(Record { offset, event });
    }

    /// Lets retention remove some of what is oldest.
    pub(crate) fn trim(&mut self, random: &mut Random) {
        for partition in &mut self.partitions {
            let count = random.between(0, partition.records.len() as u64) as usize;
            if count > 0 {
                partition.trimmed = partition.records[count - 1].offset + 1;
                partition.records.drain(..count);
            }
        }
    }

    pub(crate) fn oldest(&self) -> Position {
        Position::new(
            INCARNATION,
            (0..).zip(self.partitions.iter().map(|partition| partition.trimmed)),
        )
    }
}

impl std::ops::Deref for Event {
    type Target = Facts;
    fn deref(&self) -> &Facts {
        &self.0
    }
}

impl Item for Event {
    fn id(&self) -> &str {
        &self.0.id
    }
    fn device(&self) -> &ByteString {
        &self.0.device
    }
    fn bytes(&self) -> usize {
        self.0.bytes
    }
}
