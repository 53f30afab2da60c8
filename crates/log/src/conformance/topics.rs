//! Making, deleting, identity.

use std::time::Duration;

use jiff::Timestamp;

use super::Fixture;
use super::sample::{Case, assert_same, new_topic, records};
use crate::{AppendError, Incarnation, Log, Position, ReadError, ReadLimit, Retention, Topic};

/// Whatever is asked of the topic, the answer is that there is none.
async fn assert_no_topic(log: &dyn Log, topic: &Topic, position: &Position) {
    let missing = ReadError::NoTopic(topic.clone());
    let appended = log.append(topic, records(0..1)).await;
    assert_eq!(appended, Err(AppendError::NoTopic(topic.clone())));
    assert_eq!(log.span(topic).await.unwrap_err(), missing);
    assert_eq!(
        log.position_at(topic, Timestamp::UNIX_EPOCH).await.unwrap_err(),
        missing
    );
    assert_eq!(
        log.read(topic, position, ReadLimit::default()).await.unwrap_err(),
        missing
    );
    assert_eq!(log.follow(topic, position).await.err(), Some(missing.clone()));
    assert_eq!(log.trim(topic, position).await.unwrap_err(), missing);
}

pub async fn a_topic_that_is_not_there_is_said_to_be_missing(fixture: &mut dyn Fixture) {
    let position = Position::new(Incarnation(1), [(0, 0)]);
    assert_no_topic(&*fixture.log(), &new_topic(), &position).await;
}

pub async fn a_topic_is_made_once(fixture: &mut dyn Fixture) {
    let case = Case::new(fixture).await;
    case.append(records(0..5)).await;
    let before = case.log.span(&case.topic).await.unwrap();
    let retention = Retention {
        age: Duration::from_hours(1),
        bytes: 1 << 30,
    };
    case.log.create_topic(&case.topic, retention).await.unwrap();
    assert_eq!(case.log.span(&case.topic).await.unwrap(), before);
    assert_same(&case.read_all(&before.oldest).await, &records(0..5));
}

pub async fn a_topic_is_deleted_once(fixture: &mut dyn Fixture) {
    let case = Case::new(fixture).await;
    case.append(records(0..5)).await;
    let position = case.oldest().await;
    case.log.delete_topic(&case.topic).await.unwrap();
    assert_no_topic(&*case.log, &case.topic, &position).await;
    case.log.delete_topic(&case.topic).await.unwrap();
    case.log.delete_topic(&new_topic()).await.unwrap();
}

pub async fn a_topic_made_again_is_another(fixture: &mut dyn Fixture) {
    let case = Case::new(fixture).await;
    case.append(records(0..5)).await;
    let before = case.log.span(&case.topic).await.unwrap();
    case.log.delete_topic(&case.topic).await.unwrap();
    case.log.create_topic(&case.topic, Retention::default()).await.unwrap();
    let oldest = case.oldest().await;
    assert_ne!(oldest.incarnation(), before.oldest.incarnation());
    assert_eq!(case.read_all(&oldest).await, []);
    for position in [before.oldest, before.end] {
        let told = ReadError::OtherIncarnation { oldest: oldest.clone() };
        let read = case.log.read(&case.topic, &position, ReadLimit::default()).await;
        assert_eq!(read.unwrap_err(), told);
        assert_eq!(case.log.follow(&case.topic, &position).await.err(), Some(told.clone()));
        assert_eq!(case.log.trim(&case.topic, &position).await.unwrap_err(), told);
    }
    case.append(records(5..8)).await;
    assert_same(&case.read_all(&oldest).await, &records(5..8));
}

pub async fn topics_are_apart(fixture: &mut dyn Fixture) {
    let [one, two] = [Case::new(fixture).await, Case::new(fixture).await];
    for from in (0..40).step_by(4) {
        one.append(records(from..from + 2)).await;
        two.append(records(from + 2..from + 4)).await;
    }
    let of = |first: usize| -> Vec<_> {
        (0..40)
            .step_by(4)
            .flat_map(|from| records(from + first..from + first + 2))
            .collect()
    };
    assert_same(&one.read_all(&one.oldest().await).await, &of(0));
    assert_same(&two.read_all(&two.oldest().await).await, &of(2));
    one.log.delete_topic(&one.topic).await.unwrap();
    assert_same(&two.read_all(&two.oldest().await).await, &of(2));
}

pub async fn an_engine_answers(fixture: &mut dyn Fixture) {
    fixture.log().probe().await.unwrap();
}
