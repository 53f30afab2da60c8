//! A group as a document.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use sockeye_group::{Mark, Receipts};
use sockeye_limits as limits;
use sockeye_log::{Cursor, GroupId, GroupPosition, Span};

use super::backlog::Backlog;
use super::live::{LiveGroup, LiveMember};
use crate::Api;
use crate::error::ApiError;

/// How much is read to count what a group has not receipted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Depth {
    /// One of many.
    Glance,
    /// One alone.
    Look,
}

/// What operators see.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shown {
    application: String,
    group: String,
    /// By name of the part; empty for the whole application.
    selection: BTreeMap<String, String>,
    /// Everything before it is receipted.
    position: String,
    /// When a position was stored last.
    stored: Timestamp,
    /// When it had its last member, or was moved.
    used: Timestamp,
    lag: Lag,
    /// Events that retention took before they were receipted, at most.
    trimmed: u64,
    /// `null` if there is no member.
    live: Option<Live>,
}

/// What is not receipted.
#[derive(Debug, Serialize)]
struct Lag {
    events: u64,
    /// Whether that is their number; else there are at most so many.
    exact: bool,
    /// How long the oldest of them has been waiting; if it was not found, at most. 0 if there is none.
    seconds: f64,
    /// The oldest of them, if it was found.
    oldest: Option<Oldest>,
}

#[derive(Debug, Serialize)]
struct Oldest {
    /// `id` of the event, if it was read again to know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// When it was appended.
    time: Timestamp,
}

/// What there is of a group only while it has members.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Live {
    members: Vec<Member>,
    /// Events under way to members.
    outstanding: usize,
    /// Events that were read and that no member has.
    waiting: usize,
    /// Since the first member came.
    delivered: u64,
    redelivered: u64,
    receipted: u64,
    dead_letters: u64,
    /// Members that were disconnected because they gave no receipt.
    no_receipt: u64,
}

#[derive(Debug, Serialize)]
struct Member {
    /// The caller, if it has a name.
    name: Option<String>,
    since: Timestamp,
    /// `pong` or `client`.
    receipts: &'static str,
    /// Events under way to it.
    outstanding: usize,
    /// Bytes of them.
    bytes: usize,
    /// Events that may be.
    credit: usize,
    /// Deliveries to it so far.
    delivered: u64,
}

// ----------------------------------------------------------------------------------------------

impl Api {
    /// A group and its backlog; without a span there is no log.
    pub(super) async fn view(
        &self,
        group: GroupId,
        stored: GroupPosition,
        span: Option<&Span>,
        depth: Depth,
    ) -> Result<Shown, ApiError> {
        let live = self.groups.live(&group);
        let mark = match &live {
            Some(live) => Mark::at(live.position.clone()),
            // What was receipted out of order is a shortcut: without it, only more is counted.
            None => Mark::decode(stored.mark.position.clone(), &stored.mark.receipted)
                .unwrap_or_else(|_| Mark::at(stored.mark.position.clone())),
        };
        let reads = match depth {
            Depth::Glance => limits::GROUP_GLANCE_READS,
            Depth::Look => limits::GROUP_LOOK_READS,
        };
        let backlog = match span {
            Some(span) => Backlog::of(&*self.log, &group, mark, span, reads).await?,
            None => Backlog {
                exact: true,
                ..Backlog::default()
            },
        };
        let trimmed = live.as_ref().map_or(stored.mark.trimmed, |live| live.trimmed);
        Ok(Shown {
            selection: group.selected().map(|(name, value)| (name.to_owned(), value)).collect(),
            position: Cursor::encode(&group.application, &stored.mark.position),
            stored: stored.stored,
            used: if live.is_some() { Timestamp::now() } else { stored.used },
            trimmed: trimmed.saturating_add(backlog.taken),
            lag: Lag::of(backlog, live.as_ref()),
            live: live.as_ref().map(Live::of),
            application: group.application,
            group: group.group,
        })
    }
}

impl Lag {
    /// What is behind the place where the group reads, and what of that before it is open.
    fn of(backlog: Backlog, live: Option<&LiveGroup>) -> Self {
        let open = live.and_then(|live| live.oldest);
        let since = open.or_else(|| backlog.since());
        let seconds = since.map_or(0.0, |since| {
            let waited = Timestamp::now().duration_since(since).as_millis();
            waited.max(0) as f64 / 1_000.0
        });
        let unread = backlog.oldest.map(|oldest| Oldest {
            id: Some(oldest.id),
            time: oldest.time,
        });
        Self {
            events: backlog.events + live.map_or(0, |live| live.open as u64),
            exact: backlog.exact,
            seconds,
            oldest: open.map(|time| Oldest { id: None, time }).or(unread),
        }
    }
}

impl Live {
    fn of(live: &LiveGroup) -> Self {
        Self {
            members: live.members.iter().map(Member::of).collect(),
            outstanding: live.members.iter().map(|member| member.view.outstanding).sum(),
            waiting: live.waiting,
            delivered: live.counts.delivered,
            redelivered: live.counts.redelivered,
            receipted: live.counts.receipted,
            dead_letters: live.counts.dead_letters,
            no_receipt: live.counts.no_receipt,
        }
    }
}

impl Member {
    fn of(member: &LiveMember) -> Self {
        let view = &member.view;
        Self {
            name: member.name.clone(),
            since: member.since,
            receipts: match view.receipts {
                Receipts::Pong => "pong",
                Receipts::Client { .. } => "client",
            },
            outstanding: view.outstanding,
            bytes: view.bytes,
            credit: view.credit,
            delivered: view.delivered,
        }
    }
}
