//! The addresses that a client was given, given again.
#![allow(unsafe_code, reason = "calls librdkafka; pointers do not leave this file")]

use std::ffi::CString;

use rdkafka::{bindings as rd, consumer::Consumer as _, producer::Producer as _};

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
/// (`rd_kafka_metadata_decommission_unavailable_brokers`; met by `scripts/bench kafka`.) Each call costs the client the bytes of the
/// addresses for as long as it lives: for outages only.
pub(crate) fn remind(client: &impl Client, brokers: &str) {
    let Ok(brokers) = CString::new(brokers) else { return };
    // SAFETY: the client lives during the call; the text is copied.
    unsafe { rd::rd_kafka_brokers_add(client.native(), brokers.as_ptr()) };
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
