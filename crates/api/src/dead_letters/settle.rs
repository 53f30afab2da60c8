//! Dead letters that are sent back or dropped: then they are done with.

use std::collections::BTreeSet;

use serde::Deserialize;
use sockeye_group::{DeadLetter, Mark, Marking};
use sockeye_limits as limits;
use sockeye_log::{GroupId, NewRecord, Position, ReadLimit, Topic};

use super::letter::LetterId;
use super::open::is_of;
use crate::Api;
use crate::error::ApiError;

/// `{"action":"resend","letters":["0-17"]}`; without `letters`, all of the group that are there now.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    action: Action,
    letters: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Action {
    /// Appended to the application's log again.
    Resend,
    /// Forgotten.
    Drop,
}

/// A wish that makes sense.
#[derive(Debug)]
pub(super) struct Task {
    action: Action,
    /// `None`: all.
    letters: Option<BTreeSet<LetterId>>,
}

/// The way through an application's dead letters.
struct Walk {
    topic: Topic,
    mark: Mark,
    marking: Marking,
    next: Position,
    end: Position,
}

// ----------------------------------------------------------------------------------------------

impl Wish {
    pub(super) fn check(self) -> Result<Task, ApiError> {
        let most = limits::DEAD_LETTERS_NAMED;
        let letters = match self.letters {
            None => None,
            Some(letters) if letters.is_empty() => {
                let problem = "`letters` is empty: leave it out for all of the group";
                return Err(ApiError::BadRequest(problem.to_owned()));
            }
            Some(letters) if letters.len() > most => {
                let problem = format!("`letters` has {} entries, {most} are allowed", letters.len());
                return Err(ApiError::BadRequest(problem));
            }
            Some(letters) => Some(letters.iter().map(|name| read(name)).collect::<Result<_, _>>()?),
        };
        Ok(Task {
            action: self.action,
            letters,
        })
    }
}

fn read(name: &str) -> Result<LetterId, ApiError> {
    name.parse().map_err(|()| {
        ApiError::BadRequest(format!(
            "`letters`: `{name}` is no name of a dead letter, such as `0-17`; the list of them says which there are"
        ))
    })
}

impl Task {
    fn names(&self, id: LetterId) -> bool {
        self.letters.as_ref().is_none_or(|named| named.contains(&id))
    }
}

impl Api {
    /// Does that with the open letters of this group: how many they were. If one that is named is not among them, nothing is
    /// done.
    pub(super) async fn settle(&self, group: &GroupId, task: &Task) -> Result<u64, ApiError> {
        let _one_at_a_time = self.settling.lock().await;
        if let Some(named) = &task.letters {
            let mut missing = named.clone();
            let mut found = |id, letter: DeadLetter| is_of(&letter, group) && missing.remove(&id);
            if let Some(mut walk) = Walk::of(self, group).await? {
                while walk.step(self, &mut found).await? {}
            }
            if let Some(one) = missing.first() {
                let others = match missing.len() - 1 {
                    0 => String::new(),
                    more => format!(" (and {more} more of those that were named)"),
                };
                return Err(ApiError::NotFound(format!(
                    "open dead letter `{one}`{others} of this group; nothing was done"
                )));
            }
        }
        let Some(mut walk) = Walk::of(self, group).await? else {
            return Ok(0);
        };
        let mut count = 0;
        loop {
            // Step by step, so that memory is bounded and what was sent back is noted soon.
            let mut events = Vec::new();
            let mut take = |id, letter: DeadLetter| {
                let done = is_of(&letter, group) && task.names(id);
                if done {
                    events.push(letter.event);
                }
                done
            };
            let more = walk.step(self, &mut take).await?;
            if !events.is_empty() {
                count += events.len() as u64;
                self.finish(group, task.action, events, &walk.marking.mark()).await?;
            }
            if !more {
                return Ok(count);
            }
        }
    }

    /// Sends events back, if that is to be done, and notes that their letters are done with.
    async fn finish(
        &self,
        group: &GroupId,
        action: Action,
        events: Vec<NewRecord>,
        mark: &Mark,
    ) -> Result<(), ApiError> {
        let settled = mark.encode_receipted();
        if settled.len() > limits::GROUP_RECEIPTED {
            let problem =
                "too many open dead letters lie between those that are done with: send back or drop older ones first";
            return Err(ApiError::Conflict(problem.to_owned()));
        }
        if action == Action::Resend {
            let topic = Topic::events_of(group.application.clone());
            self.log.append(&topic, events).await?;
        }
        let application = &group.application;
        Ok(self
            .registry
            .set_dead_letters(application, &mark.position, &settled)
            .await?)
    }
}

impl Walk {
    /// From the first that may be open to the last that is there now; `None` if there was never one.
    async fn of(api: &Api, group: &GroupId) -> Result<Option<Self>, ApiError> {
        let found = api.letters(&group.application).await?;
        Ok(found.map(|(mark, end)| Self {
            topic: Topic::dead_letters_of(group.application.clone()),
            marking: Marking::of(&mark),
            next: mark.position.clone(),
            mark,
            end,
        }))
    }

    /// Some further on: asks `done` of each open letter whether it is done with now. False at the end.
    async fn step(
        &mut self,
        api: &Api,
        done: &mut (dyn FnMut(LetterId, DeadLetter) -> bool + Send),
    ) -> Result<bool, ApiError> {
        if self.next.is_at_or_behind(&self.end) {
            return Ok(false);
        }
        let batch = api.log.read(&self.topic, &self.next, ReadLimit::default()).await?;
        for record in &batch.records {
            let (partition, offset) = (record.partition, record.offset);
            if self.mark.covers(partition, offset) {
                self.marking.read(partition, offset, true);
            } else if let Ok(letter) = DeadLetter::of(record) {
                let done = done(LetterId::of(record), letter);
                self.marking.read(partition, offset, done);
            }
        }
        self.marking.passed(&batch.next);
        self.next = batch.next;
        Ok(true)
    }
}
