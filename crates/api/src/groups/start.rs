//! `from`: where a group is to read on.

use jiff::Timestamp;
use sockeye_event::time;
use sockeye_log::{Cursor, GroupId, Log, Position, Span, Topic};

use crate::error::ApiError;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// What is appended from now on.
    End,
    /// The oldest event that is still there.
    Earliest,
    /// The first event that was appended at this time or later.
    Time(Timestamp),
    /// Here.
    Position(Position),
}

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) position: Position,
    /// Said where that is only the nearest to what was asked for.
    pub(super) note: Option<&'static str>,
}

/// What `from` may be.
pub(super) const ALLOWED: &str = "`earliest`, `end`, a time as RFC 3339 such as 2026-01-31T12:00:00Z, or a cursor";

const TRIMMED: &str =
    "retention has removed events that follow the cursor: the group stands at the oldest that is left";
const BEYOND: &str = "the cursor is beyond the end of the log: the group stands at the end";
const FUTURE: &str =
    "the time is in the future: the group stands at the end of the log, and gets what is appended from now on";

// ----------------------------------------------------------------------------------------------

impl Start {
    /// Reads what was asked for of a group of this application.
    pub(super) fn of(text: &str, application: &str) -> Result<Self, ApiError> {
        if let Some(time) = time::parse(text) {
            return Ok(Self::Time(time));
        }
        match (text, Cursor::decode(text)) {
            ("earliest", _) => Ok(Self::Earliest),
            ("end", _) => Ok(Self::End),
            (_, Ok((of, position))) if of == application => Ok(Self::Position(position)),
            (_, Ok((of, _))) => Err(ApiError::BadRequest(format!(
                "`from` is a cursor of the application `{of}`, not of `{application}`"
            ))),
            (_, Err(error)) => Err(ApiError::BadRequest(format!("`from` must be {ALLOWED}: {error}"))),
        }
    }

    /// Where that is in the log of the group's application, which holds this; or what is nearest to it.
    pub(super) async fn find(self, log: &dyn Log, group: &GroupId, span: &Span) -> Result<Found, ApiError> {
        let (position, note) = match self {
            Self::End => (span.end.clone(), None),
            Self::Earliest => (span.oldest.clone(), None),
            Self::Time(time) if time > Timestamp::now() => (span.end.clone(), Some(FUTURE)),
            Self::Time(time) => {
                let topic = Topic::events_of(group.application.clone());
                (log.position_at(&topic, time).await?, None)
            }
            Self::Position(position) if position.incarnation() != span.end.incarnation() => {
                let problem = "`from` is a cursor of an event log that was replaced since: the application was made again, \
                               or a backup was restored";
                return Err(ApiError::BadRequest(problem.to_owned()));
            }
            Self::Position(position) => within(&position, span),
        };
        Ok(Found { position, note })
    }
}

/// The position, or the nearest that the log has.
fn within(position: &Position, span: &Span) -> (Position, Option<&'static str>) {
    let note = if !position.is_at_or_behind(&span.oldest) {
        Some(TRIMMED)
    } else if !span.end.is_at_or_behind(position) {
        Some(BEYOND)
    } else {
        None
    };
    let nearest = span.end.offsets().iter().map(|(partition, end)| {
        let offset = position.offset(*partition).min(*end);
        (*partition, offset.max(span.oldest.offset(*partition)))
    });
    (Position::new(span.end.incarnation(), nearest), note)
}

#[cfg(test)]
mod tests {
    use sockeye_log::Incarnation;

    use super::*;

    fn position(offsets: &[(u32, u64)]) -> Position {
        Position::new(Incarnation(1), offsets.iter().copied())
    }

    #[test]
    fn the_nearest_is_found_and_said() {
        let span = Span {
            oldest: position(&[(0, 10), (1, 0)]),
            end: position(&[(0, 20), (1, 5)]),
        };
        let check = |asked: &[(u32, u64)], found: &[(u32, u64)], note| {
            assert_eq!(within(&position(asked), &span), (position(found), note), "{asked:?}");
        };
        check(&[(0, 10), (1, 0)], &[(0, 10), (1, 0)], None);
        check(&[(0, 20), (1, 5)], &[(0, 20), (1, 5)], None);
        check(&[(0, 15)], &[(0, 15), (1, 0)], None);
        check(&[(0, 9), (1, 3)], &[(0, 10), (1, 3)], Some(TRIMMED));
        check(&[(0, 21), (1, 3)], &[(0, 20), (1, 3)], Some(BEYOND));
        check(&[(0, 10), (7, 3)], &[(0, 10), (1, 0)], Some(BEYOND));
    }

    #[test]
    fn what_is_no_start_is_told_what_is() {
        let cursor = |of| Cursor::encode(of, &position(&[(0, 1)]));
        assert_eq!(Start::of("earliest", "app"), Ok(Start::Earliest));
        assert_eq!(Start::of("end", "app"), Ok(Start::End));
        assert_eq!(
            Start::of(&cursor("app"), "app"),
            Ok(Start::Position(position(&[(0, 1)])))
        );
        for (text, part) in [
            ("", "`from` must be `earliest`, `end`, a time"),
            ("now", "or a cursor: mistyped"),
            ("2026-01-31", "RFC 3339"),
            (&cursor("other"), "of the application `other`, not of `app`"),
        ] {
            let refused = Start::of(text, "app").unwrap_err().to_string();
            assert!(refused.contains(part), "{text}: {refused}");
        }
    }
}
