//! `POST /import`: orphaned clients carry tokens, ids of streams and the name of a company in their code; all of these can be given
//! (compat/octave.md, decision 7). To give the same again changes nothing.

use std::collections::BTreeMap;

use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use sockeye_access::{Caller, Permission, Secret, audit, audit::Shown, is_user_name, key};
use sockeye_limits as limits;
use sockeye_registry::{AccessKey, KeyError, PathGrant, Scope, Stream, WriteError};

use super::body::object;
use super::call::Call;
use super::tokens::granted;
use crate::answer;
use crate::id::StreamId;
use crate::name::StreamName;
use crate::request::Problem;

/// What is given; each part may be missing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    /// A name that the company has too.
    alias: Option<String>,
    stream: Option<GivenStream>,
    token: Option<GivenToken>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenStream {
    id: String,
    path: String,
    description: Option<String>,
    capacity: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenToken {
    value: String,
    /// Whose it is; without it the caller's.
    user: Option<String>,
    /// With paths it is a restricted one.
    paths: Option<BTreeMap<String, PathGrant>>,
    description: Option<String>,
}

// ----------------------------------------------------------------------------------------------

impl Call<'_> {
    pub(super) async fn import(&self, body: &[u8]) -> Result<Response, Problem> {
        if !self.caller.is_unlimited() || !self.caller.may(Permission::Admin, &self.application) {
            return Err(Problem::new(
                403,
                "to import is for administrators of the company, with a master token",
            ));
        }
        let given: Given = object(body)?;
        if let Some(alias) = given.alias {
            self.import_alias(&alias).await?;
        }
        if let Some(stream) = given.stream {
            self.import_stream(stream).await?;
        }
        if let Some(token) = given.token {
            self.import_token(token).await?;
        }
        Ok(answer::created(&json!({})))
    }

    async fn import_alias(&self, alias: &str) -> Result<(), Problem> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        if alias.is_empty() || alias.len() > limits::APPLICATION_NAME || !alias.bytes().all(allowed) {
            let most = limits::APPLICATION_NAME;
            return Err(Problem::bad(format!(
                "`alias` must be 1 to {most} letters, digits, `_` and `-`"
            )));
        }
        if self.octave.registry.application(alias).await?.is_some() {
            return Err(Problem::bad(format!("`alias`: there is an application {alias}")));
        }
        let application = &self.application.metadata.name;
        self.octave.registry.create_alias(alias, application).await?;
        audit!("alias.made", by = %Shown(&self.caller), application = application, alias = alias);
        Ok(())
    }

    async fn import_stream(&self, given: GivenStream) -> Result<(), Problem> {
        let wrong = || Problem::bad("`stream.id` must be `s` and 24 hexadecimal digits in lower case");
        let id = StreamId::parse(&given.id).ok_or_else(wrong)?;
        // It may name the company by any of its names.
        let below = given
            .path
            .strip_prefix('/')
            .and_then(|rest| Some(&rest[rest.find('/')?..]));
        let below = below.ok_or_else(|| Problem::bad("`stream.path` must be /{company}/.."))?;
        let name = StreamName::parse(below)?;
        let stream = Stream {
            application: self.application.metadata.name.clone(),
            id: id.to_string(),
            device: name.device.as_deref().map(str::to_owned),
            channel: name.channel.to_string(),
            description: given.description.unwrap_or_default(),
            capacity: given
                .capacity
                .unwrap_or(limits::OCTAVE_CAPACITY)
                .min(limits::OCTAVE_CAPACITY_MOST),
            created: Timestamp::now(),
            creator: self.user().to_owned(),
        };
        if stream.description.len() > limits::OCTAVE_DESCRIPTION {
            let most = limits::OCTAVE_DESCRIPTION;
            return Err(Problem::bad(format!(
                "`stream.description` is longer than {most} bytes"
            )));
        }
        let application = &self.application.metadata.name;
        match self.octave.registry.create_stream(stream).await {
            Ok(()) => {}
            Err(WriteError::Taken(_)) => {
                let there = self.octave.registry.stream(application, &given.id).await?;
                let is_same = there.is_some_and(|there| {
                    there.device.as_deref() == name.device.as_deref() && name.channel == there.channel
                });
                if !is_same {
                    return Err(Problem::bad(format!(
                        "{} or its id is taken by another stream",
                        given.path
                    )));
                }
            }
            Err(error) => return Err(error.into()),
        }
        self.ids.learn(&name, id);
        Ok(())
    }

    async fn import_token(&self, given: GivenToken) -> Result<(), Problem> {
        let value = Secret::new(given.value);
        let prefix = key::id(&value).filter(|_| key::is_strong(value.expose()));
        let prefix = prefix.ok_or_else(|| {
            Problem::bad("`token.value` looks guessable, or is no token: it must look as random as 128 bits do")
        })?;
        let user = given.user.unwrap_or_else(|| self.user().to_owned());
        if user != self.user() && !matches!(self.caller, Caller::User { admin: true, .. }) {
            return Err(Problem::new(
                403,
                "tokens of others are for administrators of the server to import",
            ));
        }
        if !is_user_name(&user) {
            return Err(Problem::bad("`token.user` is no name of a user"));
        }
        let paths = given.paths.map(|paths| {
            let paths = paths.into_iter().map(|(path, grant)| {
                let below = path
                    .strip_prefix('/')
                    .map(|rest| &rest[rest.find('/').unwrap_or(rest.len())..]);
                let below = below.ok_or_else(|| Problem::bad("`token.paths` must be /{company}/.."))?;
                Ok((granted(below)?, grant))
            });
            paths.collect::<Result<BTreeMap<_, _>, Problem>>()
        });
        let paths = paths.transpose()?;
        self.octave.registry.ensure_user(&user, false).await?;
        let hash = key::hash(value.expose());
        let stored = AccessKey {
            description: given.description.filter(|text| text.len() <= limits::KEY_DESCRIPTION),
            scope: Scope {
                applications: paths.is_some().then(|| [self.application.metadata.name.clone()].into()),
                read_only: false,
                paths,
            },
            ..AccessKey::new(&prefix, &hash, &user, Timestamp::now())
        };
        match self.octave.registry.create_key(stored).await {
            Ok(()) => {
                audit!("key.made", by = %Shown(&self.caller), user = user, key = prefix);
                Ok(())
            }
            Err(KeyError::Taken(_)) => match self.octave.registry.key(&prefix).await? {
                Some(there) if there.hash == hash && there.user == user => Ok(()),
                _ => Err(Problem::bad("the token is another user's already")),
            },
            Err(KeyError::Unavailable(unavailable)) => Err(unavailable.into()),
            Err(error @ KeyError::NoUser(_)) => Err(Problem::bad(error.to_string())),
        }
    }
}
