//! The protocol of an open socket: the client says nothing that counts, the server sends messages until an end comes
//! (compat/dojot.md 3.1, 3.5 and 6).

use std::sync::Arc;
use std::time::Duration;

use sockeye_access::Right;
use sockeye_delivery::{Cause, Closing, Encoder, Message, Remote, Session, Verdict};
use tokio::time::Instant;

use crate::close::Close;

/// An open socket.
pub(crate) enum DojotSession {
    /// One that gets messages.
    Open {
        encoder: Arc<dyn Encoder>,
        /// What lets it be open.
        right: Right,
        /// How long, and what it is told then.
        life: Option<(Duration, Close)>,
    },
    /// One that is closed as soon as it is open: a browser sees nothing of a refused handshake (decision 3).
    Refused(Close),
}

/// Nothing.
struct Silence;

// ----------------------------------------------------------------------------------------------

impl Close {
    pub(crate) fn closing(&self) -> Closing {
        Closing::new(self.code(), self.reason())
    }
}

impl Session for DojotSession {
    const DIALECT: &'static str = "dojot";

    fn encoder(&self) -> Arc<dyn Encoder> {
        match self {
            Self::Open { encoder, .. } => Arc::clone(encoder),
            Self::Refused(_) => Arc::new(Silence),
        }
    }

    fn opened(&mut self, remote: Remote) {
        match self {
            Self::Refused(close) => remote.close(Cause::Message, close.closing()),
            Self::Open { right, life, .. } => {
                // What is further away than a clock reaches does not end.
                if let Some((left, close)) = life
                    && let Some(at) = Instant::now().checked_add(*left)
                {
                    remote.close_at(at, Cause::Unauthorized, close.closing());
                }
                right.on_end(move |ended| remote.close(Cause::Unauthorized, Close::Ended(ended).closing()));
            }
        }
    }

    /// Read and ignored.
    fn receive(&mut self, _message: Message<'_>) -> Verdict {
        Verdict::Ignore
    }
}

impl Encoder for Silence {
    fn name(&self) -> &'static str {
        "nothing"
    }

    fn encode(&self, _: &sockeye_event::Event, _: &sockeye_log::Position, _: &mut bytes::BytesMut) {}
}
