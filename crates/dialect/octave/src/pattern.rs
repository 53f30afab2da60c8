//! Many paths at once, in the wildcards of MQTT (section 9, decision 5): `+` is a segment, `#` at the end is all that follows.

use std::sync::{Arc, LazyLock};

use sockeye_delivery::Selection;
use sockeye_event::event::TYPE_EVENT;
use sockeye_filter::{Filter, Shape};

use crate::name::{DEVICES, StreamName, segment};
use crate::request::Problem;

/// What is wanted of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) selection: Selection,
    /// All paths are below this one, or are it.
    pub(crate) below: String,
}

// ----------------------------------------------------------------------------------------------

impl Wish {
    /// The events of one stream.
    pub(crate) fn of(name: &StreamName, filter: Option<&str>) -> Result<Self, Problem> {
        let mut conditions = Vec::new();
        if name.device.is_none() {
            conditions.push("ce.device=has:false".to_owned());
        }
        let selection = Selection {
            channel: Some((*name.channel).into()),
            device: name.device.as_deref().map(Into::into),
            ..selection(conditions, filter)?
        };
        Ok(Self {
            selection,
            below: name.to_string(),
        })
    }

    /// The events of all streams with such a path, behind the company.
    pub(crate) fn matching(pattern: &str, filter: Option<&str>) -> Result<Self, Problem> {
        let wrong = |text: &str| Problem::bad(format!("`pathPattern` {text}"));
        let mut segments: Vec<&str> = match pattern.strip_prefix('/') {
            Some(rest) => rest.split('/').collect(),
            None => {
                return Err(wrong(
                    "must be /{company}/ and more, such as /{company}/devices/+/temperature",
                ));
            }
        };
        let is_open = segments.last() == Some(&"#");
        if is_open {
            segments.pop();
        }
        if segments
            .iter()
            .any(|part| part.is_empty() || (part.len() > 1 && part.contains(['+', '#'])) || *part == "#")
        {
            return Err(wrong(
                "has a segment that is empty, or a `+` or `#` that is not a segment of its own",
            ));
        }
        let literal: Vec<&str> = segments.iter().copied().take_while(|part| *part != "+").collect();
        let below = literal.iter().fold(String::new(), |below, part| below + "/" + part);
        let decoded = |part: &str| {
            percent_encoding::percent_decode_str(part)
                .decode_utf8()
                .map(String::from)
        };
        let mut selection = Selection::default();
        let mut conditions = Vec::new();
        let channel = match segments.as_slice() {
            [] => &[][..],
            ["+", ..] => {
                return Err(wrong(
                    "must name what is behind the company, such as `devices`, or have `#` there",
                ));
            }
            [DEVICES] if is_open => {
                conditions.push("ce.device=has:true".to_owned());
                &[]
            }
            [DEVICES, device, channel @ ..] if is_open || !channel.is_empty() => {
                if *device == "+" {
                    conditions.push("ce.device=has:true".to_owned());
                } else {
                    let device = decoded(device).map_err(|_| wrong("is not UTF-8 after percent-decoding"))?;
                    selection.device = Some(device.into());
                }
                channel
            }
            all => {
                conditions.push("ce.device=has:false".to_owned());
                all
            }
        };
        let mut expression = String::new();
        for (at, part) in channel.iter().enumerate() {
            if at > 0 {
                expression.push('/');
            }
            if *part == "+" {
                expression.push_str("[^/]+");
            } else {
                let part = decoded(part).map_err(|_| wrong("is not UTF-8 after percent-decoding"))?;
                expression.push_str(&literally(&part));
            }
        }
        if is_open && !channel.is_empty() {
            expression.push_str("(/.*)?");
        }
        if !channel.is_empty() {
            conditions.push(format!("ce.subject=re:{}", quoted(&format!("(?s)^{expression}$"))));
        }
        let all = self::selection(conditions, filter)?;
        selection.ty = all.ty;
        selection.filter = all.filter;
        Ok(Self { selection, below })
    }
}

/// The type of device events, once for all.
static EVENT: LazyLock<Arc<str>> = LazyLock::new(|| TYPE_EVENT.into());

/// Events that pass all of this.
fn selection(mut conditions: Vec<String>, filter: Option<&str>) -> Result<Selection, Problem> {
    if let Some(filter) = filter {
        // By itself, so that an error tells the place in what the client wrote.
        Filter::parse(filter, Shape::Event).map_err(|error| Problem::bad(format!("`where` is wrong: {error}")))?;
        conditions.push(filter.to_owned());
    }
    let filter = if conditions.is_empty() {
        None
    } else {
        let all = Filter::parse(&conditions.join(";"), Shape::Event);
        Some(all.map_err(|error| Problem::bad(format!("`pathPattern` or `where` is too much: {error}")))?)
    };
    Ok(Selection {
        ty: Some(Arc::clone(&EVENT)),
        filter: filter.filter(|filter| !filter.is_empty()).map(Into::into),
        ..Selection::default()
    })
}

/// A text as a regular expression that matches it.
fn literally(text: &str) -> String {
    let mut expression = String::new();
    for character in text.chars() {
        if character.is_ascii_punctuation() && character != '_' && character != '/' {
            expression.push('\\');
        }
        expression.push(character);
    }
    expression
}

/// A text as a value of the language of filters.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A pattern in the form in which paths are compared.
pub(crate) fn canonical(pattern: &str) -> String {
    let mut text = String::new();
    for part in pattern.split('/').skip(1) {
        text.push('/');
        match (part, percent_encoding::percent_decode_str(part).decode_utf8()) {
            ("+" | "#", _) | (_, Err(_)) => text.push_str(part),
            (_, Ok(part)) => drop(segment(&part, &mut text)),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use sockeye_event::Event;

    use super::*;

    fn event(device: Option<&str>, channel: &str) -> Event {
        Event {
            id: "1".into(),
            source: "s".into(),
            ty: TYPE_EVENT.into(),
            data_content_type: Some("application/json".into()),
            data_schema: None,
            subject: Some(channel.into()),
            time: None,
            extensions: device
                .map(|device| ("device".into(), device.into()))
                .into_iter()
                .collect(),
            data: Some("{\"t\":5}".into()),
        }
    }

    /// Events by their paths: device, channel.
    const EVENTS: [(Option<&str>, &str); 8] = [
        (Some("d"), "temp"),
        (Some("d"), "a/b"),
        (Some("d"), "a/b/c"),
        (Some("e.1"), "temp"),
        (Some("x/y"), "temp"),
        (None, "temp"),
        (None, "a/b"),
        (Some("d"), "a+b"),
    ];

    fn check(pattern: &str, below: &str, expected: &[usize]) {
        let wish = Wish::matching(pattern, None).unwrap();
        let found: Vec<_> = (0..EVENTS.len())
            .filter(|at| wish.selection.wants(&event(EVENTS[*at].0, EVENTS[*at].1)))
            .collect();
        assert_eq!((found.as_slice(), wish.below.as_str()), (expected, below), "{pattern}");
    }

    #[test]
    fn wildcards_are_those_of_mqtt() {
        check("/#", "", &[0, 1, 2, 3, 4, 5, 6, 7]);
        check("/devices/#", "/devices", &[0, 1, 2, 3, 4, 7]);
        check("/devices/+/temp", "/devices", &[0, 3, 4]);
        check("/devices/d/#", "/devices/d", &[0, 1, 2, 7]);
        check("/devices/d/+", "/devices/d", &[0, 7]);
        check("/devices/d/a/+", "/devices/d/a", &[1]);
        check("/devices/+/a/#", "/devices", &[1, 2]);
        check("/devices/+/a/b", "/devices", &[1]);
        check("/devices/x%2Fy/+", "/devices/x%2Fy", &[4]);
        check("/devices/d/a%2Bb", "/devices/d/a%2Bb", &[7]);
        check("/temp", "/temp", &[5]);
        check("/a/+", "/a", &[6]);
        check("/a/#", "/a", &[6]);
    }

    #[test]
    fn a_stream_has_its_own_events() {
        for (device, channel) in EVENTS {
            let name = StreamName {
                device: device.map(Into::into),
                channel: channel.into(),
            };
            let wish = Wish::of(&name, None).unwrap();
            let wanted = EVENTS
                .iter()
                .filter(|(device, channel)| wish.selection.wants(&event(*device, channel)));
            assert_eq!(wanted.collect::<Vec<_>>(), [&(device, channel)]);
        }
        let mut other = event(Some("d"), "temp");
        other.ty = "io.drogue.connection.v1".into();
        assert!(!Wish::matching("/#", None).unwrap().selection.wants(&other));
    }

    #[test]
    fn conditions_come_on_top() {
        for (filter, passes) in [("t=5", true), ("t=gt:5", false), ("t=5;ce.device=is:d;", true)] {
            let wish = Wish::matching("/devices/+/temp", Some(filter)).unwrap();
            assert_eq!(wish.selection.wants(&event(Some("d"), "temp")), passes, "{filter}");
        }
        let problem = Wish::matching("/#", Some("t=foo:5")).unwrap_err();
        assert!(problem.text.starts_with("`where` is wrong: "), "{problem:?}");
    }

    #[test]
    fn what_is_no_pattern() {
        for pattern in [
            "",
            "x",
            "/",
            "/+/x",
            "/a/#/b",
            "/a/b+",
            "/a//b",
            "/a/b#",
            "/devices/%ff/x",
        ] {
            let problem = Wish::matching(pattern, None).unwrap_err();
            assert!(problem.text.starts_with("`pathPattern` "), "{pattern}: {problem:?}");
        }
        assert_eq!(canonical("/devices/ü/+/%61/#"), "/devices/%C3%BC/+/a/#");
    }
}
