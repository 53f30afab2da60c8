//! What a client says, read without I/O (compat/octave.md 4).

use std::collections::HashMap;

use serde_json::value::RawValue;
use sockeye_limits as limits;

use crate::id::StreamId;

/// One frame of a client.
#[derive(Debug)]
pub(crate) struct Request {
    /// The JSON of its `msgId`, to be given back as it came; `null` if there is none.
    pub(crate) message: String,
    /// What is wanted, or what is wrong with it.
    pub(crate) wanted: Result<Wanted, Problem>,
}

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Subscribe(Target, Options),
    Unsubscribe(Target),
    /// Nothing: it is alive. Answered only if it has a `msgId`.
    Heartbeat {
        answer: bool,
    },
}

/// What is subscribed to; at least one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) id: Option<StreamId>,
    pub(crate) path: Option<String>,
    /// Many paths (section 9, decision 5).
    pub(crate) pattern: Option<String>,
}

/// What of it, and from where (section 9, decision 5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) filter: Option<String>,
    pub(crate) fields: Option<String>,
    /// Milliseconds since 1970.
    pub(crate) since: Option<i64>,
    /// The id of an event.
    pub(crate) after: Option<String>,
    /// The group that shares the events.
    pub(crate) group: Option<String>,
}

/// Why something is not done: a status, and a sentence that helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: u16,
    pub(crate) text: String,
}

/// A frame that is no JSON object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable(pub(crate) Problem);

// ----------------------------------------------------------------------------------------------

impl Problem {
    pub(crate) fn new(status: u16, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }

    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self::new(400, text)
    }
}

impl Request {
    /// Reads a frame. Keys come in any order, those that are not known are passed over; of one that is there twice the last counts.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let unreadable = |what: &str| Unreadable(Problem::bad(format!("the message must be a JSON object: {what}")));
        let text = std::str::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8"))?;
        let members: HashMap<String, &RawValue> =
            serde_json::from_str(text).map_err(|error| unreadable(&error.to_string()))?;
        let message = members.get("msgId").map(|raw| raw.get());
        let (message, wrong) = match message {
            None => ("null", None),
            Some(id) if id.len() > limits::OCTAVE_MESSAGE_ID => (
                "null",
                Some(format!("`msgId` is longer than {} bytes", limits::OCTAVE_MESSAGE_ID)),
            ),
            Some(id) if id.starts_with(['{', '[']) => ("null", Some("`msgId` must be a string or a number".to_owned())),
            Some(id) => (id, None),
        };
        let wanted = match wrong {
            Some(wrong) => Err(Problem::bad(wrong)),
            None => Members(&members).wanted(),
        };
        Ok(Self {
            message: message.to_owned(),
            wanted,
        })
    }
}

struct Members<'a, 'b>(&'a HashMap<String, &'b RawValue>);

impl Members<'_, '_> {
    fn wanted(&self) -> Result<Wanted, Problem> {
        let kind = self.text("type")?;
        if kind.as_deref() == Some("heartbeat") {
            let answer = self.0.contains_key("msgId");
            return Ok(Wanted::Heartbeat { answer });
        }
        match self.text("object")?.as_deref() {
            Some("event") => {}
            Some(_) => return Err(Problem::bad("`object` must be \"event\": nothing else is served")),
            None => return Err(Problem::bad("`object` is missing: it must be \"event\"")),
        }
        match kind.as_deref() {
            Some("subscribe") => Ok(Wanted::Subscribe(self.target()?, self.options()?)),
            Some("unsubscribe") => Ok(Wanted::Unsubscribe(self.target()?)),
            Some(_) => Err(Problem::bad(
                "`type` must be \"subscribe\", \"unsubscribe\" or \"heartbeat\"",
            )),
            None => Err(Problem::bad(
                "`type` is missing: it must be \"subscribe\" or \"unsubscribe\"",
            )),
        }
    }

    fn target(&self) -> Result<Target, Problem> {
        let id = self.text("streamId")?.map(|text| {
            let wrong = || Problem::bad("`streamId` must be `s` and 24 hexadecimal digits in lower case");
            StreamId::parse(&text).ok_or_else(wrong)
        });
        let target = Target {
            id: id.transpose()?,
            path: self.text("path")?,
            pattern: self.text("pathPattern")?,
        };
        match &target {
            Target {
                id: None,
                path: None,
                pattern: None,
            } => Err(Problem::bad(
                "`streamId` or `path` is missing: one of them says which stream",
            )),
            Target {
                id,
                path,
                pattern: Some(_),
                ..
            } if id.is_some() || path.is_some() => Err(Problem::bad(
                "`pathPattern` stands alone: leave out `streamId` and `path`",
            )),
            _ => Ok(target),
        }
    }

    fn options(&self) -> Result<Options, Problem> {
        if self.is_there("filter") {
            return Err(Problem::bad("`filter` is not served: use `where`"));
        }
        let options = Options {
            filter: self.text("where")?.filter(|text| !text.is_empty()),
            fields: self.text("fields")?.filter(|text| !text.is_empty()),
            since: match self.value("since") {
                None => None,
                Some(raw) => {
                    let wrong = |_| Problem::bad("`since` must be a number: milliseconds since 1970");
                    Some(serde_json::from_str(raw).map_err(wrong)?)
                }
            },
            after: self.text("after")?,
            group: self.group()?,
        };
        if options.since.is_some() && options.after.is_some() {
            return Err(Problem::bad("`since` and `after` exclude each other"));
        }
        if options.group.is_some() && (options.since.is_some() || options.after.is_some()) {
            return Err(Problem::bad(
                "`since` and `after` are not for groups: a group goes on where it is, a new one at the end",
            ));
        }
        Ok(options)
    }

    fn group(&self) -> Result<Option<String>, Problem> {
        let Some(group) = self.text("group")? else {
            return Ok(None);
        };
        let most = limits::GROUP_ID;
        if group.is_empty() {
            Err(Problem::bad(
                "`group` is empty: leave it out to get every event, or give the group a name",
            ))
        } else if group.len() > most {
            Err(Problem::bad(format!("`group` is longer than {most} bytes")))
        } else if group.chars().any(char::is_control) {
            Err(Problem::bad("`group` has control characters"))
        } else {
            Ok(Some(group))
        }
    }

    /// What is null is not there.
    fn value(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name)?.get();
        (value != "null").then_some(value)
    }

    fn is_there(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    fn text(&self, name: &str) -> Result<Option<String>, Problem> {
        let Some(raw) = self.value(name) else { return Ok(None) };
        let wrong = |_| Problem::bad(format!("`{name}` must be a string"));
        serde_json::from_str(raw).map(Some).map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "s64f0c1a2b3d4e5f60718293a";

    fn by_path(path: &str) -> Target {
        Target {
            path: Some(path.to_owned()),
            ..Target::default()
        }
    }

    fn check(text: &str, message: &str, expected: Wanted) {
        let read = Request::read(text.as_bytes()).unwrap();
        assert_eq!((read.message.as_str(), read.wanted), (message, Ok(expected)), "{text}");
    }

    #[test]
    fn what_a_client_may_want() {
        let plain = |target| Wanted::Subscribe(target, Options::default());
        check(
            r#"{"msgId":"a-1","object":"event","type":"subscribe","path":"/acme/x"}"#,
            "\"a-1\"",
            plain(by_path("/acme/x")),
        );
        let by_id = Target {
            id: StreamId::parse(ID),
            ..Target::default()
        };
        check(
            &format!(
                r#" {{"type":"unsubscribe","streamId":"{ID}","path":null,"more":[1],"object":"event","msgId":7}} "#
            ),
            "7",
            Wanted::Unsubscribe(by_id.clone()),
        );
        check(
            &format!(r#"{{"object":"event","type":"subscribe","streamId":"{ID}","path":"/acme/x"}}"#),
            "null",
            plain(Target {
                path: Some("/acme/x".to_owned()),
                ..by_id
            }),
        );
        for id in [
            "0",
            "1",
            "\"-1203\"",
            "\"\"",
            "null",
            "1.50",
            "12345678901234567890123",
            "true",
            "\"\\u00fc\"",
        ] {
            let text = format!(r#"{{"msgId":{id},"object":"event","type":"subscribe","path":"/a"}}"#);
            check(&text, id, plain(by_path("/a")));
        }
        check(r#"{"type":"heartbeat"}"#, "null", Wanted::Heartbeat { answer: false });
        check(
            r#"{"type":"heartbeat","msgId":5}"#,
            "5",
            Wanted::Heartbeat { answer: true },
        );
        let grouped = Options {
            group: Some("workers".to_owned()),
            ..Options::default()
        };
        check(
            r#"{"object":"event","type":"subscribe","path":"/acme/x","group":"workers","since":null}"#,
            "null",
            Wanted::Subscribe(by_path("/acme/x"), grouped),
        );
        let options = Options {
            filter: Some("a=gt:5".to_owned()),
            fields: Some("a,b".to_owned()),
            since: Some(5),
            after: None,
            group: None,
        };
        check(
            r#"{"object":"event","type":"subscribe","pathPattern":"/a/#","where":"a=gt:5","fields":"a,b","since":5}"#,
            "null",
            Wanted::Subscribe(
                Target {
                    pattern: Some("/a/#".to_owned()),
                    ..Target::default()
                },
                options,
            ),
        );
    }

    fn check_wrong(members: &str, message: &str, part: &str) {
        let text = format!("{{{members}}}");
        let read = Request::read(text.as_bytes()).unwrap();
        let problem = read.wanted.unwrap_err();
        assert_eq!((read.message.as_str(), problem.status), (message, 400), "{text}");
        assert!(problem.text.contains(part), "{text}: {}", problem.text);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let event = r#""object":"event","type":"subscribe""#;
        check_wrong("", "null", "`object` is missing");
        check_wrong(
            r#""msgId":1,"object":"flow","type":"subscribe""#,
            "1",
            "`object` must be",
        );
        check_wrong(
            r#""object":"event","type":"find","path":"/a""#,
            "null",
            "`type` must be",
        );
        check_wrong(r#""object":"event","path":"/a""#, "null", "`type` is missing");
        check_wrong(r#""object":5,"type":"subscribe""#, "null", "`object` must be a string");
        check_wrong(event, "null", "`streamId` or `path` is missing");
        check_wrong(&format!(r#"{event},"streamId":"s1""#), "null", "`streamId` must be");
        check_wrong(
            &format!(r#"{event},"streamId":5"#),
            "null",
            "`streamId` must be a string",
        );
        check_wrong(&format!(r#"{event},"path":{{}}"#), "null", "`path` must be a string");
        check_wrong(
            &format!(r#"{event},"path":"/a","pathPattern":"/a/#""#),
            "null",
            "stands alone",
        );
        for (group, problem) in [
            ("\"\"", "`group` is empty"),
            ("5", "`group` must be a string"),
            ("\"a\\n\"", "`group` has control characters"),
            ("\"g\",\"since\":1", "not for groups"),
            ("\"g\",\"after\":\"e\"", "not for groups"),
        ] {
            check_wrong(&format!(r#"{event},"path":"/a","group":{group}"#), "null", problem);
        }
        let long = "g".repeat(limits::GROUP_ID + 1);
        check_wrong(
            &format!(r#"{event},"path":"/a","group":"{long}""#),
            "null",
            "`group` is longer",
        );
        check_wrong(
            &format!(r#"{event},"path":"/a","filter":"x > 1""#),
            "null",
            "use `where`",
        );
        check_wrong(
            &format!(r#"{event},"path":"/a","since":"x""#),
            "null",
            "`since` must be a number",
        );
        check_wrong(
            &format!(r#"{event},"path":"/a","since":1,"after":"e""#),
            "null",
            "exclude",
        );
        check_wrong(
            &format!(r#"{event},"path":"/a","msgId":[1]"#),
            "null",
            "`msgId` must be",
        );
        let long = "1".repeat(limits::OCTAVE_MESSAGE_ID + 1);
        check_wrong(
            &format!(r#"{event},"path":"/a","msgId":{long}"#),
            "null",
            "`msgId` is longer",
        );
    }

    #[test]
    fn what_is_no_object_is_unreadable() {
        for bytes in [
            &b""[..],
            b"x",
            b"{",
            b"[]",
            b"5",
            b"null",
            b"\"\"",
            b"{\"a\":}",
            b"{} x",
            b"\xff",
            b"{\"a\":\"\xff\"}",
        ] {
            let Unreadable(problem) = Request::read(bytes).unwrap_err();
            assert!(
                problem.text.starts_with("the message must be a JSON object: "),
                "{problem:?}"
            );
        }
    }
}
