//! `GET /event`: the events of a stream, newest first (compat/octave.md 7).

use axum::response::Response;
use bytes::BytesMut;
use serde_json::value::RawValue;
use sockeye_access::Permission;
use sockeye_filter::{Fields, Scratch};
use sockeye_log::Topic;

use super::call::Call;
use super::post::written;
use crate::answer;
use crate::event::Shown;
use crate::name::StreamName;
use crate::pattern::Wish;
use crate::request::Problem;

// ----------------------------------------------------------------------------------------------

/// What is told of a read that has looked at too much.
const NOT_ALL: &str = "older events were not looked for: too much was appended since";

impl Call<'_> {
    /// Reads the stream with this id, or the one that `path` names.
    pub(super) async fn read(&self, id: Option<&str>) -> Result<Response, Problem> {
        let part = self.part()?;
        let by_generated = match self.parameter("sort") {
            None | Some("creationDate") => false,
            Some("generatedDate") => true,
            Some(_) => return Err(Problem::bad("`sort` must be `creationDate` or `generatedDate`")),
        };
        let only = self.parameter("only").map(|only| {
            let fields: Result<Fields, _> = only.replace('.', "/").parse();
            fields.map_err(|_| Problem::bad("`only` must be names of fields with commas between them"))
        });
        let only = only.transpose()?;
        let found = if let Some(id) = id {
            self.of_id(id, Permission::Read).await?.0
        } else {
            let missing = || Problem::bad("`path` is missing: it says which stream");
            let path = self.parameter("path").ok_or_else(missing)?;
            let name = StreamName::parse(self.company().below(path, "path")?)?;
            self.demand(Permission::Read, &name)?;
            let found = self.octave.stream_of(self.company(), name).await?;
            if !found.is_noted {
                self.note(&found).await?;
            }
            found
        };
        let capacity = found.capacity as usize;
        let all = part.ascending || by_generated;
        let most = if all {
            capacity
        } else {
            capacity.min(part.start.saturating_add(part.limit))
        };
        let topic = Topic::events_of(self.application.metadata.name.as_str());
        let selection = Wish::of(&found.name, None)?.selection;
        let span = self.octave.span(&topic).await?;
        let places = self.octave.places(&self.application);
        let log = (&*self.octave.log, &topic, &span);
        let newest = places.newest(log, (&found.name, &selection), most).await?;
        tracing::debug!(looked_at = newest.looked_at, "a stream was read");
        let (mut events, is_all, incarnation) = (newest.events, newest.is_all, span.end.incarnation());
        if by_generated {
            events.sort_by_key(|read| std::cmp::Reverse(read.event.time));
        }
        if part.ascending {
            events.reverse();
        }
        let shown = events.iter().skip(part.start).take(part.limit).map(|read| {
            let shown = Shown {
                event: &read.event,
                place: read.place,
                incarnation,
                stream: found.id,
                company: &self.name,
            };
            let text = written(&shown);
            let text = match &only {
                None => text,
                Some(only) => {
                    let mut out = BytesMut::new();
                    if !only.project(text.as_bytes(), &mut Scratch::default(), &mut out) {
                        out.extend_from_slice(b"{}");
                    }
                    String::from_utf8(out.to_vec()).expect("a part of JSON is text")
                }
            };
            RawValue::from_string(text).expect("what was written is JSON")
        });
        let shown: Vec<Box<RawValue>> = shown.collect();
        Ok(answer::answer(&shown, if is_all { &[] } else { &[NOT_ALL] }))
    }
}
