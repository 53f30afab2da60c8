//! The feeds of one connection: none, one, or several that read apart.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use sockeye_log::{Position, ReadError};

use crate::feed::{Due, Fed, Feed};
use crate::lanes::LaneId;
use crate::outlet::Member;

/// What a connection reads.
pub(crate) struct Feeds {
    /// Those that are asked first come first.
    all: Vec<Feed>,
}

// ----------------------------------------------------------------------------------------------

impl Feeds {
    pub(crate) fn new(first: Option<Feed>) -> Self {
        Self {
            all: first.into_iter().collect(),
        }
    }

    /// What the next of the feeds gets that read by themselves, and which it is. Waits for ever where there is nothing to do.
    /// May be dropped and called again without loss.
    pub(crate) async fn next(&mut self, member: Option<&Arc<dyn Member>>) -> (usize, Result<Fed, ReadError>) {
        let mut behind = self.all.iter_mut().enumerate().filter(|(_, feed)| !feed.is_live());
        let Some((at, first)) = behind.next() else {
            return std::future::pending().await;
        };
        let Some((second_at, second)) = behind.next() else {
            return (at, first.next(member).await);
        };
        let all = [(at, first), (second_at, second)].into_iter().chain(behind);
        let mut all: Vec<_> = all
            .map(|(at, feed)| (at, Box::pin(feed.next(member))))
            .collect::<Vec<(usize, Pin<Box<_>>)>>();
        poll_fn(|context| {
            let ready = all.iter_mut().find_map(|(at, next)| match next.as_mut().poll(context) {
                Poll::Ready(fed) => Some((*at, fed)),
                Poll::Pending => None,
            });
            ready.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// The feed at this place.
    pub(crate) fn at(&self, at: usize) -> &Feed {
        &self.all[at]
    }

    /// Takes back what was not given; the next turn is another feed's.
    pub(crate) fn given(&mut self, at: usize, rest: Option<Due>) {
        if let Some(due) = rest {
            self.all[at].put_back(due);
        }
        self.all[at..].rotate_left(1);
    }

    /// A lane has given the socket back: the task reads on from here.
    pub(crate) fn resume(&mut self, lane: LaneId, position: Position) {
        if let Some(feed) = self.all.iter_mut().find(|feed| feed.is_in(lane)) {
            feed.fall_behind(position);
        }
    }

    /// Nothing is wanted before the socket has room again.
    pub(crate) fn rest(&mut self) {
        for feed in &mut self.all {
            feed.rest();
        }
    }
}
