//! Topics: made, removed, described, trimmed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    admin::{AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    error::KafkaError,
    topic_partition_list::{Offset as ListOffset, TopicPartitionList},
    types::RDKafkaErrorCode as Code,
};
use sockeye_limits as limits;
use sockeye_log::{Content, GroupId, Incarnation, ReadError, Retention, Topic, Unavailable};

use crate::{
    KafkaOptions, OptionsError, PlainJson,
    bounds::{Bounds, Partition},
    client::Admin,
    groups::GroupClient,
    native::{AdminHandle, Isolation, Offset, TopicInfo, remind},
    record::{Reading, Records},
    topic_name::Names,
};

/// What can be asked of topics. Calls that are not `async` block.
#[derive(Clone)]
pub(crate) struct Topics {
    admin: Arc<Admin>,
    handle: AdminHandle,
    groups: Arc<GroupClient>,
    names: Arc<Names>,
    plain: Option<Arc<PlainJson>>,
    partitions: i32,
    replicas: i32,
}

/// Names and values of a topic's settings.
pub(crate) type Settings = HashMap<String, String>;

/// Kafka's number for "as the broker is configured".
const DEFAULT: i32 = -1;
/// What tells a topic that Sockeye has made from others: a setting that says nothing for topics that are not compacted, which every
/// Kafka lets its users set, to a time that nobody chooses (SOCKEYE on a telephone).
const MARK: (&str, &str) = ("delete.retention.ms", "7625393");

// ----------------------------------------------------------------------------------------------

impl Topics {
    pub(crate) fn new(admin: Arc<Admin>, options: &KafkaOptions) -> Result<Self, OptionsError> {
        Ok(Self {
            names: Arc::new(Names::new(options.topics.as_deref())?),
            plain: options.plain.clone().map(Arc::new),
            handle: AdminHandle::Topics(admin.clone()),
            groups: Arc::new(GroupClient::new(options)),
            admin,
            partitions: options.partitions.map_or(DEFAULT, i32::from),
            replicas: options.replicas.map_or(DEFAULT, i32::from),
        })
    }

    /// Asks about groups.
    pub(crate) fn groups(&self) -> &GroupClient {
        &self.groups
    }

    /// How messages of a topic are read.
    pub(crate) fn reading(&self, topic: &Topic) -> Reading {
        Reading {
            name: self.name_of(topic),
            application: topic.application().clone(),
            records: match topic.content() {
                Content::Events => Records::Events(self.plain.clone()),
                // They are Sockeye's own.
                Content::DeadLetters => Records::Events(None),
                Content::Others(_) => Records::Others,
            },
        }
    }

    /// What a group is called in Kafka.
    pub(crate) fn group_name_of(&self, group: &GroupId) -> String {
        self.names.group(group)
    }

    /// What a topic is called in Kafka.
    pub(crate) fn name_of(&self, topic: &Topic) -> String {
        self.names.of(topic)
    }

    /// Makes a topic; `false` if it is there already.
    pub(crate) async fn create(&self, name: &str) -> Result<bool, Unavailable> {
        let replication = TopicReplication::Fixed(self.replicas);
        // Append time, so that positions by time hold whatever clocks producers have.
        let topic = NewTopic::new(name, self.partitions, replication)
            .set("message.timestamp.type", "LogAppendTime")
            .set(MARK.0, MARK.1);
        let answer = self.admin.create_topics([&topic], &options()).await;
        match one(answer.map(|topics| {
            topics
                .into_iter()
                .map(|topic| topic.map(|_| ()).map_err(|(_, code)| code))
        })) {
            Ok(()) => Ok(true),
            Err(Code::TopicAlreadyExists) => Ok(false),
            Err(code) => Err(unavailable("make a topic", code)),
        }
    }

    /// Removes a topic; one that is not there is no error.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), Unavailable> {
        let answer = self.admin.delete_topics(&[name], &options()).await;
        match one(answer.map(|topics| {
            topics
                .into_iter()
                .map(|topic| topic.map(|_| ()).map_err(|(_, code)| code))
        })) {
            Ok(()) | Err(Code::UnknownTopicOrPartition) => Ok(()),
            Err(code) => Err(unavailable("remove a topic", code)),
        }
    }

    /// Removes the records before these offsets.
    pub(crate) async fn delete_records(&self, name: &str, before: &[(u32, u64)]) -> Result<(), Unavailable> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in before {
            let offset = ListOffset::Offset(offset.cast_signed());
            list.add_partition_offset(name, partition.cast_signed(), offset)
                .map_err(|error| Unavailable(error.to_string()))?;
        }
        let answer = self.admin.delete_records(&list, &options()).await;
        let answer = answer.map_err(|error| Unavailable(format!("Kafka did not remove records: {error}")))?;
        for partition in answer.elements() {
            if let Err(error) = partition.error() {
                return Err(Unavailable(format!("Kafka did not remove records: {error}")));
            }
        }
        Ok(())
    }

    /// The settings of a topic, if it is one that Sockeye has made: whose it is otherwise, and who may not even be asked, is
    /// nobody's to change.
    pub(crate) async fn own(&self, name: &str) -> Result<Option<Settings>, Unavailable> {
        let answer = self
            .admin
            .describe_configs([&ResourceSpecifier::Topic(name)], &options())
            .await;
        let found = one(answer.map(Vec::into_iter));
        let found = match found {
            Ok(found) => found,
            Err(Code::UnknownTopicOrPartition | Code::TopicAuthorizationFailed) => return Ok(None),
            Err(code) => return Err(unavailable("tell a topic's settings", code)),
        };
        let settings = found.entries.into_iter();
        let settings: Settings = settings.filter_map(|entry| Some((entry.name, entry.value?))).collect();
        let is_own = settings.get(MARK.0).is_some_and(|value| value == MARK.1);
        Ok(is_own.then_some(settings))
    }

    /// Sets how long a topic keeps its records, unless these settings of it say so already. Kafka counts bytes by partition.
    pub(crate) fn retain(
        &self,
        name: &str,
        partitions: usize,
        retention: Retention,
        known: &Settings,
    ) -> Result<(), Unavailable> {
        let settings = retention_settings(partitions, retention);
        if settings.iter().all(|(name, value)| known.get(*name) == Some(value)) {
            return Ok(());
        }
        let answer = self.handle.configure(name, &settings, limits::KAFKA_ANSWER);
        answer.map_err(|code| unavailable("configure a topic", code))
    }

    /// What Kafka says of a topic; `None` if it is not there.
    pub(crate) fn describe(&self, name: &str) -> Result<Option<TopicInfo>, Unavailable> {
        self.describe_all(&[name]).map(|mut topics| topics.pop().flatten())
    }

    /// As [`Topics::describe`]. A topic of others that this user may not see is none.
    fn find(&self, topic: &Topic, name: &str) -> Result<Option<TopicInfo>, Unavailable> {
        match topic.content() {
            Content::Events | Content::DeadLetters => self.describe(name),
            Content::Others(_) if !self.names.may_be_others(name) => Ok(None),
            Content::Others(_) => match self.handle.describe(&[name], limits::KAFKA_ANSWER) {
                Ok(mut topics) => Ok(topics.pop().flatten()),
                Err(Code::TopicAuthorizationFailed) => Ok(None),
                Err(code) => Err(unavailable("describe a topic", code)),
            },
        }
    }

    /// As [`Topics::describe`], of several topics.
    pub(crate) fn describe_all(&self, names: &[&str]) -> Result<Vec<Option<TopicInfo>>, Unavailable> {
        let answer = self.handle.describe(names, limits::KAFKA_ANSWER);
        answer.map_err(|code| unavailable("describe a topic", code))
    }

    /// Where the topic begins and ends.
    pub(crate) fn bounds(&self, topic: &Topic) -> Result<Bounds, ReadError> {
        let name = self.name_of(topic);
        let info = self
            .find(topic, &name)?
            .ok_or_else(|| ReadError::NoTopic(topic.clone()))?;
        let oldest = self.offsets(topic, &name, &info.partitions, Offset::Oldest, Isolation::Stored)?;
        let end = self.offsets(topic, &name, &info.partitions, Offset::End, Isolation::Stored)?;
        let (oldest, end) = (told(oldest)?, told(end)?);
        let partitions = info.partitions.iter().zip(oldest.into_iter().zip(end));
        Ok(Bounds {
            incarnation: incarnation(&info),
            partitions: partitions
                .map(|(number, (oldest, end))| Partition {
                    number: number.unsigned_abs(),
                    oldest,
                    end,
                })
                .collect(),
        })
    }

    /// The bounds with an end before which everything is committed or aborted; `None` while a transaction is open before the
    /// end they have.
    pub(crate) fn decided(&self, topic: &Topic, bounds: &Bounds) -> Result<Option<Bounds>, ReadError> {
        let numbers: Vec<i32> = bounds.partitions.iter().map(|p| p.number.cast_signed()).collect();
        let ends = self.offsets(topic, &self.name_of(topic), &numbers, Offset::End, Isolation::Committed)?;
        let mut decided = bounds.clone();
        for (partition, end) in decided.partitions.iter_mut().zip(ends) {
            match end {
                // A marker that came since is before the end too.
                Some(end) if end >= partition.end => partition.end = end,
                _ => return Ok(None),
            }
        }
        Ok(Some(decided))
    }

    /// Whether readers may see everything before these ends, by partition.
    pub(crate) fn are_visible(&self, topic: &Topic, ends: &BTreeMap<i32, u64>) -> Result<bool, ReadError> {
        let numbers: Vec<i32> = ends.keys().copied().collect();
        let visible = self.offsets(topic, &self.name_of(topic), &numbers, Offset::End, Isolation::Committed)?;
        Ok(visible
            .into_iter()
            .zip(ends.values())
            .all(|(visible, end)| visible >= Some(*end)))
    }

    /// The first offset of each partition with a record of this time (in ms since 1970) or later.
    pub(crate) fn offsets_at(
        &self,
        topic: &Topic,
        bounds: &Bounds,
        millis: i64,
    ) -> Result<Vec<Option<u64>>, ReadError> {
        let numbers: Vec<i32> = bounds.partitions.iter().map(|p| p.number.cast_signed()).collect();
        self.offsets(
            topic,
            &self.name_of(topic),
            &numbers,
            Offset::At(millis),
            Isolation::Stored,
        )
    }

    /// Whether the client has lost all brokers since this was asked last.
    pub(crate) fn has_lost(&self) -> bool {
        self.admin.inner().context().has_lost()
    }

    /// See [`remind`].
    pub(crate) fn remind(&self, brokers: &str) {
        remind(&*self.admin, brokers);
    }

    /// Whether the client has an answer about this topic within this time.
    pub(crate) fn answers(&self, name: &str, time: Duration) -> bool {
        self.admin.inner().fetch_metadata(Some(name), time).is_ok()
    }

    fn offsets(
        &self,
        topic: &Topic,
        name: &str,
        partitions: &[i32],
        which: Offset,
        isolation: Isolation,
    ) -> Result<Vec<Option<u64>>, ReadError> {
        let deadline = Instant::now() + limits::KAFKA_ANSWER;
        loop {
            match self
                .handle
                .offsets(name, partitions, which, isolation, limits::KAFKA_ANSWER)
            {
                Ok(offsets) => return Ok(offsets),
                Err(code) if is_unknown_topic(code) => return Err(ReadError::NoTopic(topic.clone())),
                // The leader moves, or does not know yet that it leads: the client looks who it is.
                Err(Code::NotLeaderForPartition | Code::LeaderNotAvailable) if Instant::now() < deadline => {
                    self.admin.inner().fetch_metadata(Some(name), limits::KAFKA_ANSWER).ok();
                }
                Err(code) => return Err(unavailable("tell a topic's offsets", code).into()),
            }
        }
    }
}

/// The identity of a topic: Kafka gives each that is made an id of 128 random bits.
pub(crate) fn incarnation(info: &TopicInfo) -> Incarnation {
    Incarnation(info.id.0 ^ info.id.1)
}

/// Where each partition begins, or ends. One of which Kafka does not tell it is not known now, and does not begin or end at 0: that
/// happens while it is led anew.
fn told(offsets: Vec<Option<u64>>) -> Result<Vec<u64>, Unavailable> {
    let told: Option<Vec<u64>> = offsets.into_iter().collect();
    told.ok_or_else(|| unavailable("tell a topic's offsets", Code::OffsetNotAvailable))
}

/// Whether it says that there is no such topic, or no longer.
pub(crate) fn is_unknown_topic(code: Code) -> bool {
    matches!(
        code,
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicId
    )
}

pub(crate) fn unavailable(what: &str, code: Code) -> Unavailable {
    Unavailable(format!("Kafka does not {what}: {code}"))
}

/// Records go in whole segments, so segments are parts of what is kept. Kafka refuses segments below 1 MiB.
fn retention_settings(partitions: usize, retention: Retention) -> [(&'static str, String); 4] {
    const SMALLEST_SEGMENT: u64 = limits::MIB as u64;
    const LARGEST_SEGMENT: u64 = 1024 * limits::MIB as u64;
    const SHORTEST_SEGMENT: u128 = 1_000;
    let bytes = (retention.bytes / partitions.max(1) as u64).min(i64::MAX as u64);
    let age = retention.age.as_millis().min(i64::MAX as u128);
    let segment = (bytes / limits::KAFKA_SEGMENTS).clamp(SMALLEST_SEGMENT, LARGEST_SEGMENT);
    let segment_age = (age / u128::from(limits::KAFKA_SEGMENTS)).max(SHORTEST_SEGMENT);
    [
        ("retention.bytes", bytes.to_string()),
        ("retention.ms", age.to_string()),
        ("segment.bytes", segment.to_string()),
        ("segment.ms", segment_age.to_string()),
    ]
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(limits::KAFKA_ANSWER))
        .operation_timeout(Some(limits::KAFKA_ANSWER))
}

/// The one answer to a question about one topic.
fn one<T>(answer: Result<impl Iterator<Item = Result<T, Code>>, KafkaError>) -> Result<T, Code> {
    match answer {
        Ok(mut answers) => answers.next().unwrap_or(Err(Code::Fail)),
        Err(error) => Err(error.rdkafka_error_code().unwrap_or(Code::Fail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kafka had stood still under 1,000 topics: of some it did not tell the end, and their readers were told that events are lost.
    #[test]
    fn an_end_that_is_not_told_is_not_zero() {
        assert_eq!(told(vec![Some(0), Some(7)]), Ok(vec![0, 7]));
        let Err(Unavailable(why)) = told(vec![Some(7), None]) else {
            panic!("the end of the second partition is not known");
        };
        assert!(why.contains("offsets"), "{why}");
    }

    #[test]
    fn retention_is_by_partition_and_in_segments() {
        let check = |partitions, age, bytes, expected: [&str; 4]| {
            let settings = retention_settings(partitions, Retention { age, bytes });
            assert_eq!(settings.map(|(_, value)| value), expected);
        };
        let default = Retention::default();
        let days = default.age;
        check(
            1,
            days,
            default.bytes,
            ["1073741824", "604800000", "134217728", "75600000"],
        );
        check(
            3,
            days,
            default.bytes,
            ["357913941", "604800000", "44739242", "75600000"],
        );
        check(1, Duration::from_secs(1), 10, ["10", "1000", "1048576", "1000"]);
        check(
            1,
            Duration::MAX,
            u64::MAX,
            [
                "9223372036854775807",
                "9223372036854775807",
                "1073741824",
                "1152921504606846975",
            ],
        );
    }
}
