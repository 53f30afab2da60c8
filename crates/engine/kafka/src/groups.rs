//! Groups as Kafka's own tools see them: consumer groups without consumers, whose committed offsets are the positions of ours
//! (DESIGN.md, several nodes; names in `topic_name.rs`). The truth about a group is in the registry; this is what shows it, and
//! what a group is adopted from that only Kafka knows.

use std::{thread, time::Instant};

use rdkafka::types::RDKafkaErrorCode as Code;
use sockeye_limits as limits;
use sockeye_log::{GroupId, Position, Span, Topic, Unavailable};

use crate::{
    KafkaOptions,
    admin::{Topics, is_unknown_topic, unavailable},
    client::{self, Consumer},
    native::AdminHandle,
    renewable::Renewable,
};

/// The client that asks about groups.
///
/// One that was asked and does not answer is given up as a whole. librdkafka 2.12 must never itself end a question about a group
/// that waits for a broker: when the broker is back it goes on with what it has freed, and the process ends with an assertion
/// (`rd_kafka_admin_coord_request` says so to `rd_kafka_coord_req`, which answers once more; met by `tests/kafka_faults` of the
/// command line).
pub(crate) struct GroupClient(Renewable<Consumer>);

// ----------------------------------------------------------------------------------------------

/// All calls block.
impl Topics {
    /// Sets the offsets of a group. Nothing is to be shown of a topic that is gone.
    pub(crate) fn commit(&self, group: &GroupId, position: &Position) -> Result<(), Unavailable> {
        let offsets = position.offsets().iter();
        let offsets: Vec<_> = offsets
            .map(|(partition, next)| (partition.cast_signed(), *next))
            .collect();
        if offsets.is_empty() {
            return Ok(());
        }
        let (name, topic) = self.names_of(group);
        let answer = self
            .groups()
            .ask(|client| client.commit_offsets(&name, &topic, &offsets, limits::KAFKA_ANSWER));
        match answer {
            Ok(()) => Ok(()),
            Err(code) if is_unknown_topic(code) => Ok(()),
            Err(Code::UnknownMemberId | Code::NonEmptyGroup) => Err(Unavailable(format!(
                "Kafka does not take the offsets of the group `{name}`: other programs are members of it"
            ))),
            Err(code) => Err(unavailable("take the offsets of a group", code)),
        }
    }

    /// Where a group goes on that has committed offsets: a partition without one is read from its oldest record, as it may be that
    /// the group has not seen it. Offsets that the topic no longer has, or not yet, are moved to what it has.
    pub(crate) fn committed(&self, group: &GroupId, span: &Span) -> Result<Option<Position>, Unavailable> {
        let partitions: Vec<i32> = span
            .end
            .offsets()
            .iter()
            .map(|(number, _)| number.cast_signed())
            .collect();
        let (name, topic) = self.names_of(group);
        let committed = self
            .groups()
            .ask(|client| client.committed(&name, &topic, &partitions, limits::KAFKA_ANSWER));
        let committed = match committed {
            Ok(committed) => committed,
            Err(code) if is_unknown_topic(code) => return Ok(None),
            // Who may not look at groups has none to adopt.
            Err(Code::GroupAuthorizationFailed | Code::GroupIdNotFound) => return Ok(None),
            Err(code) => return Err(unavailable("tell the offsets of a group", code)),
        };
        Ok((!committed.is_empty()).then(|| within(&committed, span)))
    }

    /// Forgets a group. One that other programs are members of is theirs.
    pub(crate) fn forget(&self, group: &GroupId) -> Result<(), Unavailable> {
        let (name, _) = self.names_of(group);
        match self
            .groups()
            .ask(|client| client.delete_group(&name, limits::KAFKA_ANSWER))
        {
            Ok(()) => Ok(()),
            Err(Code::NonEmptyGroup | Code::GroupAuthorizationFailed) => {
                tracing::warn!(
                    name,
                    "a group stays in Kafka: other programs are members of it, or it is not ours to remove"
                );
                Ok(())
            }
            Err(code) => Err(unavailable("forget a group", code)),
        }
    }

    /// The name of a group, and that of the topic it reads.
    fn names_of(&self, group: &GroupId) -> (String, String) {
        let topic = Topic::events_of(group.application.clone());
        (self.group_name_of(group), self.name_of(&topic))
    }
}

impl GroupClient {
    pub(crate) fn new(options: &KafkaOptions) -> Self {
        let options = options.clone();
        Self(Renewable::new(move || client::groups(&options)))
    }

    /// Asks, again while the groups move to another broker.
    #[expect(clippy::disallowed_methods, reason = "Kafka tells nobody when it knows of a group")]
    fn ask<T>(&self, ask: impl Fn(&AdminHandle) -> Result<T, Code>) -> Result<T, Code> {
        let deadline = Instant::now() + limits::KAFKA_ANSWER;
        loop {
            let client = self.0.get()?;
            let answer = ask(&AdminHandle::Groups(client.clone()));
            match answer {
                Err(Code::CoordinatorLoadInProgress | Code::CoordinatorNotAvailable | Code::NotCoordinator)
                    if Instant::now() < deadline =>
                {
                    thread::sleep(limits::KAFKA_AGAIN);
                }
                Err(Code::OperationTimedOut) => {
                    self.0.give_up(&client);
                    return Err(Code::OperationTimedOut);
                }
                answer => return answer,
            }
        }
    }

    /// See [`client::listen`].
    pub(crate) fn listen(&self) {
        if let Some(client) = self.0.current() {
            client::listen(&client);
        }
    }
}

/// The position at these offsets, as far as the topic has them.
fn within(committed: &[(i32, u64)], span: &Span) -> Position {
    let next = |&(number, end): &(u32, u64)| {
        let oldest = span.oldest.offset(number);
        let found = committed
            .iter()
            .find(|(partition, _)| partition.cast_unsigned() == number);
        (
            number,
            found.map_or(oldest, |(_, offset)| (*offset).clamp(oldest, end.max(oldest))),
        )
    };
    Position::new(span.end.incarnation(), span.end.offsets().iter().map(next))
}

#[cfg(test)]
mod tests {
    use sockeye_log::Incarnation;

    use super::*;

    #[test]
    fn committed_offsets_are_taken_as_far_as_the_topic_has_them() {
        let at = |offsets: &[(u32, u64)]| Position::new(Incarnation(1), offsets.iter().copied());
        let span = Span {
            oldest: at(&[(0, 5), (1, 0), (2, 3)]),
            end: at(&[(0, 9), (1, 4), (2, 7)]),
        };
        let check = |committed: &[(i32, u64)], expected: &[(u32, u64)]| {
            assert_eq!(within(committed, &span), at(expected), "{committed:?}");
        };
        check(&[(0, 6), (1, 4), (2, 3)], &[(0, 6), (1, 4), (2, 3)]);
        check(&[(0, 1), (1, 99)], &[(0, 5), (1, 4), (2, 3)]);
        // A partition that is gone.
        check(&[(1, 2), (7, 8)], &[(0, 5), (1, 2), (2, 3)]);
    }
}
