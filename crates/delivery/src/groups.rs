//! All groups that this process owns: who wants to be a member comes in here.
//!
//! A group is loaded when its first member comes, and dropped when its last one has gone and everything is durable. There is
//! one owner at a time: the next one loads only when nothing of the last is on its way to storage any more.

mod item;
mod mailbox;
mod mailboxes;
mod memory;
mod numbers;
mod owner;
mod pump;
mod seat;
mod view;
mod work;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytestring::ByteString;
use sockeye_group::{Balance, JoinError, Mark, Receipts};
use sockeye_log::{
    GroupError, GroupId, GroupMark, GroupPosition, GroupPositions, Position, ReadError, Retention, Span, Topic,
    Unavailable,
};

pub(crate) use item::Place;
pub(crate) use mailbox::{KeepAlive, Recipient};
pub(crate) use mailboxes::Mailboxes;
pub use seat::Seat;
pub use view::{GroupView, MemberEntry};

use crate::budget::MemoryLimits;
use crate::delivery::{Core, Delivery};
use crate::end::{self, Cause};
use crate::groups::item::Form;
use crate::groups::memory::Memory;
use crate::groups::owner::{Candidate, Means, Owner, Refused};
use crate::groups::pump::Pumps;
use crate::groups::work::Storage;
use crate::metrics::Metrics;
use crate::session::{Closing, Encoder};
use crate::subscription::Selection;

/// The groups.
pub(crate) struct Groups {
    storage: Option<Positions>,
    slots: Mutex<BTreeMap<GroupId, Arc<Slot>>>,
    pumps: Pumps,
    memory: Memory,
}

/// Where positions are, and how long dead letters are kept.
struct Positions(Arc<dyn GroupPositions>, Retention);

/// The place of one group. Whoever loads or ends it holds the lock meanwhile.
type Slot = tokio::sync::Mutex<Option<Arc<Owner>>>;

/// Somebody who has something to do with a slot. Dropped, it takes away what is not needed any more.
struct Visit<'a> {
    groups: &'a Groups,
    id: GroupId,
    slot: Option<Arc<Slot>>,
}

/// What a client wants of a group.
#[derive(Clone, Debug)]
pub struct Joining {
    /// The log that is read.
    pub topic: Topic,
    /// The `group_id`.
    pub group: ByteString,
    /// Which events the group wants: a part of its identity.
    pub selection: Selection,
    /// How its events are spread: all members have to want the same.
    pub balance: Balance,
    /// How this client gives receipts.
    pub receipts: Receipts,
    /// Whether permessage-deflate was agreed on.
    pub deflate: bool,
    /// The caller, if it has a name, for people.
    pub name: Option<String>,
}

/// Why a client is no member of a group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnterError {
    /// The group does not take it.
    #[error(transparent)]
    Refused(#[from] JoinError),
    /// There is no such application, or no longer.
    #[error("there is no such application")]
    NoApplication,
    /// The log, or the store of positions, cannot be reached now.
    #[error("{0}")]
    Unavailable(#[from] Unavailable),
}

// ----------------------------------------------------------------------------------------------

/// A group that others make and delete all the time is given up after so many tries.
const TRIES: usize = 3;

impl Delivery {
    /// Lets clients be members of groups, whose positions are kept there. `retention` is that of dead letters.
    #[must_use]
    pub fn with_groups(mut self, positions: Arc<dyn GroupPositions>, retention: Retention) -> Self {
        self.groups.storage = Some(Positions(positions, retention));
        self
    }

    /// Makes a client a member of a group. What the group gives out from now on waits for the connection, which
    /// [`Delivery::serve_member`] serves; a new group begins at the end of the log, which is durable when this returns. Has to
    /// run on the core of the connection. May be dropped.
    ///
    /// # Errors
    /// See [`EnterError`].
    pub async fn join(self: &Arc<Self>, joining: Joining, encoder: Arc<dyn Encoder>) -> Result<Seat, EnterError> {
        let Joining {
            topic,
            group,
            selection,
            balance,
            receipts,
            deflate,
            name,
        } = joining;
        let id = GroupId {
            application: topic.application().to_string(),
            group: group.to_string(),
            selection: selection.canonical(),
        };
        let candidate = || Candidate {
            balance,
            receipts,
            form: Form::new(Arc::clone(&encoder), deflate),
            name: name.clone(),
        };
        let visit = self.groups.visit(&id);
        let mut slot = visit.slot().lock().await;
        if let Some(owner) = &*slot {
            match owner.join(candidate()) {
                Ok(seat) => return Ok(seat),
                Err(Refused::By(error)) => return Err(error.into()),
                Err(Refused::Ended) => owner.finished().await,
            }
        }
        let storage = self.groups.storage(self)?;
        let span = self.log.span(&topic).await?;
        let (mark, trimmed) = load(&storage, &id, &span).await?;
        let reading = self.read(&topic, &span.end);
        let Core { shard, wheel } = self.core();
        let (line, pump) = self.groups.pumps.line(&reading.topic, shard.core);
        if let Some(pump) = pump {
            self.spawn_until_stop(pump.run());
        }
        let means = Means {
            metrics: self.metrics.clone(),
            share: self.groups.memory.share(),
            wheel,
        };
        let owner = Owner::new(id.clone(), selection, reading, &mark, trimmed, means);
        let seat = owner.join(candidate()).map_err(|refused| match refused {
            Refused::By(error) => error.into(),
            Refused::Ended => Unavailable("the group has ended".to_owned()).into(),
        });
        *slot = Some(Arc::clone(&owner));
        let (delivery, stop) = (Arc::clone(self), self.stop.clone());
        self.spawn(async move {
            work::run(owner, line, storage, stop).await;
            delivery.groups.pumps.tidy();
            drop(delivery.groups.visit(&id));
        });
        seat
    }

    /// The groups that this process owns now: those that have members, or had one a moment ago.
    pub fn groups(&self) -> Vec<GroupView> {
        let owners: Vec<_> = {
            let slots = self.groups.lock();
            // One that is being loaded or ended is not seen.
            let owners = slots.values().filter_map(|slot| slot.try_lock().ok()?.clone());
            owners.filter(|owner| !owner.has_finished()).collect()
        };
        owners.iter().map(|owner| owner.view()).collect()
    }

    /// One of these groups.
    pub fn group(&self, id: &GroupId) -> Option<GroupView> {
        let owner = self.groups.lock().get(id)?.try_lock().ok()?.clone()?;
        (!owner.has_finished()).then(|| owner.view())
    }

    /// Lets a group go on from another place. Its members are closed with 1012 (service restart), so that they come back; what is
    /// under way to them counts for nothing.
    ///
    /// # Errors
    /// It is not there, or its position cannot be stored: then it goes on from where it was.
    pub async fn seek_group(self: &Arc<Self>, id: &GroupId, position: &Position) -> Result<(), GroupError> {
        let storage = self.groups.storage(self)?;
        let visit = self.groups.visit(id);
        let mut slot = visit.slot().lock().await;
        finish(&mut slot, &end::group_moved()).await;
        let trimmed = storage.positions.group(id).await?.map_or(0, |found| found.mark.trimmed);
        let mark = GroupMark {
            trimmed,
            ..GroupMark::at(position.clone())
        };
        storage.positions.set_group(id, &mark).await
    }

    /// Forgets a group; whether it was there. Its members are closed with 1008.
    ///
    /// # Errors
    /// It cannot be deleted now.
    pub async fn forget_group(self: &Arc<Self>, id: &GroupId) -> Result<bool, GroupError> {
        let storage = self.groups.storage(self)?;
        let visit = self.groups.visit(id);
        let mut slot = visit.slot().lock().await;
        finish(&mut slot, &end::group_deleted()).await;
        storage.positions.delete_group(id).await
    }
}

/// Ends the owner, if there is one; what it had on its way to storage is there.
async fn finish(slot: &mut Option<Arc<Owner>>, closing: &Closing) {
    if let Some(owner) = slot {
        owner.end(Cause::Group, closing, true);
        owner.finished().await;
    }
    *slot = None;
}

/// The durable mark of a group, made if there is none, and how much retention has taken from it. A group that only the log's own
/// tools know begins where it is by them.
async fn load(storage: &Storage, id: &GroupId, span: &Span) -> Result<(Mark, u64), EnterError> {
    let positions = &*storage.positions;
    for _ in 0..TRIES {
        if let Some(found) = positions.use_group(id).await? {
            return place(positions, id, span, found).await;
        }
        let mirrored = storage.log.mirrored_group(id, span).await?;
        if let Some(position) = &mirrored {
            tracing::info!(group = id.group, application = id.application, %position, "a group that the log knew is adopted");
        }
        let start = mirrored.unwrap_or_else(|| span.end.clone());
        if positions.create_group(id, &start).await? {
            return Ok((Mark::at(start), 0));
        }
    }
    Err(Unavailable("the group is made and deleted all the time".to_owned()).into())
}

/// Where a group that is there goes on.
async fn place(
    positions: &dyn GroupPositions,
    id: &GroupId,
    span: &Span,
    found: GroupPosition,
) -> Result<(Mark, u64), EnterError> {
    let (group, mark) = (&id.group, found.mark);
    let moved = if mark.position.incarnation() != span.end.incarnation() {
        tracing::warn!(
            group,
            application = id.application,
            "the event log was replaced: the group reads the new one from its beginning"
        );
        span.oldest.clone()
    } else if !span.end.is_at_or_behind(&mark.position) {
        tracing::warn!(
            group,
            application = id.application,
            "the event log has lost events: the group goes on at its end"
        );
        let offsets = mark.position.offsets().iter();
        let offsets = offsets.map(|(partition, next)| (*partition, (*next).min(span.end.offset(*partition))));
        Position::new(span.end.incarnation(), offsets)
    } else {
        let decoded = Mark::decode(mark.position.clone(), &mark.receipted).unwrap_or_else(|error| {
            tracing::warn!(group, application = id.application, %error, "some events are delivered again");
            Mark::at(mark.position)
        });
        return Ok((decoded, mark.trimmed));
    };
    let trimmed = mark.trimmed;
    let mark = GroupMark {
        trimmed,
        ..GroupMark::at(moved.clone())
    };
    positions.set_group(id, &mark).await?;
    Ok((Mark::at(moved), trimmed))
}

impl Groups {
    /// None yet.
    pub(crate) fn new(limits: MemoryLimits, metrics: &Metrics) -> Self {
        Self {
            storage: None,
            slots: Mutex::default(),
            pumps: Pumps::default(),
            memory: Memory::new(limits.group_bytes, metrics.groups_held()),
        }
    }

    /// Lets their events take so much memory, instead of what was said before.
    pub(crate) fn limit(&mut self, limits: MemoryLimits, metrics: &Metrics) {
        self.memory = Memory::new(limits.group_bytes, metrics.groups_held());
    }

    fn visit(&self, id: &GroupId) -> Visit<'_> {
        let mut slots = self.lock();
        let slot = slots.entry(id.clone()).or_default();
        Visit {
            groups: self,
            id: id.clone(),
            slot: Some(Arc::clone(slot)),
        }
    }

    fn storage(&self, delivery: &Delivery) -> Result<Storage, Unavailable> {
        let Some(Positions(positions, retention)) = &self.storage else {
            return Err(Unavailable("groups have no store of positions".to_owned()));
        };
        Ok(Storage {
            log: Arc::clone(&delivery.log),
            positions: Arc::clone(positions),
            retention: *retention,
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<GroupId, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visit<'_> {
    fn slot(&self) -> &Slot {
        self.slot.as_ref().expect("it is taken only when this is dropped")
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let mut slots = self.groups.lock();
        let Some(slot) = self.slot.take() else { return };
        // Nobody else has it but the map, and who wants it has to come by the map's lock.
        let is_last = Arc::strong_count(&slot) == 2;
        let is_unused = |owner: &Option<Arc<Owner>>| owner.as_ref().is_none_or(|owner| owner.has_finished());
        if is_last && slot.try_lock().is_ok_and(|owner| is_unused(&owner)) {
            slots.remove(&self.id);
        }
    }
}

impl From<GroupError> for EnterError {
    fn from(error: GroupError) -> Self {
        match error {
            GroupError::NoApplication => Self::NoApplication,
            GroupError::NoGroup => Self::Unavailable(Unavailable("the group was deleted just now".to_owned())),
            GroupError::Unavailable(unavailable) => Self::Unavailable(unavailable),
        }
    }
}

impl From<ReadError> for EnterError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NoTopic(_) => Self::NoApplication,
            ReadError::Unavailable(unavailable) => Self::Unavailable(unavailable),
            other => Self::Unavailable(Unavailable(other.to_string())),
        }
    }
}
