//! Calls of the admin API. Each blocks until Kafka answers.
#![allow(unsafe_code, reason = "calls librdkafka; pointers do not leave this file")]

use std::{
    ffi::{CStr, CString, c_int},
    ptr,
    sync::Arc,
    time::Duration,
};

use rdkafka::{
    bindings::{self as rd, rd_kafka_admin_op_t as Op, rd_kafka_resp_err_t as Code},
    consumer::Consumer as _,
    types::RDKafkaErrorCode,
};

use crate::client::{Admin, Consumer};

/// Asks through a client's connections.
#[derive(Clone)]
pub(crate) enum AdminHandle {
    /// For topics.
    Topics(Arc<Admin>),
    /// For groups: see [`crate::client::groups`].
    Groups(Arc<Consumer>),
}

/// What Kafka says of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicInfo {
    /// Both halves of the topic's id.
    pub(crate) id: (u64, u64),
    /// The numbers of its partitions, sorted.
    pub(crate) partitions: Vec<i32>,
    /// Whether each partition has a leader.
    pub(crate) led: bool,
}

/// Which offset of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offset {
    /// Of the oldest record that is still there.
    Oldest,
    /// Behind the newest record.
    End,
    /// Of the first record of this time or later, in ms since 1970; `None` is answered if there is none.
    At(i64),
}

/// What counts as there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// What is stored.
    Stored,
    /// What is stored before the first transaction that is open.
    Committed,
}

/// Most milliseconds that librdkafka lets a question take.
const LONGEST: c_int = 3_600_000;

/// An object of librdkafka, destroyed when dropped.
pub(super) struct Owned<T> {
    pub(super) object: *mut T,
    pub(super) destroy: unsafe extern "C" fn(*mut T),
}

// ----------------------------------------------------------------------------------------------

impl AdminHandle {
    /// Describes topics; `None` for one that is not there.
    pub(crate) fn describe(&self, names: &[&str], time: Duration) -> Result<Vec<Option<TopicInfo>>, RDKafkaErrorCode> {
        let names = names.iter().map(|name| c_string(name)).collect::<Result<Vec<_>, _>>()?;
        let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
        // SAFETY: the array and its strings live on; the collection copies them.
        let topics = unsafe { rd::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len()) };
        let topics = Owned {
            object: topics,
            destroy: rd::rd_kafka_TopicCollection_destroy,
        };
        let event = self.ask(
            Op::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
            time,
            |_| Ok(()),
            |client, options, queue| {
                // SAFETY: all four live during the call, which copies what it keeps.
                unsafe { rd::rd_kafka_DescribeTopics(client, topics.object, options, queue) }
            },
        )?;
        // SAFETY: the event is an answer of that kind; the array lives as long as the event.
        let answers = unsafe {
            let result = rd::rd_kafka_event_DescribeTopics_result(event.object);
            let mut count = 0;
            let all = rd::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
            array(all, count)
        };
        answers
            .iter()
            .map(|&topic| {
                // SAFETY: the description and its error live as long as the event.
                match unsafe { rd::rd_kafka_error_code(rd::rd_kafka_TopicDescription_error(topic)) } {
                    // SAFETY: as above; without an error the description is whole.
                    Code::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(Some(unsafe { topic_info(topic) })),
                    Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART => Ok(None),
                    code => Err(code.into()),
                }
            })
            .collect()
    }

    /// Offsets of partitions of one topic, in the order asked for.
    pub(crate) fn offsets(
        &self,
        name: &str,
        partitions: &[i32],
        which: Offset,
        isolation: Isolation,
        time: Duration,
    ) -> Result<Vec<Option<u64>>, RDKafkaErrorCode> {
        let name = c_string(name)?;
        let list = list(
            &name,
            partitions.iter().map(|partition| (*partition, which.as_number())),
        );
        let level = match isolation {
            Isolation::Stored => rd::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED,
            Isolation::Committed => rd::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED,
        };
        let isolate = |options| {
            // SAFETY: the options live; the error, null if there is none, is ours.
            taken(unsafe { rd::rd_kafka_AdminOptions_set_isolation_level(options, level) })
        };
        let event = self.ask(
            Op::RD_KAFKA_ADMIN_OP_LISTOFFSETS,
            time,
            isolate,
            |client, options, queue| {
                // SAFETY: all four live during the call, which copies what it keeps.
                unsafe { rd::rd_kafka_ListOffsets(client, list.object, options, queue) }
            },
        )?;
        // SAFETY: the event is an answer of that kind; the array and what it points to live as long as the event.
        let answers = unsafe {
            let result = rd::rd_kafka_event_ListOffsets_result(event.object);
            let mut count = 0;
            let all = rd::rd_kafka_ListOffsets_result_infos(result, &raw mut count);
            let one = |info: &_| &*rd::rd_kafka_ListOffsetsResultInfo_topic_partition(*info);
            array(all, count).iter().map(one).collect::<Vec<_>>()
        };
        partitions
            .iter()
            .map(|partition| {
                let answer = answers.iter().find(|answer| answer.partition == *partition);
                let answer = answer.ok_or(RDKafkaErrorCode::UnknownPartition)?;
                checked(answer.err)?;
                Ok(u64::try_from(answer.offset).ok())
            })
            .collect()
    }

    /// Sets some of a topic's configuration; the rest stays.
    pub(crate) fn configure(
        &self,
        name: &str,
        settings: &[(&str, String)],
        time: Duration,
    ) -> Result<(), RDKafkaErrorCode> {
        let name = c_string(name)?;
        // SAFETY: an object of our own; names and values are copied.
        let resource = unsafe {
            let kind = rd::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC;
            let resource = rd::rd_kafka_ConfigResource_new(kind, name.as_ptr());
            Owned {
                object: resource,
                destroy: rd::rd_kafka_ConfigResource_destroy,
            }
        };
        for (name, value) in settings {
            let (name, value) = (c_string(name)?, c_string(value)?);
            let set = rd::rd_kafka_AlterConfigOpType_t::RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET;
            // SAFETY: as above; the error, null if there is none, is ours.
            taken(unsafe {
                let resource = resource.object;
                rd::rd_kafka_ConfigResource_add_incremental_config(resource, name.as_ptr(), set, value.as_ptr())
            })?;
        }
        let operation = Op::RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS;
        let event = self.ask(
            operation,
            time,
            |_| Ok(()),
            |client, options, queue| {
                let mut resources = [resource.object];
                // SAFETY: all four live during the call, which copies what it keeps.
                unsafe { rd::rd_kafka_IncrementalAlterConfigs(client, resources.as_mut_ptr(), 1, options, queue) }
            },
        )?;
        // SAFETY: the event is an answer of that kind; the array and what it points to live as long as the event.
        let codes = unsafe {
            let result = rd::rd_kafka_event_IncrementalAlterConfigs_result(event.object);
            let mut count = 0;
            let all = rd::rd_kafka_IncrementalAlterConfigs_result_resources(result, &raw mut count);
            array(all, count)
                .iter()
                .map(|one| rd::rd_kafka_ConfigResource_error(*one))
                .collect::<Vec<_>>()
        };
        codes.into_iter().try_for_each(checked)
    }

    /// Makes options and a queue for the answer, calls, and waits for the answer.
    pub(super) fn ask(
        &self,
        operation: Op,
        time: Duration,
        adapt: impl FnOnce(*mut rd::rd_kafka_AdminOptions_t) -> Result<(), RDKafkaErrorCode>,
        call: impl FnOnce(*mut rd::rd_kafka_t, *mut rd::rd_kafka_AdminOptions_t, *mut rd::rd_kafka_queue_t),
    ) -> Result<Owned<rd::rd_kafka_event_t>, RDKafkaErrorCode> {
        let millis = c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX);
        let (client, context, most) = match self {
            Self::Topics(admin) => (admin.inner().native_ptr(), admin.inner().context(), millis),
            // See `GroupClient`: it is given up here, and never by librdkafka.
            Self::Groups(consumer) => (consumer.client().native_ptr(), consumer.context(), LONGEST),
        };
        // SAFETY: the client lives as long as `self`. Queue and options are ours; an answer that comes after the queue is
        // gone is dropped by librdkafka. A time that is out of range is refused without touching the (absent) text buffer.
        unsafe {
            let queue = Owned {
                object: rd::rd_kafka_queue_new(client),
                destroy: rd::rd_kafka_queue_destroy,
            };
            let options = rd::rd_kafka_AdminOptions_new(client, operation);
            let options = Owned {
                object: options,
                destroy: rd::rd_kafka_AdminOptions_destroy,
            };
            checked(rd::rd_kafka_AdminOptions_set_request_timeout(
                options.object,
                most,
                ptr::null_mut(),
                0,
            ))?;
            adapt(options.object)?;
            call(client, options.object, queue.object);
            // librdkafka itself ends the call after that time; a little later it is given up here.
            let event = rd::rd_kafka_queue_poll(queue.object, millis.saturating_add(1_000));
            let event = Owned {
                object: event,
                destroy: rd::rd_kafka_event_destroy,
            };
            let answer = if event.object.is_null() {
                Err(RDKafkaErrorCode::OperationTimedOut)
            } else {
                checked(rd::rd_kafka_event_error(event.object))
            };
            if answer == Err(RDKafkaErrorCode::OperationTimedOut) {
                // Such a client says nothing by itself (`AdminClient` of the crate enables no events).
                context.loses();
            }
            answer.map(|()| event)
        }
    }
}

impl Offset {
    fn as_number(self) -> i64 {
        match self {
            Self::Oldest => i64::from(rd::RD_KAFKA_OFFSET_BEGINNING),
            Self::End => i64::from(rd::RD_KAFKA_OFFSET_END),
            Self::At(time) => time.max(0),
        }
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: made by the function that goes with `destroy`, and not used after this.
        unsafe { (self.destroy)(self.object) }
    }
}

/// A list of partitions of one topic, each with an offset.
pub(super) fn list(
    topic: &CStr,
    offsets: impl ExactSizeIterator<Item = (i32, i64)>,
) -> Owned<rd::rd_kafka_topic_partition_list_t> {
    // SAFETY: a list of our own; the name is copied, and the entry that `add` gives is in the list.
    unsafe {
        let list = rd::rd_kafka_topic_partition_list_new(offsets.len() as c_int);
        for (partition, offset) in offsets {
            (*rd::rd_kafka_topic_partition_list_add(list, topic.as_ptr(), partition)).offset = offset;
        }
        Owned {
            object: list,
            destroy: rd::rd_kafka_topic_partition_list_destroy,
        }
    }
}

/// SAFETY: the description is whole and lives during the call.
unsafe fn topic_info(topic: *const rd::rd_kafka_TopicDescription_t) -> TopicInfo {
    // SAFETY: id and partitions live as long as the description.
    unsafe {
        let id = rd::rd_kafka_TopicDescription_topic_id(topic);
        let high = rd::rd_kafka_Uuid_most_significant_bits(id).cast_unsigned();
        let low = rd::rd_kafka_Uuid_least_significant_bits(id).cast_unsigned();
        let mut count = 0;
        let all = rd::rd_kafka_TopicDescription_partitions(topic, &raw mut count);
        let all = array(all, count);
        let mut partitions: Vec<i32> = all
            .iter()
            .map(|p| rd::rd_kafka_TopicPartitionInfo_partition(*p))
            .collect();
        partitions.sort_unstable();
        let led = all
            .iter()
            .all(|p| !rd::rd_kafka_TopicPartitionInfo_leader(*p).is_null());
        TopicInfo {
            id: (high, low),
            partitions,
            led,
        }
    }
}

/// SAFETY: `first` points to `count` elements that outlive the use of the slice, or `count` is 0.
pub(super) unsafe fn array<'a, T>(first: *mut *const T, count: usize) -> &'a [*const T] {
    if count == 0 || first.is_null() {
        return &[];
    }
    // SAFETY: by the caller.
    unsafe { std::slice::from_raw_parts(first, count) }
}

pub(super) fn checked(code: Code) -> Result<(), RDKafkaErrorCode> {
    if code == Code::RD_KAFKA_RESP_ERR_NO_ERROR {
        Ok(())
    } else {
        Err(code.into())
    }
}

/// An error object that may be null, taken over.
fn taken(error: *mut rd::rd_kafka_error_t) -> Result<(), RDKafkaErrorCode> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: not null, ours, and not used after this.
    let code = unsafe {
        let code = rd::rd_kafka_error_code(error);
        rd::rd_kafka_error_destroy(error);
        code
    };
    checked(code)
}

pub(super) fn c_string(text: &str) -> Result<CString, RDKafkaErrorCode> {
    CString::new(text).map_err(|_| RDKafkaErrorCode::InvalidArgument)
}
