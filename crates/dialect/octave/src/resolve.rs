//! Which stream a client means, whether it is there and may be read, and from where.

use std::sync::Arc;

use sockeye_access::Permission;
use sockeye_delivery::{Balance, Encoder, Joining, Receipts, Seat, Selection, Subscription};
use sockeye_limits as limits;
use sockeye_log::{Position, ReadError, ReadLimit, Span, Topic};
use sockeye_policy::retention_of;
use sockeye_registry::{Application, Page};
use tokio::time::timeout;

use crate::Octave;
use crate::frames::Ids;
use crate::id::{EventId, StreamId};
use crate::name::{PathError, StreamName};
use crate::pattern::{self, Wish};
use crate::request::{Options, Problem, Target};
use crate::socket::{Key, Socket};

/// A stream that is there.
pub(crate) struct Found {
    pub(crate) id: StreamId,
    pub(crate) name: StreamName,
    /// How many events reads show.
    pub(crate) capacity: u32,
    /// Whether the registry has it.
    pub(crate) is_noted: bool,
}

/// An application as a client calls it.
#[derive(Clone, Copy)]
pub(crate) struct Company<'a> {
    pub(crate) application: &'a Application,
    pub(crate) name: &'a str,
    pub(crate) ids: &'a Ids,
}

// ----------------------------------------------------------------------------------------------

impl From<PathError> for Problem {
    fn from(error: PathError) -> Self {
        Self::bad(error.to_string())
    }
}

impl<'a> Company<'a> {
    fn of(socket: &'a Socket) -> Self {
        Self {
            application: &socket.application,
            name: &socket.company,
            ids: &socket.ids,
        }
    }

    /// What follows the company in a path.
    pub(crate) fn below(self, path: &'a str, what: &str) -> Result<&'a str, Problem> {
        let rest = path
            .strip_prefix('/')
            .ok_or_else(|| Problem::bad(format!("`{what}` must begin with /{}/", self.name)))?;
        let company = rest.split('/').next().unwrap_or_default();
        if company != self.name && *company != self.application.metadata.name {
            return Err(Problem::new(
                403,
                format!("`{what}` is of another company: yours begin with /{}/", self.name),
            ));
        }
        Ok(&rest[company.len()..])
    }
}

impl Octave {
    /// What a client subscribes to.
    pub(crate) async fn resolve(
        &self,
        socket: &Socket,
        target: &Target,
        filter: Option<&str>,
    ) -> Result<(Key, Wish), Problem> {
        let company = Company::of(socket);
        if let Some(pattern) = &target.pattern {
            let pattern = pattern::canonical(company.below(pattern, "pathPattern")?);
            let wish = Wish::matching(&pattern, filter)?;
            if !socket.caller.may_at(&wish.below, Permission::Read, company.application) {
                return Err(may_not("pathPattern"));
            }
            self.learn_given(company).await?;
            return Ok((Key::Pattern(pattern.into()), wish));
        }
        let by_path = match &target.path {
            None => None,
            Some(path) => {
                let name = StreamName::parse(company.below(path, "path")?)?;
                if !socket
                    .caller
                    .may_at(&name.to_string(), Permission::Read, company.application)
                {
                    return Err(may_not("path"));
                }
                Some(self.stream_of(company, name).await?)
            }
        };
        let by_id = match target.id {
            None => None,
            Some(id) => Some(self.stream(company, id).await?),
        };
        let (named_id, named_path) = (by_id.is_some(), by_path.is_some());
        let found = match (by_id, by_path) {
            (Some(one), Some(other)) if one.id != other.id => {
                return Err(Problem::bad("`streamId` and `path` name two streams: give one of them"));
            }
            (Some(found), _) | (None, Some(found)) => found,
            (None, None) => return Err(Problem::bad("`streamId` or `path` is missing")),
        };
        if !socket
            .caller
            .may_at(&found.name.to_string(), Permission::Read, company.application)
        {
            return Err(may_not("streamId"));
        }
        let key = Key::Stream {
            id: found.id,
            by_id: named_id,
            by_path: named_path,
        };
        Ok((key, Wish::of(&found.name, filter)?))
    }

    /// What a client is to be unsubscribed from, whether it is there or not.
    pub(crate) async fn key_of(&self, socket: &Socket, target: &Target) -> Result<Key, Problem> {
        let company = Company::of(socket);
        if let Some(pattern) = &target.pattern {
            let pattern = pattern::canonical(company.below(pattern, "pathPattern")?);
            return Ok(Key::Pattern(pattern.into()));
        }
        let by_path = match &target.path {
            None => None,
            Some(path) => {
                let name = StreamName::parse(company.below(path, "path")?)?;
                let noted = self.noted_stream(company, &name).await?;
                let id = noted.map_or_else(
                    || company.ids.of(name.device.as_deref(), &name.channel),
                    |found| found.id,
                );
                Some(id)
            }
        };
        match (target.id, by_path) {
            (Some(one), Some(other)) if one != other => {
                Err(Problem::bad("`streamId` and `path` name two streams: give one of them"))
            }
            (None, None) => Err(Problem::bad("`streamId` or `path` is missing")),
            (id, path) => Ok(Key::Stream {
                id: id.or(path).unwrap_or_default(),
                by_id: id.is_some(),
                by_path: path.is_some(),
            }),
        }
    }

    /// The stream with this id.
    pub(crate) async fn stream(&self, company: Company<'_>, id: StreamId) -> Result<Found, Problem> {
        let application = &company.application.metadata.name;
        let stream = self.registry.stream(application, &id.to_string()).await?;
        let stream = stream.ok_or_else(|| Problem::new(404, format!("no stream with id {id}")))?;
        Ok(learn(company, stream))
    }

    /// The stream that is called so: one that is noted, or of a device that is there.
    pub(crate) async fn stream_of(&self, company: Company<'_>, name: StreamName) -> Result<Found, Problem> {
        if let Some(found) = self.noted_stream(company, &name).await? {
            return Ok(found);
        }
        let application = &company.application.metadata.name;
        let is_there = match &name.device {
            Some(device) => self.registry.device(application, device).await?.is_some(),
            None => false,
        };
        if !is_there {
            return Err(Problem::new(
                404,
                format!("no stream with path /{}{name}", company.name),
            ));
        }
        Ok(Found {
            id: company.ids.of(name.device.as_deref(), &name.channel),
            name,
            capacity: limits::OCTAVE_CAPACITY,
            is_noted: false,
        })
    }

    async fn noted_stream(&self, company: Company<'_>, name: &StreamName) -> Result<Option<Found>, Problem> {
        let application = &company.application.metadata.name;
        let noted = self
            .registry
            .stream_of(application, name.device.as_deref(), &name.channel);
        Ok(noted.await?.map(|stream| learn(company, stream)))
    }

    /// Learns of all ids that somebody gave to streams, once as long as there are sockets of the application.
    async fn learn_given(&self, company: Company<'_>) -> Result<(), Problem> {
        let learned = company.ids.all.get_or_try_init(|| async {
            let mut page = Page::default();
            loop {
                let streams = self.registry.streams(&company.application.metadata.name, page).await?;
                page.offset += streams.len();
                let is_last = streams.len() < page.limit;
                for stream in streams {
                    learn(company, stream);
                }
                if is_last {
                    return Ok::<_, Problem>(());
                }
            }
        });
        learned.await?;
        Ok(())
    }

    /// What is read, and from where.
    pub(crate) async fn subscription(
        &self,
        socket: &Socket,
        selection: Selection,
        options: &Options,
    ) -> Result<Subscription, Problem> {
        let topic = Topic::events_of(socket.application.metadata.name.as_str());
        let work = async {
            let span = self.span(&topic).await?;
            let start = self.start(&topic, &span, options).await?;
            Ok(Subscription {
                topic: topic.clone(),
                selection,
                start,
                end: span.end,
                what_is_left: options.since.is_some(),
                until: None,
            })
        };
        let silent = |_| Err(Problem::new(503, "the event log does not answer, try again later"));
        timeout(limits::ENGINE_PROBE, work).await.unwrap_or_else(silent)
    }

    /// Behind all that was posted to an application until now, as far as the log can tell.
    pub(crate) async fn end(&self, socket: &Socket) -> Option<Position> {
        let topic = Topic::events_of(socket.application.metadata.name.as_str());
        let span = timeout(limits::ENGINE_PROBE, self.log.span(&topic)).await;
        Some(span.ok()?.ok()?.end)
    }

    /// A place in a group, which is where its clients of any protocol are that want the same.
    pub(crate) async fn seat(
        &self,
        socket: &Socket,
        group: &str,
        selection: Selection,
        encoder: Arc<dyn Encoder>,
    ) -> Result<Seat, Problem> {
        let topic = Topic::events_of(socket.application.metadata.name.as_str());
        let work = async {
            // It is there then.
            self.span(&topic).await?;
            let joining = Joining {
                topic: topic.clone(),
                group: group.into(),
                selection,
                balance: Balance::Any,
                receipts: Receipts::Pong,
                deflate: socket.deflate,
                name: socket.caller.user().map(str::to_owned),
            };
            Ok(self.delivery.join(joining, encoder).await?)
        };
        let silent = |_| {
            Err(Problem::new(
                503,
                "the position of the group is not available, try again later",
            ))
        };
        timeout(limits::ENGINE_PROBE, work).await.unwrap_or_else(silent)
    }

    /// What the topic of an application holds; it is made if it is not there.
    pub(crate) async fn span(&self, topic: &Topic) -> Result<Span, Problem> {
        match self.log.span(topic).await {
            Err(ReadError::NoTopic(_)) => {}
            span => return Ok(span?),
        }
        // The topic of an application that is being deleted goes after it.
        let found = self.registry.application(topic.application()).await?;
        let application = found.ok_or_else(|| Problem::new(403, crate::answer::DENIED))?;
        let retention = retention_of(&application.spec, self.retention);
        self.log.create_topic(topic, retention).await?;
        Ok(self.log.span(topic).await?)
    }

    async fn start(&self, topic: &Topic, span: &Span, options: &Options) -> Result<Position, Problem> {
        if let Some(since) = options.since {
            let wrong = |_| Problem::bad("`since` must be a time: milliseconds since 1970");
            let since = jiff::Timestamp::from_millisecond(since).map_err(wrong)?;
            return Ok(self.log.position_at(topic, since).await?);
        }
        let Some(after) = &options.after else {
            return Ok(span.end.clone());
        };
        let wrong = || Problem::bad("`after` must be the id of an event: `e` and 24 hexadecimal digits in lower case");
        let event = EventId::parse(after).ok_or_else(wrong)?;
        let partition = u32::from(event.partition);
        if !event.is_of(&span.end) || event.offset >= span.end.offset(partition) {
            return Err(Problem::new(
                410,
                "`after` is an event of a log that was replaced since: leave it out",
            ));
        }
        let at = |others: &Position, offset| {
            let others = others
                .offsets()
                .iter()
                .copied()
                .filter(|(other, _)| *other != partition);
            Position::new(span.end.incarnation(), others.chain([(partition, offset)]))
        };
        let start = if span.end.offsets().len() <= 1 {
            at(&span.end, event.offset + 1)
        } else {
            // The other partitions are read from the time of the event on.
            let one = ReadLimit { records: 1, bytes: 1 };
            let read = self.log.read(topic, &at(&span.end, event.offset), one).await;
            let time = match read {
                Ok(batch) => batch.records.first().map(|record| record.time),
                Err(ReadError::Trimmed { .. }) => None,
                Err(error) => return Err(error.into()),
            };
            match time {
                Some(time) => at(&self.log.position_at(topic, time).await?, event.offset + 1),
                None => at(&span.oldest, event.offset + 1),
            }
        };
        if !start.is_at_or_behind(&span.oldest) {
            return Err(Problem::new(
                410,
                "retention has removed events that follow `after`: leave it out, or use `since`",
            ));
        }
        Ok(start)
    }
}

fn may_not(what: &str) -> Problem {
    Problem::new(403, format!("the token may not read what `{what}` names"))
}

/// A stream of the registry.
pub(crate) fn learn(company: Company<'_>, stream: sockeye_registry::Stream) -> Found {
    let name = StreamName {
        device: stream.device.map(Into::into),
        channel: stream.channel.into(),
    };
    let id = StreamId::parse(&stream.id).unwrap_or_else(|| company.ids.of(name.device.as_deref(), &name.channel));
    company.ids.learn(&name, id);
    company.ids.is_there(id);
    Found {
        id,
        name,
        capacity: stream.capacity,
        is_noted: true,
    }
}
