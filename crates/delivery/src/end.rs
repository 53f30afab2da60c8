//! How connections end: causes for the operator, close codes and reasons for the client.

use sockeye_limits as limits;
use sockeye_log::{Content, Position, ReadError};
use sockeye_ws::close_code;

use crate::session::Closing;

/// Why a connection ended, as an operator would tell cases apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The client closed it.
    Client,
    /// Everything up to the time that the client had named was sent.
    Complete,
    /// It broke off without a word.
    Lost,
    /// No sign of life for [`limits::WS_CLIENT_TIMEOUT`].
    Dead,
    /// The client read nothing for [`limits::WS_STALL`] although there was something to read.
    Stalled,
    /// What the client sent is no WebSocket protocol.
    Protocol,
    /// The dialect did not accept a message.
    Message,
    /// The client's right has ended: its token expired, its key was revoked, it is no member any more.
    Unauthorized,
    /// A member of a group gave no receipt in time.
    NoReceipt,
    /// Its group was deleted, or goes on from another place.
    Group,
    /// Retention passed the reader.
    Trimmed,
    /// The log is gone, or is another one now.
    Gone,
    /// The log could not be read for longer than an outage may last.
    Outage,
    /// The server stops.
    Stopping,
}

/// How one connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Why.
    pub cause: Cause,
    /// The close code that was sent or answered with; `None` if there was no time for one, or the client's had none.
    pub code: Option<u16>,
    /// Whether both sides had said that they close before the connection was dropped.
    pub clean: bool,
}

// ----------------------------------------------------------------------------------------------

impl Cause {
    /// As the label of a metric.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Complete => "complete",
            Self::Lost => "lost",
            Self::Dead => "dead",
            Self::Stalled => "stalled",
            Self::Protocol => "protocol",
            Self::Message => "message",
            Self::Unauthorized => "unauthorized",
            Self::NoReceipt => "no_receipt",
            Self::Group => "group",
            Self::Trimmed => "trimmed",
            Self::Gone => "gone",
            Self::Outage => "outage",
            Self::Stopping => "stopping",
        }
    }
}

pub(crate) fn complete() -> Closing {
    Closing::new(close_code::NORMAL, "everything before `until` was sent")
}

pub(crate) fn stopping() -> Closing {
    Closing::new(close_code::GOING_AWAY, "the server is stopping")
}

pub(crate) fn group_deleted() -> Closing {
    Closing::new(close_code::POLICY, "the group was deleted")
}

pub(crate) fn group_moved() -> Closing {
    Closing::new(
        close_code::SERVICE_RESTART,
        "the group goes on from another place (`group seek`): connect again",
    )
}

pub(crate) fn group_ended() -> Closing {
    Closing::new(close_code::INTERNAL, "the group has ended: connect again")
}

/// The peer has had enough time.
pub(crate) fn expired(cause: Cause) -> Closing {
    if cause == Cause::Stalled { stalled() } else { dead() }
}

fn dead() -> Closing {
    let seconds = limits::WS_CLIENT_TIMEOUT.as_secs();
    Closing::new(
        close_code::POLICY,
        format!("no sign of life for {seconds} seconds: pings must be answered"),
    )
}

fn stalled() -> Closing {
    let seconds = limits::WS_STALL.as_secs();
    Closing::new(close_code::POLICY, format!("nothing was read for {seconds} seconds"))
}

/// Why a log cannot be read on from a position, if that is known.
pub(crate) fn unreadable(error: &ReadError, position: Option<&Position>) -> (Cause, Closing) {
    match error {
        ReadError::NoTopic(topic) => {
            let gone = match topic.content() {
                Content::Events | Content::DeadLetters => "the application was deleted",
                Content::Others(_) => "the topic was removed",
            };
            (Cause::Gone, Closing::new(close_code::POLICY, gone))
        }
        ReadError::Trimmed { oldest } => {
            let lost = position.map_or_else(String::new, |position| format!("up to {} ", distance(position, oldest)));
            let reason = format!("too slow: retention has removed {lost}events that were not sent yet");
            (Cause::Trimmed, Closing::new(close_code::TRY_AGAIN, reason))
        }
        ReadError::OtherIncarnation { .. } => {
            let reason = "the event log was replaced: the application was made again, or a backup was restored";
            (Cause::Gone, Closing::new(close_code::INTERNAL, reason))
        }
        ReadError::BeyondEnd { .. } => {
            let reason = "the event log ends before what was already sent: it has lost events";
            (Cause::Gone, Closing::new(close_code::INTERNAL, reason))
        }
        ReadError::Unavailable(_) => {
            let reason = "the event log could not be read for too long, try again later";
            (Cause::Outage, Closing::new(close_code::TRY_AGAIN, reason))
        }
    }
}

/// Records between two positions, at most: offsets are not dense.
fn distance(from: &Position, to: &Position) -> u64 {
    to.offsets()
        .iter()
        .map(|(partition, next)| next.saturating_sub(from.offset(*partition)))
        .sum()
}

#[cfg(test)]
mod tests {
    use sockeye_log::{Incarnation, Topic, Unavailable};

    use super::*;

    #[test]
    fn every_reason_fits_into_a_close_frame() {
        let position = Position::new(Incarnation(1), [(0, 5), (1, 7)]);
        let oldest = Position::new(Incarnation(1), [(0, u64::MAX / 2), (1, 3), (2, 4)]);
        let errors = [
            ReadError::NoTopic(Topic::events_of("a".repeat(63))),
            ReadError::NoTopic(Topic::others_of("a".repeat(63), "b".repeat(185))),
            ReadError::Trimmed { oldest: oldest.clone() },
            ReadError::OtherIncarnation { oldest: oldest.clone() },
            ReadError::BeyondEnd { end: oldest },
            ReadError::Unavailable(Unavailable("x".repeat(500))),
        ];
        let closings = errors.iter().map(|error| unreadable(error, Some(&position)).1);
        for closing in closings.chain([
            complete(),
            stopping(),
            dead(),
            stalled(),
            group_deleted(),
            group_moved(),
            group_ended(),
        ]) {
            assert!(closing.reason.len() <= limits::WS_CLOSE_REASON, "{closing:?}");
        }
    }

    #[test]
    fn a_slow_reader_is_told_how_far_behind_it_is() {
        let position = Position::new(Incarnation(1), [(0, 5), (1, 7)]);
        let oldest = Position::new(Incarnation(1), [(0, 105), (1, 3), (2, 4)]);
        let (cause, closing) = unreadable(&ReadError::Trimmed { oldest }, Some(&position));
        assert_eq!((cause, closing.code), (Cause::Trimmed, 1013));
        assert!(closing.reason.contains("up to 104 events"), "{}", closing.reason);
    }
}
