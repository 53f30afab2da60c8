//! `/stream`: streams are made, listed, shown and removed.

use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use sockeye_access::{Permission, audit, audit::Shown};
use sockeye_limits as limits;
use sockeye_registry::{Page, Stream, WriteError};

use super::body::object;
use super::call::Call;
use crate::answer;
use crate::id::{self, StreamId};
use crate::name::StreamName;
use crate::request::Problem;
use crate::resolve::{Found, learn};

/// A stream to be made (compat/octave.md 6.3).
#[derive(Deserialize)]
struct NewStream {
    path: String,
    description: Option<String>,
    capacity: Option<u32>,
    filter: Option<Value>,
}

// ----------------------------------------------------------------------------------------------

impl Call<'_> {
    pub(super) async fn create_stream(&self, body: &[u8]) -> Result<Response, Problem> {
        let new: NewStream = object(body)?;
        let name = StreamName::parse(self.company().below(&new.path, "path")?)?;
        self.demand(Permission::Write, &name)?;
        if new.filter.is_some_and(|filter| filter != Value::Null && filter != "") {
            return Err(Problem::bad("`filter` is not served: leave it out"));
        }
        let description = new.description.unwrap_or_default();
        if description.len() > limits::OCTAVE_DESCRIPTION {
            let most = limits::OCTAVE_DESCRIPTION;
            return Err(Problem::bad(format!("`description` is longer than {most} bytes")));
        }
        let capacity = new.capacity.unwrap_or(limits::OCTAVE_CAPACITY);
        if capacity > limits::OCTAVE_CAPACITY_MOST {
            let most = limits::OCTAVE_CAPACITY_MOST;
            return Err(Problem::bad(format!("`capacity` is more than {most}")));
        }
        let id = self.ids.of(name.device.as_deref(), &name.channel);
        let stream = Stream {
            application: self.application.metadata.name.clone(),
            id: id.to_string(),
            device: name.device.as_deref().map(str::to_owned),
            channel: name.channel.to_string(),
            description,
            capacity,
            created: Timestamp::now(),
            creator: self.user().to_owned(),
        };
        match self.octave.registry.create_stream(stream.clone()).await {
            Ok(()) => {}
            Err(WriteError::Taken(_)) => {
                return Err(Problem::bad(format!(
                    "there is a stream with path {} already",
                    new.path
                )));
            }
            Err(error) => return Err(error.into()),
        }
        audit!("stream.made", by = %Shown(&self.caller), application = stream.application, stream = stream.id);
        Ok(answer::created(&self.shown(stream)))
    }

    pub(super) async fn list_streams(&self) -> Result<Response, Problem> {
        let part = self.part()?;
        let application = &self.application.metadata.name;
        let (mut shown, mut skip) = (Vec::new(), part.start);
        let mut page = Page::default();
        // Those that a token may not read are not there for it.
        loop {
            let streams = self.octave.registry.streams(application, page).await?;
            page.offset += streams.len();
            let is_last = streams.len() < page.limit;
            for stream in streams {
                let found = learn(self.company(), stream.clone());
                if shown.len() >= part.limit || self.demand(Permission::Read, &found.name).is_err() {
                    continue;
                }
                if skip > 0 {
                    skip -= 1;
                } else {
                    shown.push(self.shown(stream));
                }
            }
            if is_last || shown.len() >= part.limit {
                return Ok(answer::answer(&shown, &[]));
            }
        }
    }

    pub(super) async fn show_stream(&self, id: &str) -> Result<Response, Problem> {
        let (_, stream) = self.of_id(id, Permission::Read).await?;
        Ok(answer::answer(&self.shown(stream), &[]))
    }

    pub(super) async fn delete_stream(&self, id: &str) -> Result<Response, Problem> {
        let (found, stream) = self.of_id(id, Permission::Write).await?;
        let application = &self.application.metadata.name;
        self.octave.registry.delete_stream(application, &stream.id).await?;
        self.ids.forget(found.id);
        audit!("stream.removed", by = %Shown(&self.caller), application = application, stream = stream.id);
        Ok(answer::answer(&json!({}), &[]))
    }

    /// The stream with this id, if the caller may do this with it.
    pub(super) async fn of_id(&self, id: &str, permission: Permission) -> Result<(Found, Stream), Problem> {
        let wrong = || Problem::bad("the id of a stream is `s` and 24 hexadecimal digits in lower case");
        let parsed = StreamId::parse(id).ok_or_else(wrong)?;
        let application = &self.application.metadata.name;
        let stream = self.octave.registry.stream(application, &parsed.to_string()).await?;
        let stream = stream.ok_or_else(|| Problem::new(404, format!("no stream with id {id}")))?;
        let found = learn(self.company(), stream.clone());
        self.demand(permission, &found.name)?;
        Ok((found, stream))
    }

    /// A stream as it is shown.
    fn shown(&self, stream: Stream) -> Value {
        let (created, creator) = (stream.created.as_millisecond(), stream.creator.clone());
        let id = stream.id.clone();
        let (description, capacity) = (stream.description.clone(), stream.capacity);
        let name = StreamName {
            device: stream.device.map(Into::into),
            channel: stream.channel.into(),
        };
        let creator = if creator.is_empty() {
            id::DEVICES.to_owned()
        } else {
            id::identity(&creator)
        };
        json!({
            "id": id,
            "path": format!("/{}{name}", self.name),
            "description": description,
            "capacity": capacity,
            "filter": null,
            "creationDate": created,
            "creatorId": creator,
            "lastEditDate": created,
            "lastEditorId": creator,
        })
    }
}
