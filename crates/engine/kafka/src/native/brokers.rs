//! What a client says of its brokers, and the addresses that it was given, given again.
#![allow(unsafe_code, reason = "calls librdkafka; pointers do not leave this file")]

use std::{
    ffi::{CString, c_int},
    ptr,
    time::Duration,
};

use rdkafka::{bindings as rd, consumer::Consumer as _, producer::Producer as _, types::RDKafkaErrorCode};

use super::admin::{Owned, checked};
use crate::client::{Admin, Consumer, Producer};

/// A client of any kind.
pub(crate) trait Client {
    /// As librdkafka knows it; it lives as long as `self`.
    fn native(&self) -> *mut rd::rd_kafka_t;
}

// ----------------------------------------------------------------------------------------------

/// Tells a client of these brokers, as if it had never known any; one that knows them is not disturbed.
///
/// A Kafka of one broker that stood still for longer than its own controller waits says, in the first moment after, that there are
/// no brokers. librdkafka 2.12 then forgets all it knows, those it was configured with too, and never asks anybody again.
/// (`rd_kafka_metadata_decommission_unavailable_brokers`; its issue 5301; see `tests/forgotten.rs`.) Each call costs the client the
/// bytes of the addresses for as long as it lives: for outages only.
pub(crate) fn remind(client: &impl Client, brokers: &str) {
    let Ok(brokers) = CString::new(brokers) else { return };
    // SAFETY: the client lives during the call; the text is copied.
    unsafe { rd::rd_kafka_brokers_add(client.native(), brokers.as_ptr()) };
}

/// Whether a client has said something that nobody has taken. (Of what it takes, the crate does not tell an event that it has dealt with
/// from none.)
pub(crate) fn has_said(client: &impl Client) -> bool {
    // SAFETY: the client lives during the calls; the handle of its queue is ours.
    unsafe {
        let queue = Owned {
            object: rd::rd_kafka_queue_get_main(client.native()),
            destroy: rd::rd_kafka_queue_destroy,
        };
        rd::rd_kafka_queue_length(queue.object) > 0
    }
}

/// Whether a broker answers within this time. Asks for the topics that the client knows, too.
pub(crate) fn answers(client: &impl Client, time: Duration) -> Result<(), RDKafkaErrorCode> {
    let millis = c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX);
    let (no_topic, mut answer) = (ptr::null_mut(), ptr::null());
    // SAFETY: the client lives during the call; the answer is ours if there is no error.
    unsafe {
        checked(rd::rd_kafka_metadata(
            client.native(),
            0,
            no_topic,
            &raw mut answer,
            millis,
        ))?;
        rd::rd_kafka_metadata_destroy(answer);
    }
    Ok(())
}

impl Client for Admin {
    fn native(&self) -> *mut rd::rd_kafka_t {
        self.inner().native_ptr()
    }
}

impl Client for Consumer {
    fn native(&self) -> *mut rd::rd_kafka_t {
        self.client().native_ptr()
    }
}

impl Client for Producer {
    fn native(&self) -> *mut rd::rd_kafka_t {
        self.client().native_ptr()
    }
}
