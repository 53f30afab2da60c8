//! What a client has to see, by what the log held.

use std::collections::BTreeSet;
use std::ops::Range;
use std::str;
use std::time::Duration;

use sockeye_log::{Position, Topic};
use tokio::time::Instant;

use crate::dialect::Form;
use crate::history::{State, Stored};
use crate::pick::Pick;

/// The events of one connection.
pub(crate) struct Expected {
    pub(crate) topic: Topic,
    pub(crate) pick: Pick,
    pub(crate) form: Form,
    /// Behind what was received.
    pub(crate) seen: Position,
    /// The last that was received.
    pub(crate) cursor: Option<Position>,
    /// It began at the end of the log.
    pub(crate) is_live: bool,
    /// Partitions of which nothing was received yet, if what retention removed of them meanwhile is not missed.
    left: BTreeSet<u32>,
    /// The same, if what was appended before its acknowledgement is not missed.
    joined: BTreeSet<u32>,
    pub(crate) began: Instant,
}

/// After an outage a log is asked again within this time.
const RECOVERED: Duration = Duration::from_secs(6);

// ----------------------------------------------------------------------------------------------

/// Incarnation, partition and offset of an event.
pub(crate) fn place_of(payload: &[u8]) -> (u64, u32, u64) {
    let mut parts = payload
        .splitn(4, |byte| *byte == b':')
        .map(|part| str::from_utf8(part).unwrap());
    let mut number = || parts.next().unwrap().parse::<u64>().unwrap();
    (number(), number() as u32, number())
}

impl Expected {
    pub(crate) fn new(
        topic: Topic,
        pick: Pick,
        form: Form,
        start: Position,
        is_live: bool,
        what_is_left: bool,
    ) -> Self {
        let partitions = start.offsets().iter().map(|(partition, _)| *partition);
        Self {
            left: partitions.filter(|_| what_is_left).collect(),
            joined: BTreeSet::new(),
            topic,
            pick,
            form,
            seen: start,
            cursor: None,
            is_live,
            began: Instant::now(),
        }
    }

    /// The subscription is acknowledged: from now on nothing of it is missed. One that is live may have begun a little later
    /// than where it was asked for.
    pub(crate) fn acknowledged(&mut self, log: &State) {
        self.began = Instant::now();
        if self.is_live {
            let partitions = log.histories[&self.seen.incarnation().0].partitions.len();
            self.joined = (0..partitions as u32).collect();
        }
    }

    /// What must have come of this part of a partition, to one of the live subscriptions that share their events.
    pub(crate) fn due_to_any(&self, log: &State, partition: u32, part: Range<u64>) -> impl Iterator<Item = u64> {
        let part = part.start.max(self.seen.offset(partition))..part.end;
        let partition = &log.histories[&self.seen.incarnation().0].partitions[partition as usize];
        let wanted = |record: &&Stored| self.pick.wants(record) && record.at > self.began;
        partition.part(part).iter().filter(wanted).map(|record| record.offset)
    }

    /// What is wanted of this part of a partition, and was not removed before reading began.
    pub(crate) fn due(&self, log: &State, partition: u32, part: Range<u64>) -> impl Iterator<Item = u64> {
        let partition_log = &log.histories[&self.seen.incarnation().0].partitions[partition as usize];
        let wanted = move |record: &&Stored| self.pick.wants(record) && !self.may_lack(log, partition, record);
        partition_log
            .part(part)
            .iter()
            .filter(wanted)
            .map(|record| record.offset)
    }

    /// An event was received.
    pub(crate) fn see(&mut self, partition: u32, offset: u64) {
        self.seen.advance(partition, offset + 1);
        self.left.remove(&partition);
        self.joined.remove(&partition);
    }

    /// Takes an event that was received: it has to be the next one of its partition. `prompt`: the client has always read
    /// at once, and so has to have it within so much time.
    pub(crate) fn receive(&mut self, log: &State, payload: &[u8], prompt: Option<Duration>) {
        let (cursor, payload) = match self.form {
            Form::Plain => (None, payload),
            Form::Cursor | Form::Tagged(_) => {
                let end = payload.iter().position(|byte| *byte == b'!').expect("a cursor");
                (Some(&payload[..end]), &payload[end + 1..])
            }
        };
        let (incarnation, partition, offset) = place_of(payload);
        assert_eq!(incarnation, self.seen.incarnation().0, "an event of another log");
        let next = self.seen.offset(partition);
        assert!(offset >= next, "{partition}:{offset} again, or late: {next} is next");
        let records = &log.histories[&incarnation].partitions[partition as usize].records;
        let first = records.partition_point(|record| record.offset < next);
        let due = records[first..]
            .iter()
            .find(|record| {
                self.pick.wants(record) && (record.offset == offset || !self.may_lack(log, partition, record))
            })
            .expect("wanted");
        assert_eq!(
            due.offset, offset,
            "partition {partition}: from {next} on another one is due"
        );
        assert_eq!(due.payload.as_deref(), Some(payload), "it is as it was appended");
        self.see(partition, offset);
        if let Some(cursor) = cursor {
            self.cursor = Some(self.check_cursor(log, cursor));
        }

        let topic = &log.topics[&self.topic];
        let calm = !topic.down && due.at > topic.trouble + RECOVERED && due.at >= self.began;
        if let Some(prompt) = prompt
            && self.is_live
            && calm
        {
            let took = due.at.elapsed();
            assert!(took <= prompt, "{partition}:{offset} took {took:?}");
        }
    }

    /// Whether the record was removed, or appended, maybe before reading began.
    fn may_lack(&self, log: &State, partition: u32, record: &Stored) -> bool {
        let history = &log.histories[&self.seen.incarnation().0];
        if self.joined.contains(&partition) && record.at <= self.began {
            return true;
        }
        self.left.contains(&partition) && record.offset < history.partitions[partition as usize].trimmed
    }

    /// Whoever reads on from a cursor misses nothing and sees nothing twice.
    fn check_cursor(&self, log: &State, cursor: &[u8]) -> Position {
        let incarnation = self.seen.incarnation();
        let parts = str::from_utf8(cursor).unwrap().split_terminator(',');
        let number = |text: &str| text.parse::<u64>().unwrap();
        let offsets = parts
            .map(|part| part.split_once(':').unwrap())
            .map(|(partition, next)| (number(partition) as u32, number(next)));
        let cursor = Position::new(incarnation, offsets);
        for (number, partition) in (0..).zip(&log.histories[&incarnation.0].partitions) {
            let (seen, cursor) = (self.seen.offset(number), cursor.offset(number));
            let between = seen.min(cursor)..seen.max(cursor);
            let wrong = partition.records.iter().find(|record| {
                between.contains(&record.offset) && self.pick.wants(record) && !self.may_lack(log, number, record)
            });
            assert!(wrong.is_none(), "the cursor says {number}:{cursor}, seen is {seen}");
        }
        cursor
    }

    /// Nothing is missed.
    pub(crate) fn check_complete(&self, log: &State) {
        self.check(log, |_| u64::MAX);
    }

    /// Nothing before this place is missed.
    pub(crate) fn check_before(&self, log: &State, place: &Position) {
        self.check(log, |partition| place.offset(partition));
    }

    fn check(&self, log: &State, end: impl Fn(u32) -> u64) {
        let history = &log.histories[&self.seen.incarnation().0];
        for (number, partition) in (0..).zip(&history.partitions) {
            let (next, end) = (self.seen.offset(number), end(number));
            let missed = partition.records.iter().find(|record| {
                (next..end).contains(&record.offset) && self.pick.wants(record) && !self.may_lack(log, number, record)
            });
            if let Some(missed) = missed {
                panic!("{number}:{} is missed: {next} is next", missed.offset);
            }
        }
    }

    /// Whether this incarnation of the log is gone.
    pub(crate) fn is_gone(&self, log: &State) -> bool {
        log.topics[&self.topic].incarnation != Some(self.seen.incarnation().0)
    }

    /// Whether retention may have passed the client.
    pub(crate) fn may_be_trimmed(&self, log: &State, prompt: bool) -> bool {
        let history = &log.histories[&self.seen.incarnation().0];
        let passed = (0..)
            .zip(&history.partitions)
            .any(|(number, partition)| partition.trimmed > self.seen.offset(number));
        passed && !(prompt && self.is_live && !self.is_troubled(log, self.began))
    }

    /// Whether the log could not be read at some time since then.
    pub(crate) fn is_troubled(&self, log: &State, since: Instant) -> bool {
        let topic = &log.topics[&self.topic];
        topic.down || topic.trouble + RECOVERED >= since
    }
}
