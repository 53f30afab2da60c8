//! What groups may and must have done, by what the log held, what clients have read and what they said.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;

use sockeye_delivery::{Balance, Selection};
use sockeye_group::{DeadLetter, Mark};
use sockeye_limits as limits;
use sockeye_log::{GroupId, GroupMark, Position, Topic};

use crate::history::{History, State, Stored};
use crate::pick::Pick;

/// A record of a topic: partition and offset.
pub(crate) type Place = (u32, u64);

/// A group that clients want to be members of.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) id: GroupId,
    pub(crate) topic: Topic,
    pub(crate) pick: Pick,
    pub(crate) balance: Balance,
    /// Some of its members ask for `ack=client`.
    pub(crate) acks: bool,
}

pub(crate) struct Truth {
    pub(crate) plans: Vec<Plan>,
    groups: BTreeMap<GroupId, Shared>,
    /// Where groups are about to be moved, also those that are being made just now.
    sought: BTreeMap<GroupId, Position>,
    /// Counts everything that makes a group begin anew.
    epoch: u64,
    pub(crate) tally: Counts,
}

/// What is known of a group since it began, or was moved.
struct Shared {
    epoch: u64,
    start: Position,
    /// What a client has proven to have, or can at any moment: read, by those whose Pongs are receipts; acknowledged by the
    /// others.
    proven: BTreeSet<Place>,
    /// In the dead letters.
    buried: BTreeSet<Place>,
    /// What retention took before anybody had it.
    lost: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) received: u64,
    /// Events that came to clients more than once.
    pub(crate) again: u64,
    pub(crate) stored: u64,
    pub(crate) buried: u64,
    pub(crate) lost: u64,
    pub(crate) moved: u64,
}

/// What one connection may get.
pub(crate) struct Joined {
    plan: usize,
    epoch: Option<u64>,
    /// What was durable before it joined.
    durable: Option<Mark>,
    by_pong: bool,
    seen: BTreeSet<Place>,
    /// The newest event of each device.
    newest: BTreeMap<&'static str, u64>,
}

// ----------------------------------------------------------------------------------------------

impl Plan {
    pub(crate) fn new(name: &str, topic: &Topic, pick: Pick, balance: Balance, acks: bool) -> Self {
        let selection: Selection = pick.selection();
        Self {
            id: GroupId {
                application: topic.application().to_string(),
                group: name.to_owned(),
                selection: selection.canonical(),
            },
            topic: topic.clone(),
            pick,
            balance,
            acks,
        }
    }
}

impl Truth {
    pub(crate) fn new(plans: Vec<Plan>) -> Self {
        Self {
            plans,
            groups: BTreeMap::new(),
            sought: BTreeMap::new(),
            epoch: 0,
            tally: Counts::default(),
        }
    }

    fn plan(&self, id: &GroupId) -> &Plan {
        self.plans
            .iter()
            .find(|plan| plan.id == *id)
            .expect("a group that was asked for")
    }

    /// A group is made.
    pub(crate) fn begin(&mut self, id: &GroupId, mark: &GroupMark) {
        self.epoch += 1;
        let shared = Shared {
            epoch: self.epoch,
            start: mark.position.clone(),
            proven: BTreeSet::new(),
            buried: BTreeSet::new(),
            lost: 0,
        };
        self.groups.insert(id.clone(), shared);
    }

    pub(crate) fn delete(&mut self, id: &GroupId) {
        self.groups.remove(id);
    }

    pub(crate) fn delete_application(&mut self, application: &str) {
        self.groups.retain(|id, _| id.application != application);
    }

    /// Somebody is about to move a group there.
    pub(crate) fn seek(&mut self, id: &GroupId, to: &Position) {
        self.sought.insert(id.clone(), to.clone());
    }

    /// A mark becomes durable: nothing may be behind it that nobody has.
    pub(crate) fn stored(&mut self, log: &State, id: &GroupId, old: &GroupMark, new: &GroupMark) {
        self.tally.stored += 1;
        let lost = self.lost(log, id, old, new);
        // A move may come true later than its answer; a mark that receipts alone lead to need not be one.
        let before = self.groups[id].lost;
        let is_receipted = lost.as_ref().is_ok_and(|lost| before + lost <= new.trimmed);
        let is_sought = self.sought.get(id) == Some(&new.position) && new.receipted.is_empty();
        if old.position.incarnation() != new.position.incarnation() || is_sought && !is_receipted {
            self.tally.moved += 1;
            self.begin(id, new);
            self.groups.get_mut(id).unwrap().lost = before;
            return;
        }
        let lost = lost.unwrap_or_else(|wrong| panic!("{id:?}: {wrong}"));
        self.tally.lost += lost;
        let shared = self.groups.get_mut(id).unwrap();
        shared.lost += lost;
        assert!(new.trimmed >= old.trimmed, "{id:?}: what retention took is forgotten");
        assert!(
            new.trimmed >= shared.lost,
            "{id:?}: retention took {} events, and {} are told",
            shared.lost,
            new.trimmed
        );
    }

    /// Events between two marks of a group that retention took before anybody had them, or why receipts do not lead from one
    /// to the other.
    fn lost(&self, log: &State, id: &GroupId, old: &GroupMark, new: &GroupMark) -> Result<u64, String> {
        let pick = self.plan(id).pick;
        let shared = self.groups.get(id).expect("it is there");
        let (old, mark) = (decode(old), decode(new));
        if !mark.position.is_at_or_behind(&old.position) {
            return Err(format!("a position goes back: {}, {}", old.position, mark.position));
        }
        let history = &log.histories[&mark.position.incarnation().0];
        let mut lost = 0;
        for (partition, offset, record) in history.after(&old.position) {
            // Of what it does not want a group keeps no books.
            if !pick.wants(record) {
                continue;
            }
            let covers = mark.covers(partition, offset);
            if old.covers(partition, offset) {
                if !covers {
                    return Err(format!("a receipt is forgotten: {partition}:{offset}"));
                }
            } else if covers && !shared.has(partition, offset) {
                if offset >= history.partitions[partition as usize].trimmed {
                    return Err(format!("{partition}:{offset} is durable, and nobody has it"));
                }
                lost += 1;
            }
        }
        Ok(lost)
    }

    /// An event is in the dead letters.
    pub(crate) fn buried(&mut self, topic: &Topic, letter: &DeadLetter) {
        let id = GroupId {
            application: topic.application().to_string(),
            group: letter.group.clone(),
            selection: letter.selection.clone(),
        };
        assert!(self.plan(&id).acks, "{id:?}: only under `ack=client`");
        assert!(letter.failures >= limits::GROUP_FAILURES, "{letter:?}: too early");
        self.tally.buried += 1;
        // It may have been deleted meanwhile.
        if let Some(shared) = self.groups.get_mut(&id) {
            shared.buried.insert((letter.partition, letter.offset));
        }
    }

    // ------------------------------------------------------------------------------------------ connections

    /// Since when a group is what it is, if it is there.
    pub(crate) fn epoch(&self, plan: usize) -> Option<u64> {
        self.groups.get(&self.plans[plan].id).map(|shared| shared.epoch)
    }

    /// A connection has read an event.
    pub(crate) fn receive(&mut self, log: &State, joined: &mut Joined, incarnation: u64, place: Place) {
        let plan = &self.plans[joined.plan];
        let (partition, offset) = place;
        let history = &log.histories[&incarnation];
        let record = history.record(place);
        assert!(plan.pick.wants(record), "{:?}: {place:?} is not wanted", plan.id);
        let is_new = joined.seen.insert(place);
        assert!(
            is_new || !joined.by_pong,
            "{:?}: {place:?} again on one connection",
            plan.id
        );
        self.tally.received += 1;
        let Some(shared) = self.groups.get_mut(&plan.id) else {
            return;
        };
        // A connection that is left over from before the group was moved or made anew proves nothing for it.
        if joined.epoch != Some(shared.epoch) || shared.start.incarnation().0 != incarnation {
            return;
        }
        assert!(
            offset >= shared.start.offset(partition),
            "{:?}: {place:?} is before its start",
            plan.id
        );
        if let Some(durable) = &joined.durable
            && durable.position.incarnation().0 == incarnation
        {
            assert!(
                !durable.covers(partition, offset),
                "{:?}: {place:?} was durable before the member came",
                plan.id
            );
        }
        if plan.balance == Balance::Device && !plan.acks {
            let device = record.facts.expect("an event").device;
            let last = joined.newest.insert(device, offset);
            assert!(
                last.is_none_or(|last| last < offset),
                "{:?}: {place:?} of {device} behind {last:?}",
                plan.id
            );
            for (at, earlier, record) in history.after(&shared.start) {
                let is_trimmed = earlier < history.partitions[partition as usize].trimmed;
                let is_earlier = at == partition && earlier < offset && plan.pick.wants(record);
                if is_earlier && record.facts.is_some_and(|facts| facts.device == device) {
                    assert!(
                        is_trimmed || shared.has(at, earlier),
                        "{:?}: {place:?} of {device} before {earlier}",
                        plan.id
                    );
                }
            }
        }
        if joined.by_pong {
            self.tally.again += u64::from(!shared.proven.insert(place));
        }
    }

    /// A client says that it is done with an event.
    pub(crate) fn acknowledge(&mut self, joined: &Joined, incarnation: u64, place: Place) {
        if let Some(shared) = self.groups.get_mut(&self.plans[joined.plan].id)
            && joined.epoch == Some(shared.epoch)
            && shared.start.incarnation().0 == incarnation
        {
            shared.proven.insert(place);
        }
    }

    /// Everything has had its time: nothing is left that the log holds and nobody has.
    pub(crate) fn check_complete(&self, log: &State, id: &GroupId) {
        let plan = self.plan(id);
        let Some(shared) = self.groups.get(id) else { return };
        let history = &log.histories[&shared.start.incarnation().0];
        for (partition, offset, record) in history.after(&shared.start) {
            let is_trimmed = offset < history.partitions[partition as usize].trimmed;
            assert!(
                is_trimmed || !plan.pick.wants(record) || shared.has(partition, offset),
                "{id:?}: nobody has {partition}:{offset}"
            );
        }
    }

    /// The server has stopped in peace: what was proven is durable.
    pub(crate) fn check_durable(&self, log: &State, id: &GroupId, mark: &GroupMark) {
        let (plan, mark) = (self.plan(id), decode(mark));
        let Some(shared) = self.groups.get(id) else { return };
        let history = &log.histories[&mark.position.incarnation().0];
        for (partition, offset, record) in history.after(&shared.start) {
            assert!(
                !plan.pick.wants(record) || mark.covers(partition, offset),
                "{id:?}: {partition}:{offset} is not durable"
            );
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.received += other.received;
        self.again += other.again;
        self.stored += other.stored;
        self.buried += other.buried;
        self.lost += other.lost;
        self.moved += other.moved;
    }
}

impl Joined {
    /// Somebody has become a member; `durable`: what was before.
    pub(crate) fn new(plan: usize, epoch: Option<u64>, durable: Option<&GroupMark>, by_pong: bool) -> Self {
        Self {
            plan,
            epoch,
            durable: durable.map(decode),
            by_pong,
            seen: BTreeSet::new(),
            newest: BTreeMap::new(),
        }
    }
}

impl Shared {
    fn has(&self, partition: u32, offset: u64) -> bool {
        let place = (partition, offset);
        self.proven.contains(&place) || self.buried.contains(&place)
    }
}

fn decode(mark: &GroupMark) -> Mark {
    Mark::decode(mark.position.clone(), &mark.receipted).expect("what was stored can be read")
}

impl History {
    /// Records behind a position.
    fn after(&self, position: &Position) -> impl Iterator<Item = (u32, u64, &Stored)> {
        (0..).zip(&self.partitions).flat_map(move |(number, partition)| {
            let first = partition
                .records
                .partition_point(|record| record.offset < position.offset(number));
            partition.records[first..]
                .iter()
                .map(move |record| (number, record.offset, record))
        })
    }

    fn record(&self, (partition, offset): Place) -> &Stored {
        let records = &self.partitions[partition as usize].records;
        let at = records.binary_search_by_key(&offset, |record| record.offset);
        &records[at.expect("a record of the log")]
    }
}
