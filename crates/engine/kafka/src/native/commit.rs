//! The end of a transaction. The crate's own call waits for deliveries in steps of 100 ms.
#![allow(unsafe_code, reason = "calls librdkafka; pointers do not leave this file")]

use std::{ffi::c_int, time::Duration};

use rdkafka::{bindings as rd, producer::Producer as _, types::RDKafkaErrorCode};

use crate::client::Producer;

/// A transaction was not committed, as far as is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommitFailed {
    pub(crate) code: RDKafkaErrorCode,
    /// Asking once more may tell.
    pub(crate) is_retriable: bool,
    /// It can be aborted, so that the producer can go on.
    pub(crate) is_abortable: bool,
}

// ----------------------------------------------------------------------------------------------

/// Waits until all records are delivered, which the producer's own thread sees to, and commits.
pub(crate) fn commit(producer: &Producer, time: Duration) -> Result<(), CommitFailed> {
    let millis = c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX);
    // SAFETY: the client lives as long as the producer. The error is ours if it is not null, and not used after this.
    unsafe {
        let error = rd::rd_kafka_commit_transaction(producer.client().native_ptr(), millis);
        if error.is_null() {
            return Ok(());
        }
        let failed = CommitFailed {
            code: rd::rd_kafka_error_code(error).into(),
            is_retriable: rd::rd_kafka_error_is_retriable(error) != 0,
            is_abortable: rd::rd_kafka_error_txn_requires_abort(error) != 0,
        };
        rd::rd_kafka_error_destroy(error);
        Err(failed)
    }
}
