//! `/api/admin/v1alpha1/apps/{app}/members` (compat/drogue.md 4.4)

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use sockeye_access::audit::Shown;
use sockeye_access::{Permission, audit};
use sockeye_limits as limits;
use sockeye_registry::{Preconditions, Role, WriteError};
use uuid::Uuid;

use crate::Api;
use crate::error::ApiError;
use crate::extract::{Document, Login, Names};

/// Who may do what, besides the owner. The member `""` is everybody.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Members {
    /// What must not have changed since the members were read.
    resource_version: Option<Uuid>,
    members: BTreeMap<String, Member>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    role: Role,
}

// ----------------------------------------------------------------------------------------------

/// `GET`
pub(crate) async fn get(
    State(api): State<Arc<Api>>,
    login: Login,
    Names(name): Names<String>,
) -> Result<Json<Members>, ApiError> {
    let found = api.authorize(&login, &name, Permission::Admin).await?;
    let application = found.ok_or_else(|| ApiError::no_application(&name))?;
    Ok(Json(Members {
        resource_version: Some(application.metadata.resource_version),
        members: application
            .members
            .into_iter()
            .map(|(user, role)| (user, Member { role }))
            .collect(),
    }))
}

/// `PUT`: 204. Replaces all members.
pub(crate) async fn put(
    State(api): State<Arc<Api>>,
    login: Login,
    Names(name): Names<String>,
    Document(wanted): Document<Members>,
) -> Result<StatusCode, ApiError> {
    if api.authorize(&login, &name, Permission::Admin).await?.is_none() {
        return Err(ApiError::no_application(&name));
    }
    if wanted.members.len() > limits::MEMBERS {
        return Err(ApiError::BadRequest(format!(
            "`members`: at most {} are allowed",
            limits::MEMBERS
        )));
    }
    for user in wanted.members.keys().filter(|user| !user.is_empty()) {
        api.check_user("`members`", user).await?;
    }
    let members = wanted
        .members
        .into_iter()
        .map(|(user, Member { role })| (user, role))
        .collect();
    let pre = Preconditions {
        uid: None,
        resource_version: wanted.resource_version,
    };
    match api.registry.set_members(&name, members, pre).await {
        Ok(_) => {
            audit!("members.changed", by = %Shown(&login.caller), application = name);
            Ok(StatusCode::NO_CONTENT)
        }
        Err(WriteError::Precondition(_)) => Err(ApiError::Lock),
        Err(error) => Err(error.into()),
    }
}
