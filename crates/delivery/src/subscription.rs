//! What a client wants to see of a log.

use std::sync::Arc;

use bytestring::ByteString;
use jiff::Timestamp;
use sockeye_event::Event;
use sockeye_filter::Filter;
use sockeye_log::{GroupId, Position, Topic};

use crate::document::Document;
use crate::seen::Seen;

/// One subscription of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(u32);

/// A topic, what of it, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The log that is read.
    pub topic: Topic,
    /// Which of its events are wanted. Connections that are alike in this share a lane.
    pub selection: Selection,
    /// Where reading starts. For a live subscription this is the end, taken before the client heard that it is connected.
    pub start: Position,
    /// The end of the topic, taken at that time: who reads the past alone must not hold up those who are live.
    pub end: Position,
    /// Whether the start is where the log begins, or a time, and not a place that the client has: what retention removes before
    /// reading begins is not missed.
    pub what_is_left: bool,
    /// Only events that were appended before this time; then the connection ends.
    pub until: Option<Timestamp>,
}

/// Which events of a topic are wanted: those that fulfil every part; empty: all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Selection {
    /// Only events of this channel, compared byte by byte (compat/drogue.md 1.1).
    pub channel: Option<Arc<str>>,
    /// Only events that originated in this device.
    pub device: Option<Arc<str>>,
    /// Only events of this type.
    pub ty: Option<Arc<str>>,
    /// Only events that pass this (compat/drogue.md, decision 9). One that demands nothing is left out.
    pub filter: Option<Arc<Filter>>,
    /// What the filter is about, if that is not the event itself.
    pub document: Option<Box<Document>>,
}

/// What selections are looked for by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Field {
    /// The device and the channel together.
    Stream,
    Device,
    Channel,
    Type,
}

/// The value of a field that an event has, or must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Equality<'a> {
    pub(crate) field: Field,
    value: &'a str,
    /// The channel, of a stream.
    more: &'a str,
}

// ----------------------------------------------------------------------------------------------

impl SubscriptionId {
    /// That with which a connection begins, if it begins with one.
    pub const FIRST: Self = Self(0);

    pub(crate) fn next(self) -> Self {
        // More than a connection lives to see.
        Self(self.0.wrapping_add(1))
    }
}

impl Selection {
    /// Whether the event is wanted.
    pub fn wants(&self, event: &Event) -> bool {
        self.wants_seen(&Seen::new(event))
    }

    pub(crate) fn wants_seen(&self, seen: &Seen<'_>) -> bool {
        let is = |wanted: &Option<Arc<str>>, found: Option<&ByteString>| {
            wanted.is_none() || wanted.as_deref() == found.map(|found| &**found)
        };
        is(&self.channel, seen.event.channel())
            && is(&self.device, seen.event.device())
            && self.ty.as_deref().is_none_or(|ty| *ty == *seen.event.ty)
            && self
                .filter
                .as_ref()
                .is_none_or(|filter| seen.passes(filter, self.document.as_deref().copied()))
    }

    /// The selection as a part of a group's identity (DESIGN.md, words); empty for all events.
    pub fn canonical(&self) -> String {
        let filter = self.filter.as_ref().map(ToString::to_string);
        let parts = [
            ("channel", self.channel.as_deref()),
            ("device", self.device.as_deref()),
            ("type", self.ty.as_deref()),
            ("where", filter.as_deref()),
            ("document", self.document.as_deref().map(Document::name)),
        ];
        GroupId::selection_of(parts.into_iter().filter_map(|(name, value)| Some((name, value?))))
    }

    /// The equality that rules out most events, if there is one.
    pub(crate) fn equality(&self) -> Option<Equality<'_>> {
        match (&self.device, &self.channel) {
            (Some(device), Some(channel)) => Some(Equality::of_stream(device, channel)),
            (Some(device), None) => Some(Equality::of(Field::Device, device)),
            (None, Some(channel)) => Some(Equality::of(Field::Channel, channel)),
            // Most events are of one type: a filter rules out more.
            (None, None) if self.filter.is_some() => None,
            (None, None) => self.ty.as_deref().map(|ty| Equality::of(Field::Type, ty)),
        }
    }
}

impl Field {
    pub(crate) const ALL: [Self; 4] = [Self::Stream, Self::Device, Self::Channel, Self::Type];

    /// Its value in an event.
    pub(crate) fn of(self, event: &Event) -> Option<Equality<'_>> {
        Some(match self {
            Self::Stream => Equality::of_stream(event.device()?, event.channel()?),
            Self::Device => Equality::of(self, event.device()?),
            Self::Channel => Equality::of(self, event.channel()?),
            Self::Type => Equality::of(self, &event.ty),
        })
    }
}

impl<'a> Equality<'a> {
    fn of(field: Field, value: &'a str) -> Self {
        Self { field, value, more: "" }
    }

    fn of_stream(device: &'a str, channel: &'a str) -> Self {
        Self {
            field: Field::Stream,
            value: device,
            more: channel,
        }
    }
}

#[cfg(test)]
mod tests {
    use sockeye_event::event::TYPE_EVENT;

    use super::*;

    fn check(channel: Option<&str>, subject: Option<&str>, wanted: bool) {
        let event = Event {
            id: "1".into(),
            source: "x".into(),
            ty: TYPE_EVENT.into(),
            data_content_type: None,
            data_schema: None,
            subject: subject.map(ByteString::from),
            time: None,
            extensions: Vec::new(),
            data: None,
        };
        let selection = Selection {
            channel: channel.map(Into::into),
            ..Selection::default()
        };
        assert_eq!(selection.wants(&event), wanted, "{channel:?} {subject:?}");
    }

    #[test]
    fn the_canonical_form_has_every_part() {
        assert_eq!(Selection::default().canonical(), "");
        let selection = Selection {
            channel: Some("a/b&c".into()),
            device: Some("d".into()),
            ty: Some(TYPE_EVENT.into()),
            filter: Some(Arc::new("t=eq:5".parse().unwrap())),
            document: None,
        };
        let canonical = "channel=a/b%26c&device=d&type=io.drogue.event.v1&where=t=5;";
        assert_eq!(selection.canonical(), canonical);
    }

    #[test]
    fn a_channel_is_the_whole_subject() {
        check(None, None, true);
        check(None, Some("a"), true);
        check(Some("a"), Some("a"), true);
        check(Some("a/b"), Some("a/b"), true);
        check(Some("a"), None, false);
        check(Some("a"), Some("a/b"), false);
        check(Some("a"), Some("A"), false);
        check(Some(""), Some(""), true);
        check(Some(""), None, false);
    }
}
