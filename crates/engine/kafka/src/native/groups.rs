//! Committed offsets of consumer groups, read and set without being a member. Each call blocks until Kafka answers.
#![allow(unsafe_code, reason = "calls librdkafka; pointers do not leave this file")]

use std::{slice, time::Duration};

use rdkafka::{
    bindings::{self as rd, rd_kafka_admin_op_t as Op},
    types::RDKafkaErrorCode,
};

use super::admin::{AdminHandle, Owned, array, c_string, checked, list};

// ----------------------------------------------------------------------------------------------

impl AdminHandle {
    /// The offsets that a group has committed in a topic, by partition; empty if it has none, or is not there.
    pub(crate) fn committed(
        &self,
        group: &str,
        topic: &str,
        partitions: &[i32],
        time: Duration,
    ) -> Result<Vec<(i32, u64)>, RDKafkaErrorCode> {
        let (group, topic) = (c_string(group)?, c_string(topic)?);
        let invalid = i64::from(rd::RD_KAFKA_OFFSET_INVALID);
        let wanted = list(&topic, partitions.iter().map(|partition| (*partition, invalid)));
        // SAFETY: an object of our own; name and list are copied.
        let question = Owned {
            object: unsafe { rd::rd_kafka_ListConsumerGroupOffsets_new(group.as_ptr(), wanted.object) },
            destroy: rd::rd_kafka_ListConsumerGroupOffsets_destroy,
        };
        let event = self.ask(
            Op::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS,
            time,
            |_| Ok(()),
            |client, options, queue| {
                let mut questions = [question.object];
                // SAFETY: all four live during the call, which copies what it keeps.
                unsafe { rd::rd_kafka_ListConsumerGroupOffsets(client, questions.as_mut_ptr(), 1, options, queue) }
            },
        )?;
        // SAFETY: the event is an answer of that kind, and what is copied out of it lives as long as the event.
        let found = unsafe {
            let result = rd::rd_kafka_event_ListConsumerGroupOffsets_result(event.object);
            let mut count = 0;
            partitions_of(
                rd::rd_kafka_ListConsumerGroupOffsets_result_groups(result, &raw mut count),
                count,
            )?
        };
        let offset = |(partition, offset)| Some((partition, u64::try_from(offset).ok()?));
        Ok(found.into_iter().filter_map(offset).collect())
    }

    /// Sets offsets as committed by a group, which is made by that. A group with consumers that Kafka knows refuses it.
    pub(crate) fn commit_offsets(
        &self,
        group: &str,
        topic: &str,
        offsets: &[(i32, u64)],
        time: Duration,
    ) -> Result<(), RDKafkaErrorCode> {
        let (group, topic) = (c_string(group)?, c_string(topic)?);
        let offsets = offsets
            .iter()
            .map(|(partition, offset)| (*partition, offset.cast_signed()));
        let offsets = list(&topic, offsets);
        // SAFETY: an object of our own; name and list are copied.
        let change = Owned {
            object: unsafe { rd::rd_kafka_AlterConsumerGroupOffsets_new(group.as_ptr(), offsets.object) },
            destroy: rd::rd_kafka_AlterConsumerGroupOffsets_destroy,
        };
        let event = self.ask(
            Op::RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS,
            time,
            |_| Ok(()),
            |client, options, queue| {
                let mut changes = [change.object];
                // SAFETY: all four live during the call, which copies what it keeps.
                unsafe { rd::rd_kafka_AlterConsumerGroupOffsets(client, changes.as_mut_ptr(), 1, options, queue) }
            },
        )?;
        // SAFETY: the event is an answer of that kind, and lives during the call.
        unsafe {
            let result = rd::rd_kafka_event_AlterConsumerGroupOffsets_result(event.object);
            let mut count = 0;
            partitions_of(
                rd::rd_kafka_AlterConsumerGroupOffsets_result_groups(result, &raw mut count),
                count,
            )?;
        }
        Ok(())
    }

    /// Forgets a group with all it has committed; one that is not there is no error.
    pub(crate) fn delete_group(&self, group: &str, time: Duration) -> Result<(), RDKafkaErrorCode> {
        let group = c_string(group)?;
        let deleted = Owned {
            // SAFETY: an object of our own; the name is copied.
            object: unsafe { rd::rd_kafka_DeleteGroup_new(group.as_ptr()) },
            destroy: rd::rd_kafka_DeleteGroup_destroy,
        };
        let event = self.ask(
            Op::RD_KAFKA_ADMIN_OP_DELETEGROUPS,
            time,
            |_| Ok(()),
            |client, options, queue| {
                let mut groups = [deleted.object];
                // SAFETY: all four live during the call, which copies what it keeps.
                unsafe { rd::rd_kafka_DeleteGroups(client, groups.as_mut_ptr(), 1, options, queue) }
            },
        )?;
        // SAFETY: the event is an answer of that kind, and lives during the call.
        let done = unsafe {
            let result = rd::rd_kafka_event_DeleteGroups_result(event.object);
            let mut count = 0;
            partitions_of(rd::rd_kafka_DeleteGroups_result_groups(result, &raw mut count), count)
        };
        match done {
            Ok(_) | Err(RDKafkaErrorCode::GroupIdNotFound) => Ok(()),
            Err(code) => Err(code),
        }
    }
}

/// What is said of the one group that was asked for: partitions and offsets, or the first error.
///
/// SAFETY: `first` points to `count` answers that live during the call.
unsafe fn partitions_of(
    first: *mut *const rd::rd_kafka_group_result_t,
    count: usize,
) -> Result<Vec<(i32, i64)>, RDKafkaErrorCode> {
    // SAFETY: by the caller; error and list live as long as the answer.
    unsafe {
        let group = *array(first, count).first().ok_or(RDKafkaErrorCode::Fail)?;
        let error = rd::rd_kafka_group_result_error(group);
        if !error.is_null() {
            checked(rd::rd_kafka_error_code(error))?;
        }
        let list = rd::rd_kafka_group_result_partitions(group);
        let Some(list) = list.as_ref().filter(|list| list.cnt > 0) else {
            return Ok(Vec::new());
        };
        let one = |entry: &rd::rd_kafka_topic_partition_t| {
            checked(entry.err)?;
            Ok((entry.partition, entry.offset))
        };
        slice::from_raw_parts(list.elems, list.cnt as usize)
            .iter()
            .map(one)
            .collect()
    }
}
