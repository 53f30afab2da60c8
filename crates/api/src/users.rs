//! Users: `/api/admin/v1alpha1/users`, which is ours, and `whoami` (compat/drogue.md 4.4).

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use sockeye_access::audit;
use sockeye_access::audit::Shown;
use sockeye_limits as limits;
use sockeye_registry::{Page, User};

use crate::Api;
use crate::error::ApiError;
use crate::extract::{Document, Login, Names};
use crate::keys::Enabling;

/// Who is calling.
#[derive(Serialize)]
pub(crate) struct WhoAmI {
    id: Option<String>,
}

/// `?offset=&limit=`
#[derive(Debug, Deserialize)]
pub(crate) struct UserQuery {
    #[serde(default)]
    offset: usize,
    limit: Option<usize>,
}

/// A user as it is listed.
#[derive(Serialize)]
pub(crate) struct UserEntry {
    name: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    admin: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disabled: bool,
    /// Of users of a provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
}

// ----------------------------------------------------------------------------------------------

/// `GET /api/admin/v1alpha1/user/whoami`: the user's name, `null` without credentials.
pub(crate) async fn who_am_i(login: Option<Login>) -> Json<WhoAmI> {
    Json(WhoAmI {
        id: login.map(|login| login.name),
    })
}

/// `GET`: all users by name, for administrators; at most [`limits::REGISTRY_PAGE`] of them.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    login: Login,
    query: Result<Query<UserQuery>, QueryRejection>,
) -> Result<Json<Vec<UserEntry>>, ApiError> {
    login.administrator()?;
    let Query(query) = query.map_err(|rejection| ApiError::BadRequest(rejection.body_text()))?;
    let page = Page {
        offset: query.offset,
        limit: query.limit.unwrap_or(usize::MAX).min(limits::REGISTRY_PAGE),
    };
    let entry = |user: User| {
        let (issuer, subject) = user
            .identity
            .map(|identity| (identity.issuer, identity.subject))
            .unzip();
        UserEntry {
            name: user.name,
            admin: user.admin,
            disabled: user.disabled,
            issuer,
            subject,
        }
    };
    let users = api.registry.users(page).await?;
    Ok(Json(users.into_iter().map(entry).collect()))
}

/// `PUT`: 204. Lets a user count, or not. Nobody disables himself, so that there is always an administrator.
pub(crate) async fn update(
    State(api): State<Arc<Api>>,
    login: Login,
    Names(name): Names<String>,
    Document(wanted): Document<Enabling>,
) -> Result<StatusCode, ApiError> {
    login.administrator()?;
    if wanted.disabled && name == login.name {
        return Err(ApiError::Conflict("you cannot disable yourself".to_owned()));
    }
    api.registry.set_user_disabled(&name, wanted.disabled).await?;
    audit!("user.changed", by = %Shown(&login.caller), user = name, disabled = wanted.disabled);
    Ok(StatusCode::NO_CONTENT)
}
