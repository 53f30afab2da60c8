//! One publish request, from its head to its answer.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use bytestring::ByteString;
use http::StatusCode;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use sockeye_access::{DeviceError, DeviceLogin, Identity, LoginError, Publisher};
use sockeye_event::{Event, binary};
use sockeye_event::{Origin, Party};
use sockeye_limits as limits;
use sockeye_log::{AppendError, NewRecord, Topic, TopicError};
use sockeye_policy::Quota;
use tokio::time::Instant;

use crate::Ingest;
use crate::body::BodyRules;
use crate::commands;
use crate::content::{self, Context, Mode};
use crate::query::Query;
use crate::refusal::Refusal;
use crate::rules;

/// `POST /v1/{channel}`: 202 once the event is durable; 200 with a command, if the device waits for one and one comes.
pub(crate) async fn publish(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    match ingest.publish(request).await {
        Ok(None) => StatusCode::ACCEPTED.into_response(),
        Ok(Some(command)) => command,
        Err(refusal) => ingest.refuse(refusal),
    }
}

/// Another method on a path that publishes.
pub(crate) async fn not_allowed(State(ingest): State<Arc<Ingest>>) -> Response {
    ingest.refuse(Refusal::MethodNotAllowed)
}

/// A webhook of The Things Network.
pub(crate) async fn no_webhook(State(ingest): State<Arc<Ingest>>) -> Response {
    ingest.refuse(Refusal::NoWebhook)
}

/// A path without a channel.
pub(crate) async fn not_found(State(ingest): State<Arc<Ingest>>) -> Response {
    ingest.refuse(Refusal::NotFound)
}

// ----------------------------------------------------------------------------------------------

impl Ingest {
    fn refuse(&self, refusal: Refusal) -> Response {
        match &refusal {
            Refusal::AuthenticationUnavailable(cause) => self.authenticating.refused(cause),
            Refusal::Unavailable(cause) => self.storing.refused(cause),
            _ => tracing::debug!(%refusal, "a publish request was refused"),
        }
        self.metrics.refused(refusal.kind());
        refusal.into_response()
    }

    /// The command, if one was waited for and has come.
    async fn publish(&self, request: Request) -> Result<Option<Response>, Refusal> {
        let (head, body) = request.into_parts();
        let query = Query::parse(head.uri.query()).map_err(|error| Refusal::BadRequest(error.to_string()))?;
        let channel = channel(head.uri.path())?;
        let login = DeviceLogin::new(query.application.as_deref(), query.device.as_deref(), &head.headers)?;
        let publisher = self.devices.authenticate(&login, query.publish_as.as_deref()).await?;
        self.authenticating.passed();

        let declared = content::declared_type(&head.headers)?;
        let mode = Mode::of(declared);
        let rules = BodyRules {
            limit: mode.limit(),
            time: limits::HTTP_BODY_TIME,
            budget: &self.bodies,
        };
        let (body, held) = rules.read(&head.headers, body).await?;

        let context = Context {
            origin: self.origin(&publisher),
            channel,
            data_schema: query.data_schema.as_deref(),
            now: Timestamp::now(),
        };
        let mut events = content::events(&context, mode, declared, &head.headers, body)?;
        if let Some(policy) = &publisher.policy {
            self.take(&policy.quota, &publisher, &events)?;
            let dropped = rules::obey(&policy.publish, &mut events, mode)?;
            self.metrics.dropped.inc_by(dropped as u64);
        }
        if !events.is_empty() {
            self.append(&login, query.publish_as.as_deref(), &publisher, &events)
                .await?;
            self.storing.passed();
        }

        let (count, bytes) = amount(&events);
        self.metrics.events.inc_by(count);
        self.metrics.bytes.inc_by(bytes);
        // Whoever waits holds nothing that others need.
        drop((events, held));
        let Some(seconds) = query.command_timeout.filter(|seconds| *seconds > 0) else {
            return Ok(None);
        };
        let command = self.commands.wait(&publisher, Duration::from_secs(seconds)).await;
        Ok(command.map(|command| commands::answer(command, &publisher.sender.name)))
    }

    /// What the events take of the quotas of their application and device.
    fn take(&self, quota: &Quota, publisher: &Publisher, events: &[Event]) -> Result<(), Refusal> {
        if quota.is_empty() {
            return Ok(());
        }
        let Publisher {
            application, device, ..
        } = publisher;
        let now = Instant::now().into_std();
        let taken = self
            .quotas
            .take(quota, &application.uid, &device.uid, amount(events), now);
        taken.map_err(Refusal::OverQuota)
    }

    fn origin(&self, publisher: &Publisher) -> Origin {
        let party = |known: &Identity| Party {
            name: known.name.clone(),
            uid: Some(known.uid.clone()),
        };
        Origin {
            application: party(&publisher.application),
            device: party(&publisher.device),
            sender: party(&publisher.sender),
            instance: self.instance.clone(),
        }
    }

    /// Makes the events durable. An application may have no topic yet; then it is made, if the application is still there.
    async fn append(
        &self,
        login: &DeviceLogin<'_>,
        publish_as: Option<&str>,
        publisher: &Publisher,
        events: &[Event],
    ) -> Result<(), Refusal> {
        let topic = Topic::events_of(publisher.application.name.clone());
        match self.log.append(&topic, records(events)).await {
            Err(AppendError::NoTopic(_)) => {}
            other => return Ok(other?),
        }
        // The topic of an application that is being deleted goes after it: asked again, access tells which it is.
        let again = self.devices.authenticate(login, publish_as).await?;
        if again.application.uid != publisher.application.uid {
            return Err(Refusal::WRONG_CREDENTIALS);
        }
        let keep = again.policy.as_ref().map(|policy| policy.keep).unwrap_or_default();
        self.log.create_topic(&topic, keep.retention(self.retention)).await?;
        Ok(self.log.append(&topic, records(events)).await?)
    }
}

/// Events, and bytes of their payloads.
fn amount(events: &[Event]) -> (u64, u64) {
    let payloads = events.iter().filter_map(|event| event.data.as_ref());
    let bytes = payloads.map(Bytes::len).sum::<usize>();
    (events.len() as u64, bytes as u64)
}

fn records(events: &[Event]) -> Vec<NewRecord> {
    let record = |event| {
        let (headers, payload) = binary::encode(event);
        NewRecord { headers, payload }
    };
    events.iter().map(record).collect()
}

/// The second segment of the path, percent-decoded.
fn channel(path: &str) -> Result<ByteString, Refusal> {
    let segment = path.split('/').nth(2).unwrap_or_default();
    match percent_decode_str(segment).decode_utf8() {
        Ok(channel) => Ok(ByteString::from(channel.into_owned())),
        Err(_) => Err(Refusal::BadRequest(
            "the channel in the path is not UTF-8 after percent-decoding".to_owned(),
        )),
    }
}

impl From<LoginError> for Refusal {
    fn from(error: LoginError) -> Self {
        Self::Authentication(format!("Authentication failed: {error}").into())
    }
}

impl From<DeviceError> for Refusal {
    fn from(error: DeviceError) -> Self {
        match error {
            DeviceError::Denied => Self::WRONG_CREDENTIALS,
            DeviceError::Busy => Self::AuthenticationBusy(error.to_string()),
            DeviceError::Unavailable(unavailable) => Self::AuthenticationUnavailable(unavailable.to_string()),
        }
    }
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Busy => Self::Busy("too many events wait to be stored, try again shortly"),
            AppendError::NoTopic(_) | AppendError::Unavailable(_) => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<TopicError> for Refusal {
    fn from(error: TopicError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
