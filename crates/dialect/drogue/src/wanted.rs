//! Which events a request wants, from where, up to when, and how they are to look (compat/drogue.md, decision 9).

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use sockeye_event::time;
use sockeye_filter::{Fields, Filter, FilterError, Shape};
use sockeye_limits as limits;
use sockeye_log::{Cursor, Position};

use crate::refusal::Refusal;
use crate::request::Query;

/// What the query asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Only events that originated in this device.
    pub(crate) device: Option<Arc<str>>,
    /// Only events of this type.
    pub(crate) ty: Option<Arc<str>>,
    /// Only events that pass this.
    pub(crate) filter: Option<Arc<Filter>>,
    /// What of their payloads is sent, if not all of it.
    pub(crate) fields: Option<Fields>,
    /// Where reading starts.
    pub(crate) from: From,
    /// Only events that were appended before this time.
    pub(crate) until: Option<Timestamp>,
    /// Each event carries its cursor.
    pub(crate) cursor: bool,
}

/// Where reading starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// What is appended from now on.
    Now,
    /// The oldest event that is still there.
    Earliest,
    /// The first event that was appended at this time or later; the oldest if that is younger.
    Time(Timestamp),
    /// Here: a cursor.
    Position(Position),
}

// ----------------------------------------------------------------------------------------------

/// How a time is written, for people.
const TIME: &str = "a time as RFC 3339, such as 2026-01-31T12:00:00Z";

impl Wanted {
    /// Reads the parameters of a request for this application.
    pub(crate) fn of(query: &Query<'_>, application: &str) -> Result<Self, Refusal> {
        let wanted = Self {
            device: text(query, "device", limits::DEVICE_NAME)?,
            ty: text(query, "type", limits::ATTRIBUTE_VALUE)?,
            // An empty one is as none (compat/dojot.md 3.2).
            filter: language(query, "where", |text| Filter::parse(text, Shape::Event))?.map(Arc::new),
            fields: language(query, "fields", Fields::parse)?,
            from: match query.value("from")? {
                None => From::Now,
                Some(text) => From::of(text, application)?,
            },
            until: query.value("until")?.map(until).transpose()?,
            cursor: match query.value("cursor")? {
                None | Some("false") => false,
                Some("true") => true,
                Some(_) => return Err(Refusal::wrong("cursor", "is neither `true` nor `false`")),
            },
        };
        wanted.check_order()?;
        Ok(wanted)
    }

    /// A time that is over before the stream begins is a mistake. Where a cursor is, is not known here: a client that comes
    /// back with it may have seen everything already.
    fn check_order(&self) -> Result<(), Refusal> {
        let Some(until) = self.until else { return Ok(()) };
        match self.from {
            From::Time(from) if until < from => Err(Refusal::wrong("until", "is before `from`")),
            From::Now if until < Timestamp::now() => Err(Refusal::wrong(
                "until",
                "is in the past, and without `from` the stream begins now: give `from` too",
            )),
            _ => Ok(()),
        }
    }
}

impl From {
    fn of(text: &str, application: &str) -> Result<Self, Refusal> {
        if text == "earliest" {
            return Ok(Self::Earliest);
        }
        if let Some(time) = parse_time(text) {
            return Ok(Self::Time(time));
        }
        match Cursor::decode(text) {
            Ok((of, position)) if of == application => Ok(Self::Position(position)),
            Ok((of, _)) => Err(Refusal::wrong(
                "from",
                &format!("is a cursor of the application `{of}`, not of `{application}`"),
            )),
            Err(error) => Err(Refusal::wrong(
                "from",
                &format!("is neither `earliest` nor {TIME}, nor a cursor: {error}"),
            )),
        }
    }
}

/// A text that is not empty, of at most this many bytes.
fn text(query: &Query<'_>, name: &'static str, most: usize) -> Result<Option<Arc<str>>, Refusal> {
    match query.value(name)? {
        Some("") => Err(Refusal::wrong(name, "is empty: leave it out to get all")),
        Some(text) if text.len() > most => Err(Refusal::wrong(name, &format!("is longer than {most} bytes"))),
        text => Ok(text.map(Into::into)),
    }
}

/// A text in the language of compat/dojot.md.
fn language<T>(
    query: &Query<'_>,
    name: &'static str,
    parse: impl FnOnce(&str) -> Result<T, FilterError>,
) -> Result<Option<T>, Refusal> {
    let text = query.value(name)?.filter(|text| !text.is_empty());
    let parsed = text.map(|text| parse(text).map_err(|error| Refusal::wrong(name, &format!("is wrong: {error}"))));
    parsed.transpose()
}

fn until(text: &str) -> Result<Timestamp, Refusal> {
    parse_time(text).ok_or_else(|| Refusal::wrong("until", &format!("is not {TIME}")))
}

/// A time, also one whose `+` before the offset was not percent-encoded and thus became a space.
fn parse_time(text: &str) -> Option<Timestamp> {
    let text = match text.rfind(' ') {
        Some(at) if at > 10 => Cow::Owned(format!("{}+{}", &text[..at], &text[at + 1..])),
        _ => Cow::Borrowed(text),
    };
    time::parse(&text)
}

#[cfg(test)]
mod tests {
    use sockeye_log::Incarnation;

    use super::*;

    fn wanted() -> Wanted {
        Wanted {
            device: None,
            ty: None,
            filter: None,
            fields: None,
            from: From::Now,
            until: None,
            cursor: false,
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn position() -> Position {
        Position::new(Incarnation(7), [(0, 5)])
    }

    fn check(query: &str, expected: Wanted) {
        assert_eq!(Wanted::of(&Query::of(Some(query)), "app"), Ok(expected), "{query}");
    }

    #[test]
    fn what_can_be_asked_for() {
        check("", wanted());
        check("other=1&x=2&x=3&cursor=false", wanted());
        let all = Wanted {
            device: Some("a/b".into()),
            ty: Some("io.drogue.event.v1".into()),
            filter: Some(Arc::new(Filter::parse("t=gt:5;s=in:a,b c;", Shape::Event).unwrap())),
            fields: Some("a(b,c)".parse().unwrap()),
            from: From::Earliest,
            until: Some(at("2026-01-01T00:00:00.5Z")),
            cursor: true,
        };
        let query = "device=a%2Fb&type=io.drogue.event.v1&from=earliest&until=2026-01-01T00:00:00.5Z&cursor=true";
        // As clients of dojot send it: not encoded.
        check(&format!("{query}&where=t=gt:5;s=in:a,b+c;&fields=a(b,c)"), all.clone());
        check(
            &format!("{query}&fields=a%2Fb%2Ca%2Fc&where=t%3Dgt%3A5%3Bs%3Din%3Aa%2Cb%20c"),
            all,
        );
        check("where=&fields=", wanted());
        let from = |from| Wanted { from, ..wanted() };
        let hour = From::Time(at("2026-01-01T10:00:00Z"));
        for time in [
            "2026-01-01T10:00:00Z",
            "2026-01-01T12:00:00%2B02:00",
            "2026-01-01T12:00:00+02:00",
            "2026-01-01+12:00:00+02:00",
            "2026-01-01t08:00:00-02:00",
        ] {
            check(&format!("from={time}"), from(hour.clone()));
        }
        let cursor = Cursor::encode("app", &position());
        check(&format!("from={cursor}"), from(From::Position(position())));
        // An empty stretch is none that is wrong.
        let both = Wanted {
            until: Some(at("2026-01-01T10:00:00Z")),
            ..from(hour)
        };
        check("until=2026-01-01T10:00:00Z&from=2026-01-01T10:00:00Z", both);
        let seen = Wanted {
            until: Some(at("2000-01-01T10:00:00Z")),
            ..from(From::Position(position()))
        };
        check(&format!("until=2000-01-01T10:00:00Z&from={cursor}"), seen);
    }

    fn check_refused(query: &str, part: &str) {
        let refusal = Wanted::of(&Query::of(Some(query)), "app").unwrap_err();
        assert_eq!(refusal.status().as_u16(), 400, "{query}");
        assert!(refusal.to_string().contains(part), "{query}: {refusal}");
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_allowed() {
        let allowed =
            "is neither `earliest` nor a time as RFC 3339, such as 2026-01-31T12:00:00Z, nor a cursor: mistyped";
        for from in [
            "",
            "latest",
            "Earliest",
            "2026-01-01",
            "1767225600",
            "2026-01-01T10:00:00",
            "a%20b",
        ] {
            check_refused(&format!("from={from}"), allowed);
        }
        let cursor = Cursor::encode("app", &position());
        check_refused(&format!("from={}", &cursor[1..]), "cut off");
        let other = Cursor::encode("other", &position());
        check_refused(
            &format!("from={other}"),
            "`from` is a cursor of the application `other`, not of `app`",
        );
        check_refused("until=earliest", "`until` is not a time as RFC 3339");
        check_refused("until=", "`until` is not a time");
        check_refused("until=2026-01-01T10:00:00Z", "`until` is in the past");
        check_refused(
            "from=2026-01-01T10:00:00Z&until=2026-01-01T09:59:59Z",
            "`until` is before `from`",
        );
        for cursor in ["", "1", "True", "yes"] {
            check_refused(&format!("cursor={cursor}"), "`cursor` is neither `true` nor `false`");
        }
        check_refused("device=", "`device` is empty");
        check_refused("type=", "`type` is empty");
        check_refused(
            &format!("device={}", "a".repeat(256)),
            "`device` is longer than 255 bytes",
        );
        check_refused(
            "where=t=foo:5;",
            "`where` is wrong: INVALID_OPERATOR: 'foo' at 2, expected one of eq neq",
        );
        check_refused(
            "fields=a,,b",
            "`fields` is wrong: INVALID_SYNTAX: ',' at 2, expected a name",
        );
        check_refused("type=%ff", "`type` is not UTF-8");
        for name in ["device", "type", "where", "fields", "from", "until", "cursor"] {
            check_refused(
                &format!("{name}=x&{name}=x"),
                &format!("`{name}` is given more than once"),
            );
        }
    }
}
