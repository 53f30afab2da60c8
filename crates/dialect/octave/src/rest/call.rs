//! One call: who, for which company, with which parameters.

use std::borrow::Cow;
use std::sync::Arc;

use http::request::Parts;
use percent_encoding::percent_decode_str;
use sockeye_access::{Caller, Permission};
use sockeye_limits as limits;
use sockeye_registry::Application;

use crate::Octave;
use crate::frames::{Frames, Ids};
use crate::name::StreamName;
use crate::request::Problem;
use crate::resolve::Company;

/// A call of somebody who may do something with the company.
pub(super) struct Call<'a> {
    pub(super) octave: &'a Octave,
    pub(super) caller: Caller,
    pub(super) application: Application,
    /// As the client calls the application.
    pub(super) name: String,
    pub(super) ids: Arc<Ids>,
    /// Keeps the ids for as long as the call takes.
    _frames: Arc<Frames>,
    /// What follows the company in the path.
    pub(super) segments: Vec<String>,
    parameters: Vec<(String, String)>,
}

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Entries to skip.
    pub(super) start: usize,
    /// Entries at most.
    pub(super) limit: usize,
    /// The oldest, or the first by their names, come first.
    pub(super) ascending: bool,
}

// ----------------------------------------------------------------------------------------------

impl<'a> Call<'a> {
    pub(super) async fn of(octave: &'a Octave, head: &Parts) -> Result<Self, Problem> {
        // A slash at the end does not count.
        let path = head.uri.path().trim_end_matches('/');
        let mut segments = path.split('/').skip(2).map(decoded).collect::<Result<Vec<_>, _>>()?;
        if segments.is_empty() {
            return Err(Problem::new(
                404,
                "there is nothing here: a path is /v5.0/{company}/stream, for example",
            ));
        }
        let name = segments.remove(0);
        let caller = octave.caller(&head.headers).await?;
        let application = octave.access.company(&caller, &name, Permission::Read).await?;
        let (ids, frames) = octave.frames(&application, &name);
        let pairs = head
            .uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty());
        let parameters = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(name)?, decoded(&value.replace('+', " "))?))
        });
        Ok(Self {
            octave,
            caller,
            application,
            name,
            ids,
            _frames: frames,
            segments,
            parameters: parameters.collect::<Result<_, Problem>>()?,
        })
    }

    pub(super) fn company(&self) -> Company<'_> {
        Company {
            application: &self.application,
            name: &self.name,
            ids: &self.ids,
        }
    }

    /// Whether the caller may do this with a stream.
    pub(super) fn demand(&self, permission: Permission, name: &StreamName) -> Result<(), Problem> {
        if self.caller.may_at(&name.to_string(), permission, &self.application) {
            return Ok(());
        }
        let what = if permission == Permission::Read {
            "read"
        } else {
            "write"
        };
        Err(Problem::new(
            403,
            format!("the token may not {what} /{}{name}", self.name),
        ))
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().rfind(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// `limit`, `start` and `order` (compat/octave.md 7).
    pub(super) fn part(&self) -> Result<Part, Problem> {
        if self.parameter("filter").is_some() {
            return Err(Problem::bad(
                "`filter` is not served: read the events and filter them, or subscribe with `where`",
            ));
        }
        let number = |name: &str, default: usize| match self.parameter(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .map_err(|_| Problem::bad(format!("`{name}` must be a number"))),
        };
        Ok(Part {
            start: number("start", 0)?,
            limit: number("limit", limits::OCTAVE_PAGE)?.min(limits::OCTAVE_PAGE_MOST),
            ascending: match self.parameter("order").map(str::to_ascii_lowercase).as_deref() {
                None | Some("desc") => false,
                Some("asc") => true,
                Some(_) => return Err(Problem::bad("`order` must be `asc` or `desc`")),
            },
        })
    }
}

fn decoded(text: &str) -> Result<String, Problem> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(Cow::into_owned)
        .map_err(|_| Problem::bad("the path or the query is not UTF-8 after percent-decoding"))
}
