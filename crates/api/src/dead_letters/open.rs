//! The dead letters that are not done with, read on and on.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, stream};
use sockeye_group::{DeadLetter, Mark};
use sockeye_log::{Batch, Follow, GroupId, Position, ReadError, ReadLimit, Topic};

use super::letter;
use crate::Api;
use crate::error::ApiError;

/// A list that is being read.
pub(super) struct Open {
    api: Arc<Api>,
    application: String,
    /// Only those of this group.
    group: Option<GroupId>,
    mark: Mark,
    next: Position,
    end: Position,
    follow: Option<Box<dyn Follow>>,
    wait: bool,
    lines: VecDeque<Bytes>,
}

// ----------------------------------------------------------------------------------------------

impl Open {
    /// The open letters of an application, up to those that are there now, or (`wait`) without end.
    pub(super) async fn of(
        api: Arc<Api>,
        application: String,
        group: Option<GroupId>,
        wait: bool,
    ) -> Result<Self, ApiError> {
        let topic = Topic::dead_letters_of(application.clone());
        let (mark, end) = match api.letters(&application).await? {
            Some(found) => found,
            None if wait => {
                api.log.create_topic(&topic, api.retention).await?;
                let span = api.log.span(&topic).await?;
                (Mark::at(span.oldest), span.end)
            }
            None => {
                let nowhere = Position::new(sockeye_log::Incarnation(0), []);
                (Mark::at(nowhere.clone()), nowhere)
            }
        };
        Ok(Self {
            next: mark.position.clone(),
            api,
            application,
            group,
            mark,
            end,
            follow: None,
            wait,
            lines: VecDeque::new(),
        })
    }

    /// A line for each.
    pub(super) fn lines(self) -> impl Stream<Item = Result<Bytes, ApiError>> {
        stream::try_unfold(self, |mut open| async move {
            loop {
                if let Some(line) = open.lines.pop_front() {
                    return Ok(Some((line, open)));
                }
                let Some(batch) = open.read().await? else {
                    return Ok(None);
                };
                open.take(batch);
            }
        })
    }

    /// What follows; `None` at the end.
    async fn read(&mut self) -> Result<Option<Batch>, ApiError> {
        let topic = Topic::dead_letters_of(self.application.clone());
        if let Some(follow) = &mut self.follow {
            return Ok(Some(follow.next().await?));
        }
        if self.wait {
            self.follow = Some(self.api.log.follow(&topic, &self.next).await?);
            return Ok(Some(Batch {
                records: Vec::new(),
                next: self.next.clone(),
            }));
        }
        if self.next.is_at_or_behind(&self.end) {
            return Ok(None);
        }
        match self.api.log.read(&topic, &self.next, ReadLimit::default()).await {
            Ok(batch) => Ok(Some(batch)),
            Err(ReadError::Trimmed { oldest }) => Ok(Some(Batch {
                records: Vec::new(),
                next: oldest,
            })),
            Err(error) => Err(error.into()),
        }
    }

    fn take(&mut self, batch: Batch) {
        for record in &batch.records {
            if self.mark.covers(record.partition, record.offset) {
                continue;
            }
            match DeadLetter::of(record) {
                Ok(letter) if self.group.as_ref().is_none_or(|group| is_of(&letter, group)) => {
                    self.lines
                        .push_back(letter::line(record, &letter, &self.application).into());
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, application = self.application, "passed over"),
            }
        }
        self.next = batch.next;
    }
}

/// Whether a letter is of a group.
pub(super) fn is_of(letter: &DeadLetter, group: &GroupId) -> bool {
    letter.group == group.group && letter.selection == group.selection
}

impl Api {
    /// Which dead letters of an application are done with, and their end; `None` if it never had one.
    pub(super) async fn letters(&self, application: &str) -> Result<Option<(Mark, Position)>, ApiError> {
        let topic = Topic::dead_letters_of(application.to_owned());
        let Some(span) = self.span(&topic).await? else {
            return Ok(None);
        };
        let stored = self.registry.dead_letters(application).await?;
        let stored = stored.filter(|(position, _)| position.incarnation() == span.end.incarnation());
        let mut mark = match stored {
            // Damaged bytes make letters open again that were done with: better than the other way round.
            Some((position, settled)) => {
                Mark::decode(position.clone(), &settled).unwrap_or_else(|_| Mark::at(position))
            }
            None => Mark::at(span.oldest.clone()),
        };
        mark.trim(&span.oldest);
        Ok(Some((mark, span.end)))
    }
}
