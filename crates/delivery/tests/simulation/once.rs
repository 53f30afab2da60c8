//! What has come to a client to which an event comes once, however many of its subscriptions want it. One that reads the past is
//! apart from the others until it has caught up: of these an event may come, and of it again.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use tokio::time::Instant;

use crate::expected::Expected;
use crate::history::State;

/// What came of all subscriptions.
#[derive(Default)]
pub(crate) struct Once {
    /// Behind how many others each event came the last time, by incarnation, partition and offset.
    came: BTreeMap<(u64, u32, u64), u64>,
    /// The last event of each partition that subscriptions got together, by incarnation and partition.
    last: BTreeMap<(u64, u32), u64>,
    count: u64,
}

/// What a subscription sees of that.
#[derive(Default)]
pub(crate) struct Share {
    /// How many events had come before its acknowledgement.
    after: u64,
    /// Whether it may be apart still.
    is_apart: bool,
    /// When it had got all that the log held, and the client had always read at once.
    caught_up: Option<Instant>,
}

// ----------------------------------------------------------------------------------------------

impl Once {
    /// A subscription is acknowledged.
    pub(crate) fn share(&self, expected: &Expected) -> Share {
        Share {
            after: self.count,
            is_apart: !expected.is_live,
            caught_up: None,
        }
    }

    /// Takes an event of a subscription, which is not one of those that came already, as far as that can be known. Gives behind
    /// which offset of its partition nothing else has come, of those that get events together.
    pub(crate) fn receive(
        &mut self,
        log: &State,
        (share, expected): (&mut Share, &mut Expected),
        (incarnation, partition, offset): (u64, u32, u64),
        prompt: Option<Duration>,
    ) -> Option<u64> {
        let last = self.last.get(&(incarnation, partition)).copied();
        if share.is_apart {
            let next = expected.seen.offset(partition);
            assert!(offset >= next, "{partition}:{offset} again: {next} is next");
            // What it was not given came of another one: then it gets the same as that.
            let passed: Vec<u64> = expected.due(log, partition, next..offset).collect();
            let missed = passed
                .iter()
                .find(|passed| !self.has(share, (incarnation, partition, **passed)));
            assert_eq!(missed, None, "{partition}:{offset} comes before it");
            let is_joined = !passed.is_empty() || share.has_joined(log, expected, (incarnation, partition, offset));
            share.is_apart = !is_joined;
            expected.see(partition, offset);
        }
        if !share.is_apart {
            assert!(
                last.is_none_or(|last| last < offset),
                "{partition}:{offset} behind {last:?}: out of order, or again"
            );
            self.last.insert((incarnation, partition), offset);
        }
        self.count += 1;
        self.came.insert((incarnation, partition, offset), self.count);
        if share.is_apart {
            share.look(log, self, expected, prompt);
        }
        last
    }

    /// Whether the event has come since the subscription was acknowledged.
    pub(crate) fn has(&self, share: &Share, place: (u64, u32, u64)) -> bool {
        self.came.get(&place).is_some_and(|count| *count > share.after)
    }

    /// Nothing that a live subscription wants of this part of a partition is missed.
    pub(crate) fn check_any(
        &self,
        log: &State,
        share: &Share,
        expected: &Expected,
        partition: u32,
        offsets: Range<u64>,
    ) {
        let incarnation = expected.seen.incarnation().0;
        let mut due = expected.due_to_any(log, partition, offsets);
        let missed = due.find(|offset| !self.has(share, (incarnation, partition, *offset)));
        assert_eq!(missed, None, "{partition}: it is missed");
    }

    /// Nothing is missed.
    pub(crate) fn check_complete(&self, log: &State, share: &Share, expected: &Expected) {
        if !expected.is_live {
            return assert_eq!(self.missing(log, share, expected), None, "it is missed");
        }
        let incarnation = expected.seen.incarnation().0;
        for partition in 0..log.histories[&incarnation].partitions.len() as u32 {
            self.check_any(log, share, expected, partition, 0..u64::MAX);
        }
    }

    /// The first event that a subscription that read the past wants and that has not come.
    fn missing(&self, log: &State, share: &Share, expected: &Expected) -> Option<(u32, u64)> {
        let incarnation = expected.seen.incarnation().0;
        (0..log.histories[&incarnation].partitions.len() as u32).find_map(|partition| {
            let mut due = expected.due(log, partition, expected.seen.offset(partition)..u64::MAX);
            let missing = due.find(|offset| !self.has(share, (incarnation, partition, *offset)));
            missing.map(|offset| (partition, offset))
        })
    }
}

impl Share {
    /// Whether its events may be others than those that the subscriptions get together.
    pub(crate) fn is_apart(&self) -> bool {
        self.is_apart
    }

    /// Notes whether the subscription has caught up.
    fn look(&mut self, log: &State, once: &Once, expected: &Expected, prompt: Option<Duration>) {
        self.caught_up = match (self.caught_up, prompt) {
            (_, None) => None,
            (Some(since), _) if !expected.is_troubled(log, since) => Some(since),
            (_, Some(prompt)) => {
                let has_all = once.missing(log, self, expected).is_none();
                has_all.then(|| Instant::now() + prompt)
            }
        };
    }

    /// Whether the event was appended when the subscription got its events together with the others for sure.
    fn has_joined(&self, log: &State, expected: &Expected, (incarnation, partition, offset): (u64, u32, u64)) -> bool {
        let at = log.histories[&incarnation].partitions[partition as usize].part(offset..offset + 1)[0].at;
        self.caught_up
            .is_some_and(|since| at > since && !expected.is_troubled(log, since))
    }
}
