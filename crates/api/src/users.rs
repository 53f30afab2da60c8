//! `/api/tokens/v1alpha1`, the access keys of users, and `whoami` (compat/drogue.md 3.2, 4.4).

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sockeye_access::{is_user_name, key};
use sockeye_limits as limits;
use sockeye_registry::{AccessKey, KeyError};

use crate::Api;
use crate::error::ApiError;
use crate::extract::{Login, Names};

/// `?description=&user=`
#[derive(Debug, Deserialize)]
pub(crate) struct KeyQuery {
    description: Option<String>,
    /// Whose key, if not the caller's: for administrators.
    user: Option<String>,
}

/// A key that was just made: the only time that it is shown.
#[derive(Serialize)]
pub(crate) struct NewKey {
    prefix: String,
    token: String,
}

/// A key as it is listed.
#[derive(Serialize)]
pub(crate) struct KeyEntry {
    prefix: String,
    created: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

/// Who is calling.
#[derive(Serialize)]
pub(crate) struct WhoAmI {
    id: Option<String>,
}

// ----------------------------------------------------------------------------------------------

/// `POST`: 200 with the key. A user whom an administrator names is made if there is none.
pub(crate) async fn create_key(
    State(api): State<Arc<Api>>,
    login: Login,
    query: Result<Query<KeyQuery>, QueryRejection>,
) -> Result<Json<NewKey>, ApiError> {
    let KeyQuery { description, user } = taken(query)?;
    if description
        .as_ref()
        .is_some_and(|text| text.len() > limits::KEY_DESCRIPTION)
    {
        let most = limits::KEY_DESCRIPTION;
        return Err(ApiError::BadRequest(format!(
            "`description` is longer than {most} bytes"
        )));
    }
    let user = whose(&login, user)?;
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
    let stored = AccessKey {
        description: description.filter(|text| !text.is_empty()),
        ..AccessKey::new(&generated.prefix, generated.hash, user, Timestamp::now())
    };
    match api.registry.create_key(stored).await {
        Ok(()) => Ok(Json(NewKey {
            prefix: generated.prefix,
            token: generated.key.expose().to_owned(),
        })),
        Err(KeyError::Unavailable(unavailable)) => Err(unavailable.into()),
        Err(error @ (KeyError::NoUser(_) | KeyError::Taken(_))) => Err(ApiError::Conflict(error.to_string())),
    }
}

/// `GET`: the keys, oldest first.
pub(crate) async fn keys(
    State(api): State<Arc<Api>>,
    login: Login,
    query: Result<Query<KeyQuery>, QueryRejection>,
) -> Result<Json<Vec<KeyEntry>>, ApiError> {
    let user = whose(&login, taken(query)?.user)?;
    let entry = |key: AccessKey| KeyEntry {
        prefix: key.prefix,
        created: key.created,
        description: key.description,
    };
    let keys = api.registry.keys(&user).await?;
    Ok(Json(keys.into_iter().map(entry).collect()))
}

/// `DELETE`: 204, also for a key that is not there or not the caller's, which stays. An administrator deletes any.
pub(crate) async fn delete_key(
    State(api): State<Arc<Api>>,
    login: Login,
    Names(prefix): Names<String>,
) -> Result<StatusCode, ApiError> {
    if let Some(key) = api.registry.key(&prefix).await?
        && (login.admin || key.user == login.name)
    {
        api.registry.delete_key(&prefix).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/admin/v1alpha1/user/whoami`: the user's name, `null` without credentials.
pub(crate) async fn who_am_i(login: Option<Login>) -> Json<WhoAmI> {
    Json(WhoAmI {
        id: login.map(|login| login.name),
    })
}

fn taken(query: Result<Query<KeyQuery>, QueryRejection>) -> Result<KeyQuery, ApiError> {
    match query {
        Ok(Query(query)) => Ok(query),
        Err(rejection) => Err(ApiError::BadRequest(rejection.body_text())),
    }
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
