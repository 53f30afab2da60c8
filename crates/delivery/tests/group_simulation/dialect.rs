//! A dialect whose frames are the payloads as they are, and whose members acknowledge by `ack:` or return by `nack:`.

use std::sync::Arc;

use bytes::BytesMut;
use sockeye_delivery::{Encoder, Message, Session, Verdict};
use sockeye_event::Event;
use sockeye_log::Position;

/// How events look; those that were delivered before begin with `again:`.
pub(crate) struct Payload {
    again: bool,
}

/// A member's side.
pub(crate) struct Plain;

// ----------------------------------------------------------------------------------------------

impl Payload {
    pub(crate) fn new() -> Self {
        Self { again: false }
    }
}

impl Encoder for Payload {
    fn name(&self) -> &'static str {
        if self.again { "again" } else { "plain" }
    }

    fn encode(&self, event: &Event, _: &Position, out: &mut BytesMut) {
        if self.again {
            out.extend_from_slice(b"again:");
        }
        out.extend_from_slice(event.data.as_deref().unwrap_or_default());
    }

    fn redelivered(&self) -> Option<Arc<dyn Encoder>> {
        Some(Arc::new(Self { again: true }))
    }
}

impl Session for Plain {
    const DIALECT: &'static str = "plain";

    fn encoder(&self) -> Arc<dyn Encoder> {
        Arc::new(Payload::new())
    }

    fn receive(&mut self, message: Message<'_>) -> Verdict {
        let Message::Text(text) = message else {
            return Verdict::Ignore;
        };
        match text.split_once(':') {
            Some(("ack", id)) => Verdict::Ack(id.into()),
            Some(("nack", id)) => Verdict::Nack(id.into()),
            _ => Verdict::Ignore,
        }
    }
}
