//! Partitions, read into queues of one's own.
#![allow(unsafe_code, reason = "calls librdkafka; pointers do not leave this file")]

use std::{
    ffi::{CStr, CString, c_int, c_void},
    marker::PhantomData,
    ptr::{self, NonNull},
    slice,
    sync::Arc,
    time::Duration,
};

use rdkafka::{
    bindings::{self as rd, rd_kafka_resp_err_t as Code},
    consumer::Consumer as _,
    types::RDKafkaErrorCode,
};
use tokio::sync::Notify;

use crate::client::Consumer;

/// What the partitions that are read into it bring.
pub(crate) struct Queue {
    native: NonNull<rd::rd_kafka_queue_t>,
    /// Told when the queue is no longer empty; librdkafka holds a pointer to it.
    filled: Arc<Notify>,
    /// Behind the queue in age: it must outlive it.
    client: Arc<Consumer>,
}

/// A topic of a client. A partition is read at most once at a time per client.
pub(crate) struct TopicHandle {
    native: NonNull<rd::rd_kafka_topic_t>,
    /// Must outlive the handle.
    _client: Arc<Consumer>,
}

/// Something a queue brought.
pub(crate) enum Fetched<'q> {
    /// A record.
    Record(Message<'q>),
    /// A partition has nothing more for now, and is read on from this offset: transaction markers may lie before it.
    End {
        /// The partition.
        partition: i32,
        /// Where it is read on.
        offset: u64,
    },
    /// A partition, or the client as a whole, has a problem.
    Problem(RDKafkaErrorCode),
}

/// A record in librdkafka's memory.
pub(crate) struct Message<'q> {
    message: NonNull<rd::rd_kafka_message_t>,
    queue: PhantomData<&'q Queue>,
}

// SAFETY: queues are made to be used from any thread (rdkafka.h: "all functions are thread-safe").
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}
// SAFETY: topic objects are counted references, used from any thread.
unsafe impl Send for TopicHandle {}
// SAFETY: as above.
unsafe impl Sync for TopicHandle {}

// ----------------------------------------------------------------------------------------------

impl Queue {
    /// An empty one.
    pub(crate) fn new(client: &Arc<Consumer>) -> Self {
        let filled = Arc::new(Notify::new());
        // SAFETY: the client lives as long as the queue. The pointer to `filled` is used until the queue's `drop`, which
        // takes it back first. (librdkafka never gives null: it ends the process where there is no memory.)
        let queue = unsafe {
            let queue = rd::rd_kafka_queue_new(client.client().native_ptr());
            rd::rd_kafka_queue_cb_event_enable(queue, Some(tell), Arc::as_ptr(&filled).cast_mut().cast());
            NonNull::new(queue).expect("a queue")
        };
        Self {
            native: queue,
            filled,
            client: client.clone(),
        }
    }

    /// The next thing, if one comes within `wait`.
    pub(crate) fn next(&self, wait: Duration) -> Option<Fetched<'_>> {
        let millis = c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: the queue lives.
        let message = NonNull::new(unsafe { rd::rd_kafka_consume_queue(self.native.as_ptr(), millis) })?;
        let message = Message {
            message,
            queue: PhantomData,
        };
        match message.raw().err {
            Code::RD_KAFKA_RESP_ERR_NO_ERROR => Some(Fetched::Record(message)),
            Code::RD_KAFKA_RESP_ERR__PARTITION_EOF => Some(Fetched::End {
                partition: message.partition(),
                offset: message.offset().max(0).cast_unsigned(),
            }),
            code => Some(Fetched::Problem(code.into())),
        }
    }

    /// Told when the queue is no longer empty.
    pub(crate) fn filled(&self) -> &Notify {
        &self.filled
    }

    /// Whose queue it is.
    pub(crate) fn client(&self) -> &Arc<Consumer> {
        &self.client
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: made in `new`, not used after this. Calls of `tell` hold the queue's lock, as does taking it back.
        unsafe {
            rd::rd_kafka_queue_cb_event_enable(self.native.as_ptr(), None, ptr::null_mut());
            rd::rd_kafka_queue_destroy(self.native.as_ptr());
        }
    }
}

/// Called by librdkafka when a queue is no longer empty.
unsafe extern "C" fn tell(_: *mut rd::rd_kafka_t, filled: *mut c_void) {
    // SAFETY: the pointer that `Queue::new` gave, taken back before the queue lets go of it.
    unsafe { &*filled.cast::<Notify>() }.notify_one();
}

impl TopicHandle {
    /// The topic of this name, whether it is there or not.
    pub(crate) fn new(client: &Arc<Consumer>, name: &str) -> Result<Self, RDKafkaErrorCode> {
        let name = CString::new(name).map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
        // SAFETY: the client lives as long as the handle; the name is copied.
        let topic = unsafe { rd::rd_kafka_topic_new(client.client().native_ptr(), name.as_ptr(), ptr::null_mut()) };
        let topic = NonNull::new(topic).ok_or_else(last_error)?;
        Ok(Self {
            native: topic,
            _client: client.clone(),
        })
    }

    /// Reads a partition into a queue, from this offset on, or from its beginning.
    pub(crate) fn start(&self, partition: i32, offset: Option<u64>, queue: &Queue) -> Result<(), RDKafkaErrorCode> {
        let offset = match offset {
            Some(offset) => i64::try_from(offset).map_err(|_| RDKafkaErrorCode::InvalidArgument)?,
            None => i64::from(rd::RD_KAFKA_OFFSET_BEGINNING),
        };
        // SAFETY: topic and queue live; librdkafka keeps references of its own.
        let result =
            unsafe { rd::rd_kafka_consume_start_queue(self.native.as_ptr(), partition, offset, queue.native.as_ptr()) };
        if result == 0 { Ok(()) } else { Err(last_error()) }
    }

    /// No longer reads the partition. Waits for librdkafka's threads, not for the network.
    pub(crate) fn stop(&self, partition: i32) {
        // SAFETY: the topic lives. A partition that is not read is no harm.
        unsafe { rd::rd_kafka_consume_stop(self.native.as_ptr(), partition) };
    }
}

impl Drop for TopicHandle {
    fn drop(&mut self) {
        // SAFETY: made in `new`, not used after this.
        unsafe { rd::rd_kafka_topic_destroy(self.native.as_ptr()) }
    }
}

impl Message<'_> {
    pub(crate) fn partition(&self) -> i32 {
        self.raw().partition
    }

    pub(crate) fn offset(&self) -> i64 {
        self.raw().offset
    }

    /// In ms since 1970; -1 if the record has none.
    pub(crate) fn time(&self) -> i64 {
        // SAFETY: the message lives; the kind of time is not asked for.
        unsafe { rd::rd_kafka_message_timestamp(self.message.as_ptr(), ptr::null_mut()) }
    }

    pub(crate) fn key(&self) -> Option<&[u8]> {
        let raw = self.raw();
        // SAFETY: a key that is not null has that many bytes, as long as the message lives.
        unsafe { bytes(raw.key, raw.key_len) }
    }

    pub(crate) fn payload(&self) -> Option<&[u8]> {
        let raw = self.raw();
        // SAFETY: a payload that is not null has that many bytes, as long as the message lives.
        unsafe { bytes(raw.payload, raw.len) }
    }

    /// Gives each header; names need not be UTF-8.
    pub(crate) fn each_header(&self, mut take: impl FnMut(&[u8], Option<&[u8]>)) {
        let mut headers = ptr::null_mut();
        // SAFETY: the message lives; the headers live as long as it. Only what a call that succeeds has written is used.
        unsafe {
            let code = rd::rd_kafka_message_headers(self.message.as_ptr(), &raw mut headers);
            if code != Code::RD_KAFKA_RESP_ERR_NO_ERROR {
                return;
            }
            for index in 0..rd::rd_kafka_header_cnt(headers) {
                let (mut name, mut value, mut length) = (ptr::null(), ptr::null(), 0);
                let code = rd::rd_kafka_header_get_all(headers, index, &raw mut name, &raw mut value, &raw mut length);
                if code == Code::RD_KAFKA_RESP_ERR_NO_ERROR {
                    take(CStr::from_ptr(name).to_bytes(), bytes(value, length));
                }
            }
        }
    }

    fn raw(&self) -> &rd::rd_kafka_message_t {
        // SAFETY: it lives until `drop`.
        unsafe { self.message.as_ref() }
    }
}

impl Drop for Message<'_> {
    fn drop(&mut self) {
        // SAFETY: given by the queue, not used after this.
        unsafe { rd::rd_kafka_message_destroy(self.message.as_ptr()) }
    }
}

/// SAFETY: `first` is null, or points to `length` bytes that live as long as `'a`.
unsafe fn bytes<'a>(first: *const c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: by the caller.
    (!first.is_null()).then(|| unsafe { slice::from_raw_parts(first.cast(), length) })
}

fn last_error() -> RDKafkaErrorCode {
    // SAFETY: reads a number of this thread.
    unsafe { rd::rd_kafka_last_error() }.into()
}
