//! `/token`: access keys for one application and some paths of it (compat/octave.md 8).

use std::collections::BTreeMap;
use std::time::Duration;

use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use sockeye_access::{Permission, audit, audit::Shown, key};
use sockeye_limits as limits;
use sockeye_registry::{AccessKey, KeyError, PathGrant, Scope};

use super::body::object;
use super::call::Call;
use crate::answer;
use crate::name::StreamName;
use crate::request::Problem;

/// A token to be made.
#[derive(Deserialize)]
struct NewToken {
    #[serde(default)]
    paths: BTreeMap<String, PathGrant>,
    description: Option<String>,
    /// Milliseconds.
    duration: Option<u64>,
}

// ----------------------------------------------------------------------------------------------

impl Call<'_> {
    pub(super) async fn create_token(&self, body: &[u8]) -> Result<Response, Problem> {
        self.unlimited()?;
        let new: NewToken = object(body)?;
        if new.paths.is_empty() || new.paths.len() > limits::KEY_PATHS {
            let most = limits::KEY_PATHS;
            return Err(Problem::bad(format!(
                "`paths` must name 1 to {most} paths, each with what it grants"
            )));
        }
        let mut paths = BTreeMap::new();
        for (path, grant) in new.paths {
            paths.insert(granted(self.company().below(&path, "paths")?)?, grant);
        }
        if new
            .description
            .as_ref()
            .is_some_and(|text| text.len() > limits::KEY_DESCRIPTION)
        {
            let most = limits::KEY_DESCRIPTION;
            return Err(Problem::bad(format!("`description` is longer than {most} bytes")));
        }
        let user = self.user().to_owned();
        if self.octave.registry.keys(&user).await?.len() >= limits::KEYS_PER_USER {
            let most = limits::KEYS_PER_USER;
            return Err(Problem::bad(format!(
                "you have {most} tokens and keys, which is the most: remove one first"
            )));
        }
        let now = Timestamp::now();
        let expires = new
            .duration
            .and_then(|duration| now.checked_add(Duration::from_millis(duration)).ok());
        // Who shows a key that ends makes none that outlives it.
        let expires = match (expires, self.caller.expires()) {
            (Some(wanted), Some(most)) => Some(wanted.min(most)),
            (wanted, most) => wanted.or(most),
        };
        let made = key::generate();
        let stored = AccessKey {
            description: new.description,
            expires,
            scope: Scope {
                applications: Some([self.application.metadata.name.clone()].into()),
                read_only: paths.values().all(|grant| !grant.event_write),
                paths: Some(paths),
            },
            ..AccessKey::new(&made.prefix, made.hash, user, now)
        };
        let mut shown = self.token(&stored);
        match self.octave.registry.create_key(stored).await {
            Ok(()) => {}
            Err(KeyError::Unavailable(unavailable)) => return Err(unavailable.into()),
            Err(_taken) => return Err(Problem::new(503, "the token could not be made, try again")),
        }
        audit!("key.made", by = %Shown(&self.caller), user = self.user(), key = made.prefix);
        shown["tokenString"] = Value::from(made.key.expose());
        Ok(answer::created(&shown))
    }

    pub(super) async fn list_tokens(&self) -> Result<Response, Problem> {
        self.unlimited()?;
        let keys = self.octave.registry.keys(self.user()).await?;
        let shown: Vec<_> = keys
            .iter()
            .filter(|key| self.is_token(key))
            .map(|key| self.token(key))
            .collect();
        Ok(answer::answer(&shown, &[]))
    }

    pub(super) async fn delete_token(&self, id: &str) -> Result<Response, Problem> {
        self.unlimited()?;
        let key = self.octave.registry.key(id).await?;
        let is_theirs = key.is_some_and(|key| key.user == self.user() && self.is_token(&key));
        if !is_theirs || !self.octave.registry.delete_key(id).await? {
            return Err(Problem::new(404, format!("no token with id {id}")));
        }
        audit!("key.revoked", by = %Shown(&self.caller), key = id);
        Ok(answer::answer(&json!({}), &[]))
    }

    /// Who is limited makes nothing that counts for more.
    fn unlimited(&self) -> Result<(), Problem> {
        if self.caller.is_unlimited() && self.caller.may(Permission::Read, &self.application) {
            return Ok(());
        }
        Err(Problem::new(403, "tokens are made and removed with a master token"))
    }

    fn is_token(&self, key: &AccessKey) -> bool {
        let of_this = |these: &std::collections::BTreeSet<String>| these.contains(&self.application.metadata.name);
        key.scope.paths.is_some() && key.scope.applications.as_ref().is_some_and(of_this)
    }

    /// A token as it is shown, without what is secret.
    fn token(&self, key: &AccessKey) -> Value {
        let paths = key.scope.paths.iter().flatten();
        let paths: BTreeMap<_, _> = paths
            .map(|(path, grant)| (format!("/{}{path}", self.name), grant))
            .collect();
        let left = key
            .expires
            .map(|expires| expires.as_millisecond() - Timestamp::now().as_millisecond());
        json!({
            "id": key.prefix,
            "description": key.description,
            "creationDate": key.created.as_millisecond(),
            "expiresInMs": left,
            "paths": paths,
        })
    }
}

/// What follows the company in a path that grants something: empty for all of the company.
pub(super) fn granted(below: &str) -> Result<String, Problem> {
    let below = below.strip_suffix('/').unwrap_or(below);
    match below {
        "" | "/devices" => Ok(below.to_owned()),
        // As one of a stream, though it may end before the channel.
        _ => Ok(StreamName::parse(below)?.to_string()),
    }
}
