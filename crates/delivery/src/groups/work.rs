//! The task of a group: reads on where the log is not shown to it, stores what has to be durable, and ends with the group.

use std::pin::{Pin, pin};
use std::sync::Arc;

use sockeye_event::binary;
use sockeye_group::{DeadLetter as Letter, Mark, Ticket};
use sockeye_limits as limits;
use sockeye_log::{
    AppendError, GroupError, GroupMark, GroupPositions, Log, NewRecord, Position, ReadError, Retention, Topic,
    TopicError, Unavailable,
};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::catch_up;
use crate::end::{self, Cause};
use crate::groups::owner::{DeadLetter, Owner};
use crate::groups::pump::Line;
use crate::topic::Place;

/// Where groups keep what is durable.
#[derive(Clone)]
pub(crate) struct Storage {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) positions: Arc<dyn GroupPositions>,
    /// Of dead letters.
    pub(crate) retention: Retention,
}

/// Something on its way to storage, one at a time.
type Under<T> = Option<Pin<Box<dyn Future<Output = T> + Send>>>;

/// What became of a mark.
struct Stored {
    position: Position,
    result: Result<(), GroupError>,
}

/// Says that the task has ended, also if it breaks.
struct Done(Arc<Owner>);

// ----------------------------------------------------------------------------------------------

/// Serves a group until nobody is a member and everything is durable, or there is nothing left to serve. A server that stops
/// does not wait for ever for a store that does not answer.
pub(crate) async fn run(owner: Arc<Owner>, line: Line, storage: Storage, stop: CancellationToken) {
    let done = Done(Arc::clone(&owner));
    let patience = async {
        stop.cancelled().await;
        sleep(limits::GROUP_STOP_TIME).await;
    };
    tokio::select! {
        biased;
        () = serve(&owner, &line, &storage, &stop) => {}
        () = patience => tracing::warn!(
            group = %owner.id().group,
            "the server stops, and what a group has receipted last could not be stored: it is delivered again"
        ),
    }
    drop((done, line));
}

async fn serve(owner: &Arc<Owner>, line: &Line, storage: &Storage, stop: &CancellationToken) {
    let mut storing: Under<Stored> = None;
    let mut burying: Under<(Ticket, bool)> = None;
    let mut dead = std::collections::VecDeque::new();
    let mut ticket = None;
    loop {
        let mut work = owner.work();
        if work.over {
            break;
        }
        if let Some(mark) = work.mark.take() {
            storing = Some(Box::pin(store(storage.clone(), Arc::clone(owner), mark, work.trimmed)));
        }
        dead.append(&mut work.dead);
        if burying.is_none()
            && let Some(letter) = dead.pop_front()
        {
            burying = Some(Box::pin(bury(storage.clone(), Arc::clone(owner), letter)));
        }
        // The wheel of a server that stops has stopped.
        let retry = owner.deadline().filter(|_| stop.is_cancelled());
        tokio::select! {
            biased;
            Stored { position, result } = under(&mut storing) => {
                storing = None;
                stored(owner, position, result);
            }
            (ticket, stored) = under(&mut burying) => {
                burying = None;
                owner.dead_lettered(ticket, stored);
            }
            () = owner.work.notified() => {}
            read = read(owner, line, &mut ticket) => if let Err(error) = read {
                unreadable(owner, &error);
            },
            () = sleep_until(retry.unwrap_or_else(Instant::now)), if retry.is_some() => owner.tick(),
        }
    }
    // What is on its way to storage could overtake what a later owner stores.
    if let Some(storing) = storing {
        storing.await;
    }
}

async fn under<T>(future: &mut Under<T>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// Reads once. May be dropped and called again without loss.
async fn read(owner: &Arc<Owner>, line: &Line, ticket: &mut Option<catch_up::Ticket>) -> Result<(), ReadError> {
    let topic = &owner.reading.topic;
    loop {
        // Enabled before the place is asked for, so that no move is missed.
        let (mut moved, mut caught_up) = (pin!(topic.moved()), pin!(line.caught_up()));
        moved.as_mut().enable();
        caught_up.as_mut().enable();
        let Some(position) = owner.wants() else {
            *ticket = None;
            return std::future::pending().await;
        };
        match topic.place(&position) {
            Place::Ended(error) => return Err(error),
            Place::Memory(segment) => {
                *ticket = None;
                owner.read(&segment);
                // A log that always has more must not keep the core to itself.
                tokio::task::yield_now().await;
                return Ok(());
            }
            Place::Head if line.follow(owner, &position) => return Ok(()),
            Place::Head | Place::Beyond => tokio::select! {
                () = moved => {}
                () = caught_up => {}
            },
            Place::Past => {
                let asked = ticket.get_or_insert_with(|| topic.ask(&position));
                // Who asked is answered for as long as the topic is read.
                let Ok(answer) = asked.await else {
                    return std::future::pending().await;
                };
                *ticket = None;
                owner.read(&*answer?);
                return Ok(());
            }
        }
    }
}

/// The topic cannot be read on.
fn unreadable(owner: &Owner, error: &ReadError) {
    if let ReadError::Trimmed { oldest } = error {
        owner.trimmed(oldest);
        return;
    }
    let (cause, closing) = end::unreadable(error, None);
    // What was receipted before an outage is stored. The positions of a log that is gone, or another one now, say nothing.
    let abandoned = !matches!(error, ReadError::Unavailable(_));
    owner.end(cause, &closing, abandoned);
}

async fn store(storage: Storage, owner: Arc<Owner>, mark: Mark, trimmed: u64) -> Stored {
    let stored = GroupMark {
        receipted: mark.encode_receipted(),
        position: mark.position,
        trimmed,
    };
    let result = storage.positions.set_group(owner.id(), &stored).await;
    let position = stored.position;
    Stored { position, result }
}

fn stored(owner: &Owner, position: Position, result: Result<(), GroupError>) {
    match result {
        Ok(()) => owner.persisted(Some(position)),
        Err(GroupError::Unavailable(error)) => {
            tracing::warn!(%error, group = %owner.id().group, "the position of a group cannot be stored: it reads on when it is");
            owner.persisted(None);
        }
        Err(GroupError::NoApplication) => {
            let topic = Topic::events_of(owner.id().application.as_str());
            let (cause, closing) = end::unreadable(&ReadError::NoTopic(topic), None);
            owner.end(cause, &closing, true);
        }
        Err(GroupError::NoGroup) => owner.end(Cause::Group, &end::group_deleted(), true),
    }
}

/// Appends an event to the dead letters; whether it is there now.
async fn bury(storage: Storage, owner: Arc<Owner>, dead: DeadLetter) -> (Ticket, bool) {
    let DeadLetter { ticket, item, failures } = dead;
    let (headers, payload) = binary::encode(item.event());
    let (partition, offset) = item.place();
    let id = owner.id();
    let letter = Letter {
        group: id.group.clone(),
        selection: id.selection.clone(),
        failures,
        partition,
        offset,
        time: item.time(),
        event: NewRecord { headers, payload },
    };
    let topic = Topic::dead_letters_of(id.application.as_str());
    let record = letter.into_record();
    let mut result = storage.log.append(&topic, vec![record.clone()]).await;
    if let Err(AppendError::NoTopic(_)) = result {
        result = match storage.log.create_topic(&topic, storage.retention).await {
            Ok(()) => storage.log.append(&topic, vec![record]).await,
            Err(TopicError::Unavailable(error)) => Err(error.into()),
            Err(error @ TopicError::Found(_)) => Err(Unavailable(error.to_string()).into()),
        };
    }
    if let Err(error) = &result {
        tracing::warn!(%error, %topic, group = %id.group, "an event that failed too often is offered again: it could not be stored");
    }
    (ticket, result.is_ok())
}

impl Drop for Done {
    fn drop(&mut self) {
        // A task that broke leaves no member behind.
        self.0.end(Cause::Group, &end::group_ended(), true);
        self.0.is_done();
    }
}
