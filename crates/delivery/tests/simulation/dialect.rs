//! A dialect whose frames are the payloads as they are, in two forms.

use std::sync::Arc;

use bytes::BytesMut;
use sockeye_delivery::{Encoder, Message, Session, Verdict};
use sockeye_event::Event;
use sockeye_log::Position;

/// How events look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    /// With the cursor before it.
    Cursor,
}

/// A client's side.
pub(crate) struct Plain(pub(crate) Form);

// ----------------------------------------------------------------------------------------------

impl Encoder for Form {
    fn name(&self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Cursor => "cursor",
        }
    }

    fn encode(&self, event: &Event, behind: &Position, out: &mut BytesMut) {
        if *self == Self::Cursor {
            for (partition, next) in behind.offsets() {
                out.extend_from_slice(format!("{partition}:{next},").as_bytes());
            }
            out.extend_from_slice(b"!");
        }
        out.extend_from_slice(event.data.as_deref().unwrap_or_default());
    }
}

impl Session for Plain {
    const DIALECT: &'static str = "plain";

    fn encoder(&self) -> Arc<dyn Encoder> {
        Arc::new(self.0)
    }

    fn receive(&mut self, _: Message<'_>) -> Verdict {
        Verdict::Ignore
    }
}
