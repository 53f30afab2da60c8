//! `/api/tokens/v1alpha1`, the access keys of users (compat/drogue.md 3.2; time and scope are ours).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sockeye_access::audit::Shown;
use sockeye_access::{audit, is_user_name, key};
use sockeye_event::name;
use sockeye_limits as limits;
use sockeye_registry::{AccessKey, KeyError, PathGrant, Scope};

use crate::Api;
use crate::error::ApiError;
use crate::extract::{Document, Login, Names};

/// `?description=&user=&expires=&applications=&access=`
#[derive(Debug, Deserialize)]
pub(crate) struct KeyQuery {
    description: Option<String>,
    /// Whose key, if not the caller's: for administrators.
    user: Option<String>,
    /// Until when it counts, in RFC 3339.
    expires: Option<String>,
    /// For which applications it counts, with commas between them; without it for all.
    applications: Option<String>,
    /// What it counts for; without it to write.
    access: Option<Allowed>,
    /// Paths of Octave for which alone it counts: `/app/devices/d:read`, or `:write`, with commas between them.
    paths: Option<String>,
}

/// What a key counts for, never more than its user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Allowed {
    Read,
    Write,
}

/// A key that was just made: the only time that it is shown.
#[derive(Serialize)]
pub(crate) struct NewKey {
    prefix: String,
    token: String,
}

/// A key as it is listed. What the original does not know is there only if it says something.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeyEntry {
    prefix: String,
    created: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    applications: Option<BTreeSet<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<Allowed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paths: Option<BTreeMap<String, PathGrant>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used: Option<Timestamp>,
}

/// What can be changed of a key, and of a user.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Enabling {
    pub(crate) disabled: bool,
}

// ----------------------------------------------------------------------------------------------

/// `POST`: 200 with the key. A user whom an administrator names is made if there is none.
pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    login: Login,
    query: Result<Query<KeyQuery>, QueryRejection>,
) -> Result<Json<NewKey>, ApiError> {
    login.unlimited()?;
    let query = taken(query)?;
    let description = query.description.filter(|text| !text.is_empty());
    let too_long = |text: &String| text.len() > limits::KEY_DESCRIPTION;
    if description.as_ref().is_some_and(too_long) {
        let most = limits::KEY_DESCRIPTION;
        return Err(wrong(&format!("`description` is longer than {most} bytes")));
    }
    let expires = query.expires.as_deref().map(expiry).transpose()?;
    let mut scope = Scope {
        applications: query.applications.as_deref().map(applications).transpose()?,
        read_only: query.access == Some(Allowed::Read),
        paths: None,
    };
    if let Some(text) = &query.paths {
        let (application, paths) = paths(text)?;
        if scope
            .applications
            .is_some_and(|these| these != [application.clone()].into())
        {
            return Err(wrong("`applications` names others than `paths`: leave it out"));
        }
        scope.applications = Some([application].into());
        scope.paths = Some(paths);
    }
    let user = whose(&login, query.user)?;
    if user != login.name {
        api.registry.ensure_user(&user, false).await?;
    }
    if api.registry.keys(&user).await?.len() >= limits::KEYS_PER_USER {
        let most = limits::KEYS_PER_USER;
        return Err(ApiError::Conflict(format!(
            "`{user}` has {most} keys, which is the most: delete one first"
        )));
    }
    let generated = key::generate();
    let owner = user.clone();
    let stored = AccessKey {
        description,
        // Who shows a key that ends makes none that outlives it.
        expires: match (expires, login.key_expires()) {
            (Some(wanted), Some(most)) => Some(wanted.min(most)),
            (wanted, most) => wanted.or(most),
        },
        scope,
        ..AccessKey::new(&generated.prefix, generated.hash, user, Timestamp::now())
    };
    match api.registry.create_key(stored).await {
        Ok(()) => {
            audit!("key.made", by = %Shown(&login.caller), user = owner, key = generated.prefix);
            Ok(Json(NewKey {
                prefix: generated.prefix,
                token: generated.key.expose().to_owned(),
            }))
        }
        Err(KeyError::Unavailable(unavailable)) => Err(unavailable.into()),
        Err(error @ (KeyError::NoUser(_) | KeyError::Taken(_))) => Err(ApiError::Conflict(error.to_string())),
    }
}

/// `GET`: the keys, oldest first.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    login: Login,
    query: Result<Query<KeyQuery>, QueryRejection>,
) -> Result<Json<Vec<KeyEntry>>, ApiError> {
    let user = whose(&login, taken(query)?.user)?;
    let entry = |key: AccessKey| KeyEntry {
        prefix: key.prefix,
        created: key.created,
        description: key.description,
        expires: key.expires,
        applications: key.scope.applications,
        access: key.scope.read_only.then_some(Allowed::Read),
        paths: key.scope.paths,
        disabled: key.disabled,
        last_used: key.used,
    };
    let keys = api.registry.keys(&user).await?;
    Ok(Json(keys.into_iter().map(entry).collect()))
}

/// `PUT`: 204. Lets a key count, or not; 404 for one that is not there or not the caller's.
pub(crate) async fn update(
    State(api): State<Arc<Api>>,
    login: Login,
    Names(prefix): Names<String>,
    Document(wanted): Document<Enabling>,
) -> Result<StatusCode, ApiError> {
    login.unlimited()?;
    let found = api.registry.key(&prefix).await?;
    if found.is_none_or(|key| !login.admin && key.user != login.name) {
        return Err(ApiError::NotFound(format!("access key `{prefix}`")));
    }
    api.registry.set_key_disabled(&prefix, wanted.disabled).await?;
    audit!("key.changed", by = %Shown(&login.caller), key = prefix, disabled = wanted.disabled);
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE`: 204, also for a key that is not there or not the caller's, which stays. An administrator deletes any.
pub(crate) async fn delete(
    State(api): State<Arc<Api>>,
    login: Login,
    Names(prefix): Names<String>,
) -> Result<StatusCode, ApiError> {
    login.unlimited()?;
    if let Some(key) = api.registry.key(&prefix).await?
        && (login.admin || key.user == login.name)
    {
        api.registry.delete_key(&prefix).await?;
        audit!("key.revoked", by = %Shown(&login.caller), key = prefix);
    }
    Ok(StatusCode::NO_CONTENT)
}

fn taken(query: Result<Query<KeyQuery>, QueryRejection>) -> Result<KeyQuery, ApiError> {
    match query {
        Ok(Query(query)) => Ok(query),
        Err(rejection) => Err(ApiError::BadRequest(rejection.body_text())),
    }
}

fn expiry(text: &str) -> Result<Timestamp, ApiError> {
    let time: Option<Timestamp> = text.parse().ok();
    time.filter(|time| *time > Timestamp::now())
        .ok_or_else(|| wrong("`expires` must be a time to come in RFC 3339, such as `2030-01-01T00:00:00Z`"))
}

fn applications(text: &str) -> Result<BTreeSet<String>, ApiError> {
    let names: BTreeSet<_> = text.split(',').map(str::to_owned).collect();
    if names.len() > limits::KEY_APPLICATIONS {
        let most = limits::KEY_APPLICATIONS;
        return Err(wrong(&format!(
            "`applications` names more than {most}: leave it out to mean all"
        )));
    }
    for name in &names {
        name::application(name).map_err(|error| wrong(&format!("`applications`: {error}")))?;
    }
    Ok(names)
}

/// The application, and what of it.
fn paths(text: &str) -> Result<(String, BTreeMap<String, PathGrant>), ApiError> {
    let form = "`paths` must be paths of one application such as `/app/devices/d:read` or `/app/devices:write`, with commas between them";
    let mut found: Option<String> = None;
    let mut paths: BTreeMap<String, PathGrant> = BTreeMap::new();
    for entry in text.split(',') {
        let (path, what) = entry.rsplit_once(':').ok_or_else(|| wrong(form))?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let rest = path.strip_prefix('/').ok_or_else(|| wrong(form))?;
        let application = rest.split('/').next().unwrap_or_default();
        name::application(application).map_err(|error| wrong(&format!("`paths`: {error}")))?;
        if found.get_or_insert_with(|| application.to_owned()) != application {
            return Err(wrong(form));
        }
        let below = &rest[application.len()..];
        if path.len() > limits::OCTAVE_PATH || below.split('/').skip(1).any(str::is_empty) {
            return Err(wrong(form));
        }
        let grant = paths.entry(below.to_owned()).or_default();
        match what {
            "read" => grant.event_read = true,
            "write" => grant.event_write = true,
            _ => return Err(wrong(form)),
        }
    }
    if paths.len() > limits::KEY_PATHS {
        let most = limits::KEY_PATHS;
        return Err(wrong(&format!("`paths` names more than {most}")));
    }
    Ok((found.unwrap_or_default(), paths))
}

fn wrong(what: &str) -> ApiError {
    ApiError::BadRequest(what.to_owned())
}

/// Whose keys are meant.
fn whose(login: &Login, named: Option<String>) -> Result<String, ApiError> {
    match named {
        None => Ok(login.name.clone()),
        Some(name) if name == login.name => Ok(name),
        Some(_) if !login.admin => Err(ApiError::Forbidden),
        Some(name) if is_user_name(&name) => Ok(name),
        Some(_) => Err(ApiError::BadRequest(format!(
            "`user` must have 1 to {} bytes, no control characters and no colon, which ends it in `Authorization`",
            limits::USER_NAME
        ))),
    }
}
