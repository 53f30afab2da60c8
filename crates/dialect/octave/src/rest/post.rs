//! `POST /event`: an event of the log like any other (compat/octave.md 7). It is persistent before it is pushed, and that before the
//! answer.

use axum::response::Response;
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sockeye_access::{Caller, Permission};
use sockeye_delivery::Place;
use sockeye_event::device::Rejected;
use sockeye_event::event::{TYPE_EVENT, extension};
use sockeye_event::{DeviceEvent, Event, Origin, Party, Value, binary, content_type};
use sockeye_limits as limits;
use sockeye_log::{NewRecord, Position, ReadLimit, Topic};
use uuid::Uuid;

use super::body::object;
use super::call::Call;
use crate::answer;
use crate::event::{CREATOR, HASH, Shown};
use crate::id;
use crate::name::{StreamName, segment};
use crate::request::Problem;
use crate::resolve::Found;

/// An event to be posted.
#[derive(Deserialize)]
struct NewEvent {
    path: Option<String>,
    elems: Option<Box<RawValue>>,
    hash: Option<String>,
}

/// Elements that say of which stream they are.
#[derive(Deserialize)]
struct Elements {
    path: Option<String>,
}

/// An event that was posted.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Posted<'a> {
    id: String,
    stream_id: String,
    creation_date: i64,
    generated_date: i64,
    path: String,
    version: u8,
    /// As they came: numbers keep their text.
    elems: &'a RawValue,
}

// ----------------------------------------------------------------------------------------------

impl Call<'_> {
    /// Posts an event to the stream with this id, or to the one that the body names.
    pub(super) async fn post(&self, id: Option<&str>, body: &[u8]) -> Result<Response, Problem> {
        let new: NewEvent = object(body)?;
        let elements = new.elems.ok_or_else(|| Problem::bad("`elems` is missing: an object"))?;
        if !elements.get().starts_with('{') {
            return Err(Problem::bad("`elems` must be an object"));
        }
        let found = match (id, new.path) {
            (Some(id), _) => self.of_id(id, Permission::Write).await?.0,
            (None, Some(path)) => self.of_path(&path).await?,
            // As the documentation has it: the path is within the elements, and may end with an id.
            (None, None) => {
                let inner: Result<Elements, _> = serde_json::from_str(elements.get());
                let missing = || Problem::bad("`path` is missing: it says which stream");
                let path = inner.ok().and_then(|inner| inner.path).ok_or_else(missing)?;
                let below = self.company().below(&path, "elems.path")?;
                match below
                    .strip_prefix('/')
                    .filter(|id| crate::StreamId::parse(id).is_some())
                {
                    Some(id) => self.of_id(id, Permission::Write).await?.0,
                    None => self.of_path(&path).await?,
                }
            }
        };
        let event = self.event(&found.name, elements.get(), new.hash).await?;
        let place = self.append(&event).await?;
        self.octave.metrics.posted();
        if !found.is_noted {
            self.note(&found).await?;
        }
        let (place, incarnation) = place;
        let shown = Shown {
            event: &event,
            place,
            incarnation,
            stream: found.id,
            company: &self.name,
        };
        Ok(answer::created(&Posted {
            id: shown.id().to_string(),
            stream_id: found.id.to_string(),
            creation_date: shown.created(),
            generated_date: shown.generated(),
            path: format!("/{}{}", self.name, found.name),
            version: 0,
            elems: &elements,
        }))
    }

    async fn of_path(&self, path: &str) -> Result<Found, Problem> {
        let name = StreamName::parse(self.company().below(path, "path")?)?;
        self.demand(Permission::Write, &name)?;
        self.octave.stream_of(self.company(), name).await
    }

    /// Whoever is told of an id finds the stream by it.
    pub(super) async fn note(&self, found: &Found) -> Result<(), Problem> {
        use sockeye_registry::{Stream, WriteError};

        let stream = Stream {
            application: self.application.metadata.name.clone(),
            id: found.id.to_string(),
            device: found.name.device.as_deref().map(str::to_owned),
            channel: found.name.channel.to_string(),
            description: String::new(),
            capacity: found.capacity,
            created: Timestamp::now(),
            creator: String::new(),
        };
        match self.octave.registry.create_stream(stream).await {
            Ok(()) | Err(WriteError::Taken(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn user(&self) -> &str {
        match &self.caller {
            Caller::User { name, .. } => name,
            _ => "",
        }
    }

    async fn event(&self, name: &StreamName, elements: &str, hash: Option<String>) -> Result<Event, Problem> {
        let creator = id::identity(self.user());
        let mut extensions = vec![(ByteString::from_static(CREATOR), Value::String(creator.into()))];
        if let Some(hash) = hash {
            extensions.push((ByteString::from_static(HASH), Value::String(hash.into())));
        }
        let metadata = &self.application.metadata;
        let application = Party {
            name: metadata.name.as_str().into(),
            uid: Some(metadata.uid.to_string().into()),
        };
        let payload = Bytes::copy_from_slice(elements.as_bytes());
        let Some(device) = &name.device else {
            return self.of_no_device(&application, name, extensions, payload);
        };
        let known = self.octave.registry.device(&metadata.name, device).await?;
        let device = Party {
            name: device.clone(),
            uid: known.map(|device| device.metadata.uid.to_string().into()),
        };
        let event = DeviceEvent {
            origin: Origin {
                application,
                device: device.clone(),
                sender: device,
                instance: self.octave.instance.as_str().into(),
            },
            channel: name.channel.clone(),
            id: None,
            time: Timestamp::now(),
            content_type: Some(ByteString::from_static(content_type::JSON)),
            data_schema: None,
            extensions,
            payload: Some(payload),
        };
        event.into_event().map_err(|rejected| match rejected {
            Rejected::TooLarge { .. } => Problem::new(413, rejected.to_string()),
            _ => Problem::bad(rejected.to_string()),
        })
    }

    /// An event of a stream that is no device's (compat/README.md).
    fn of_no_device(
        &self,
        application: &Party,
        name: &StreamName,
        own: Vec<(ByteString, Value)>,
        payload: Bytes,
    ) -> Result<Event, Problem> {
        let hash = own.iter().find(|(name, _)| name == HASH);
        if let Some((_, Value::String(hash))) = hash
            && (hash.len() > limits::ATTRIBUTE_VALUE || hash.contains(char::is_control))
        {
            let most = limits::ATTRIBUTE_VALUE;
            return Err(Problem::bad(format!(
                "`hash` must have at most {most} bytes and no control characters"
            )));
        }
        let mut partition_key = format!("{}/", application.name);
        // To write to a text does not fail.
        let _ = segment(&name.channel, &mut partition_key);
        let mut extensions = Vec::new();
        let mut put = |name, value: ByteString| extensions.push((ByteString::from_static(name), Value::String(value)));
        put(extension::APPLICATION, application.name.clone());
        put(extension::APPLICATION_UID, application.uid.clone().unwrap_or_default());
        put(extension::INSTANCE, self.octave.instance.as_str().into());
        put(extension::PARTITION_KEY, partition_key.into());
        extensions.extend(own);
        Ok(Event {
            id: Uuid::new_v4().to_string().into(),
            source: format!("drogue://{}", application.name).into(),
            ty: ByteString::from_static(TYPE_EVENT),
            data_content_type: Some(ByteString::from_static(content_type::JSON)),
            data_schema: None,
            subject: Some(name.channel.clone()),
            time: Some(Timestamp::now()),
            extensions,
            data: Some(payload),
        })
    }

    /// Appends an event and finds its place.
    async fn append(&self, event: &Event) -> Result<(Place, sockeye_log::Incarnation), Problem> {
        let topic = Topic::events_of(self.application.metadata.name.as_str());
        let mut from: Position = self.octave.span(&topic).await?.end;
        let (headers, payload) = binary::encode(event);
        self.octave
            .log
            .append(&topic, vec![NewRecord { headers, payload }])
            .await?;
        loop {
            let batch = self.octave.log.read(&topic, &from, ReadLimit::default()).await?;
            for record in &batch.records {
                let decoded = binary::decode(&record.headers, record.payload.as_ref());
                if decoded.is_ok_and(|decoded| decoded.id == event.id && decoded.source == event.source) {
                    let place = Place {
                        partition: record.partition,
                        offset: record.offset,
                        time: record.time,
                    };
                    return Ok((place, from.incarnation()));
                }
            }
            if batch.records.is_empty() && batch.next == from {
                // Retention was quicker.
                return Err(Problem::new(503, "the event is stored, but its place is not known"));
            }
            from = batch.next;
        }
    }
}

/// An event as it is read, in the form of the answer.
pub(super) fn written(shown: &Shown<'_>) -> String {
    let mut out = BytesMut::new();
    shown.write(None, &mut out);
    String::from_utf8(out.to_vec()).expect("what was written is JSON")
}
