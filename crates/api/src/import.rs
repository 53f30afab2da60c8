//! `POST /api/admin/v1alpha1/users`: users of another system, with access keys that it gave out, by their hashes, so that they go on
//! working. Ours; Drogue Cloud keeps such hashes in Keycloak (compat/drogue.md 3.2).

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use sockeye_access::audit::Shown;
use sockeye_access::{audit, is_user_name, key};
use sockeye_event::name;
use sockeye_limits as limits;
use sockeye_registry::{AccessKey, KeyError, Scope, UserIdentity, WriteError};

use crate::Api;
use crate::error::ApiError;
use crate::extract::{Document, Login};

/// A user, perhaps with a key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportedUser {
    name: String,
    /// Who that is for a provider, if the user logs in there too.
    identity: Option<Identity>,
    key: Option<ImportedKey>,
}

/// A key, of which only the hash is known.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ImportedKey {
    prefix: String,
    hash: String,
    created: Timestamp,
    description: Option<String>,
    /// For which it counts; without it for all.
    applications: Option<BTreeSet<String>>,
    #[serde(default)]
    read_only: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    issuer: String,
    subject: String,
}

// ----------------------------------------------------------------------------------------------

/// 201 once user and key count; 200 if they are there already. For administrators.
pub(crate) async fn import(
    State(api): State<Arc<Api>>,
    login: Login,
    Document(given): Document<ImportedUser>,
) -> Result<StatusCode, ApiError> {
    login.administrator()?;
    given.check()?;
    let is_new = api.registry.user(&given.name).await?.is_none();
    let user = match given.identity {
        Some(Identity { issuer, subject }) => {
            let identity = UserIdentity { issuer, subject };
            match api.registry.learn_user(&identity, &given.name).await {
                Err(WriteError::Taken(_)) => {
                    let problem = format!("the user name `{}` is taken by somebody else", given.name);
                    return Err(ApiError::Conflict(problem));
                }
                learned => learned?.name,
            }
        }
        None => api.registry.ensure_user(&given.name, false).await?.name,
    };
    if is_new {
        audit!("user.imported", by = %Shown(&login.caller), user = user);
    }
    match given.key {
        Some(key) => import_key(&api, &login, user, key).await,
        None if is_new => Ok(StatusCode::CREATED),
        None => Ok(StatusCode::OK),
    }
}

async fn import_key(api: &Api, login: &Login, user: String, given: ImportedKey) -> Result<StatusCode, ApiError> {
    if let Some(known) = api.registry.key(&given.prefix).await? {
        return known_already(&known, &user, &given.hash);
    }
    if api.registry.keys(&user).await?.len() >= limits::KEYS_PER_USER {
        let most = limits::KEYS_PER_USER;
        return Err(ApiError::Conflict(format!(
            "`{user}` has {most} keys, which is the most"
        )));
    }
    let key = AccessKey {
        description: given.description.filter(|text| !text.is_empty()),
        scope: Scope {
            applications: given.applications,
            read_only: given.read_only,
            paths: None,
        },
        ..AccessKey::new(&given.prefix, &given.hash, &user, given.created)
    };
    match api.registry.create_key(key).await {
        Ok(()) => {
            audit!("key.imported", by = %Shown(&login.caller), user = user, key = given.prefix);
            Ok(StatusCode::CREATED)
        }
        Err(KeyError::Unavailable(unavailable)) => Err(unavailable.into()),
        Err(error @ (KeyError::NoUser(_) | KeyError::Taken(_))) => Err(ApiError::Conflict(error.to_string())),
    }
}

fn known_already(known: &AccessKey, user: &str, hash: &str) -> Result<StatusCode, ApiError> {
    if known.user == user && known.hash == hash {
        return Ok(StatusCode::OK);
    }
    let problem = format!("there is another key `{}`", known.prefix);
    Err(ApiError::Conflict(problem))
}

impl ImportedUser {
    fn check(&self) -> Result<(), ApiError> {
        if !is_user_name(&self.name) {
            return Err(ApiError::BadRequest(
                "`name` must be a user name without colon and control characters".to_owned(),
            ));
        }
        self.key.as_ref().map_or(Ok(()), ImportedKey::check)
    }
}

impl ImportedKey {
    fn check(&self) -> Result<(), ApiError> {
        let wrong = |what: &str| Err(ApiError::BadRequest(what.to_owned()));
        if !key::is_prefix(&self.prefix) {
            return wrong("`key.prefix` must be `drg_` and six letters and digits");
        }
        if !key::is_hash(&self.hash) {
            return wrong("`key.hash` must be the SHA3-512 of the key, 128 hexadecimal digits in lower case");
        }
        let too_long = |text: &String| text.len() > limits::KEY_DESCRIPTION;
        if self.description.as_ref().is_some_and(too_long) {
            return wrong("`key.description` is too long");
        }
        let applications = self.applications.iter().flatten();
        if applications.clone().count() > limits::KEY_APPLICATIONS {
            return wrong("`key.applications` names too many");
        }
        for application in applications {
            name::application(application)
                .map_err(|error| ApiError::BadRequest(format!("`key.applications`: {error}")))?;
        }
        Ok(())
    }
}
