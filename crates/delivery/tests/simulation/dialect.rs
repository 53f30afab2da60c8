//! A dialect whose frames are the payloads as they are, in some forms, and whose clients may subscribe and unsubscribe.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use sockeye_delivery::{
    Cause, Closing, Encoder, Message, NewSubscription, Remote, RemoteError, Session, Subscription, SubscriptionId,
    Verdict,
};
use sockeye_event::Event;
use sockeye_log::{Position, Topic};
use tokio::time::Instant;

use crate::expected::Expected;
use crate::log::SimLog;
use crate::pick::Pick;
use crate::subscribed::{Subscribed, TAGS};

/// How events look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    /// With the cursor before it.
    Cursor,
    /// The same, and before that the subscription.
    Tagged(u8),
}

/// A client's side that only listens.
pub(crate) struct Plain(pub(crate) Form);

/// A client's side that may subscribe. `ONCE`: an event comes once for all subscriptions.
pub(crate) struct Talk<const ONCE: bool> {
    pub(crate) form: Form,
    pub(crate) log: SimLog,
    /// What the client will get.
    pub(crate) subscribed: Arc<Mutex<Subscribed>>,
    pub(crate) ids: BTreeMap<u8, SubscriptionId>,
    pub(crate) remote: Option<Remote>,
}

/// What a client that may subscribe says.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    Subscribe {
        tag: u8,
        topic: Topic,
        pick: Pick,
        /// Where it begins, of a hundred parts of what the log holds; `None`: live.
        from: Option<u64>,
    },
    Unsubscribe(u8),
    /// Be told something.
    Tell,
    /// Be closed after this time.
    Expire(Duration),
}

// ----------------------------------------------------------------------------------------------

impl Encoder for Form {
    fn name(&self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Cursor => "cursor",
            Self::Tagged(tag) => TAGS[usize::from(*tag)],
        }
    }

    fn encode(&self, event: &Event, behind: &Position, out: &mut BytesMut) {
        if let Self::Tagged(tag) = self {
            out.extend_from_slice(TAGS[usize::from(*tag)].as_bytes());
        }
        if *self != Self::Plain {
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

impl<const ONCE: bool> Session for Talk<ONCE> {
    const DIALECT: &'static str = "talk";
    const ONCE: bool = ONCE;

    fn encoder(&self) -> Arc<dyn Encoder> {
        Arc::new(self.form)
    }

    fn opened(&mut self, remote: Remote) {
        self.remote = Some(remote);
    }

    /// What is said is where all of it is known; the message tells that it is said.
    fn receive(&mut self, message: Message<'_>) -> Verdict {
        assert_eq!(message, Message::Text("?"));
        let request = self.subscribed.lock().unwrap().asked.pop_front();
        let remote = self.remote.clone().unwrap();
        let request = request.expect("a request was made");
        let full = match &request {
            Request::Subscribe { tag, .. } => Verdict::Reply(format!("0{tag:x}")),
            Request::Unsubscribe(tag) => Verdict::Reply(format!("={tag:x}")),
            _ => Verdict::Ignore,
        };
        let done = match request {
            Request::Subscribe { tag, topic, pick, from } => {
                let Some(new) = self.subscription(tag, &topic, pick, from) else {
                    return full;
                };
                let Subscription {
                    start, what_is_left, ..
                } = new.what.clone();
                let is_live = new.is_live;
                remote.subscribe(new).map(|id| {
                    self.ids.insert(tag, id);
                    let expected = Expected::new(topic, pick, Form::Tagged(tag), start, is_live, what_is_left);
                    self.subscribed.lock().unwrap().begin(tag, expected);
                })
            }
            Request::Unsubscribe(tag) => {
                let id = self.ids[&tag];
                let until = self.subscribed.lock().unwrap().leaves(tag, &self.log.lock());
                remote.unsubscribe(id, until, Some(&format!("-{tag:x}")))
            }
            Request::Tell => remote.send("hello"),
            Request::Expire(after) => {
                let closing = Closing::new(1008, "the token has expired");
                remote.close_at(Instant::now() + after, Cause::Unauthorized, closing);
                Ok(())
            }
        };
        match done {
            Ok(()) | Err(RemoteError::Gone) => Verdict::Ignore,
            Err(RemoteError::Full) => full,
            Err(RemoteError::TooMany | RemoteError::TooManyGroups) => panic!("there are fewer"),
        }
    }
}

impl<const ONCE: bool> Talk<ONCE> {
    /// As a server does that asks the log first.
    fn subscription(&self, tag: u8, topic: &Topic, pick: Pick, from: Option<u64>) -> Option<NewSubscription> {
        let span = self.log.lock().span(topic)?;
        let part = |(partition, end): &(u32, u64)| {
            let oldest = span.oldest.offset(*partition);
            (*partition, oldest + (end - oldest) * from.unwrap_or(100) / 100)
        };
        let start = Position::new(span.end.incarnation(), span.end.offsets().iter().map(part));
        let what = Subscription {
            topic: topic.clone(),
            selection: pick.selection(),
            start,
            what_is_left: from == Some(0),
            end: span.end,
            until: None,
        };
        Some(NewSubscription {
            what,
            is_live: from.is_none(),
            encoder: Arc::new(Form::Tagged(tag)),
            acknowledge: Some(format!("+{tag:x}")),
        })
    }
}
