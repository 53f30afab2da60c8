//! `GET /event`: the events of a stream, newest first (compat/octave.md 7).
//!
//! The log knows times, not streams: it is read backwards in stretches, each eight times as long as the one before, until enough
//! was found. So a read costs what was appended since the oldest event that it shows.

use std::time::Duration;

use axum::response::Response;
use bytes::BytesMut;
use jiff::Timestamp;
use serde_json::value::RawValue;
use sockeye_access::Permission;
use sockeye_delivery::{Place, Selection};
use sockeye_event::{Event, binary};
use sockeye_filter::{Fields, Scratch};
use sockeye_limits as limits;
use sockeye_log::{Position, ReadLimit, Topic};

use super::call::Call;
use super::post::written;
use crate::answer;
use crate::event::Shown;
use crate::name::StreamName;
use crate::pattern::Wish;
use crate::request::Problem;

/// An event of the stream.
struct Read {
    place: Place,
    event: Event,
}

// ----------------------------------------------------------------------------------------------

/// The first stretch, and how much longer each next one is.
const STRETCH: Duration = Duration::from_secs(15);
const LONGER: u32 = 8;
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
        let (mut events, is_all, incarnation) = self.newest(&topic, &selection, most).await?;
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

    /// The newest events that are wanted, newest first; and whether there was no need to stop before.
    async fn newest(
        &self,
        topic: &Topic,
        wanted: &Selection,
        most: usize,
    ) -> Result<(Vec<Read>, bool, sockeye_log::Incarnation), Problem> {
        let span = self.octave.span(topic).await?;
        let incarnation = span.end.incarnation();
        let (mut found, mut scanned) = (Vec::new(), 0);
        let (mut stop, mut stretch) = (span.end.clone(), STRETCH);
        let now = Timestamp::now();
        while found.len() < most {
            let since = now.checked_sub(stretch).unwrap_or(Timestamp::MIN);
            let from = self.octave.log.position_at(topic, since).await?;
            // Retention may remove what is read.
            let from = if from.is_at_or_behind(&span.oldest) {
                from
            } else {
                span.oldest.clone()
            };
            let mut part = self.stretch(topic, &from, &stop, wanted, &mut scanned).await?;
            part.sort_by_key(|read| std::cmp::Reverse((read.place.time, read.place.partition, read.place.offset)));
            found.append(&mut part);
            if span.oldest.is_at_or_behind(&from) {
                break;
            }
            if scanned > limits::OCTAVE_SCAN {
                found.truncate(most);
                let is_all = found.len() >= most;
                return Ok((found, is_all, incarnation));
            }
            stop = from;
            stretch = stretch.saturating_mul(LONGER);
        }
        found.truncate(most);
        Ok((found, true, incarnation))
    }

    /// What is wanted between two positions, oldest first.
    async fn stretch(
        &self,
        topic: &Topic,
        from: &Position,
        stop: &Position,
        wanted: &Selection,
        scanned: &mut usize,
    ) -> Result<Vec<Read>, Problem> {
        let (mut found, mut from) = (Vec::new(), from.clone());
        while !from.is_at_or_behind(stop) {
            let batch = self.octave.log.read(topic, &from, ReadLimit::default()).await?;
            for record in &batch.records {
                *scanned += record.size();
                if record.offset >= stop.offset(record.partition) {
                    continue;
                }
                let Ok(event) = binary::decode(&record.headers, record.payload.as_ref()) else {
                    continue;
                };
                if wanted.wants(&event) {
                    found.push(Read {
                        place: Place {
                            partition: record.partition,
                            offset: record.offset,
                            time: record.time,
                        },
                        event: event.detached(),
                    });
                }
            }
            if batch.records.is_empty() && batch.next == from {
                break;
            }
            from = batch.next;
        }
        Ok(found)
    }
}
