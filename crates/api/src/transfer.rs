//! `/api/admin/v1alpha1/apps/{app}/transfer-ownership` and `accept-ownership` (compat/drogue.md 4.4): an application changes hands
//! when its owner offers it and the other one takes it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use sockeye_access::audit::Shown;
use sockeye_access::{Permission, audit};
use sockeye_registry::{Application, WriteError};

use crate::Api;
use crate::error::ApiError;
use crate::extract::{Document, Login, Names};

/// To whom it is offered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Offer {
    new_user: String,
}

// ----------------------------------------------------------------------------------------------

/// `PUT`: 202. By the owner.
pub(crate) async fn offer(
    State(api): State<Arc<Api>>,
    login: Login,
    Names(name): Names<String>,
    Document(Offer { new_user }): Document<Offer>,
) -> Result<StatusCode, ApiError> {
    let found = api.authorize(&login, &name, Permission::Owner).await?;
    found.ok_or_else(|| ApiError::no_application(&name))?;
    api.check_user("`newUser`", &new_user).await?;
    api.registry.offer_application(&name, Some(&new_user)).await?;
    audit!("ownership.offered", by = %Shown(&login.caller), application = name, to = new_user);
    Ok(StatusCode::ACCEPTED)
}

/// `GET`: 200, or 204 if it is offered to nobody. By the owner, and by whom it is offered to.
pub(crate) async fn get(
    State(api): State<Arc<Api>>,
    login: Login,
    Names(name): Names<String>,
) -> Result<Response, ApiError> {
    let application = concerned(&api, &login, &name).await?;
    Ok(match application.offered_to {
        Some(new_user) => Json(Offer { new_user }).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// `DELETE`: 204. By the owner, and by whom it is offered to.
pub(crate) async fn withdraw(
    State(api): State<Arc<Api>>,
    login: Login,
    Names(name): Names<String>,
) -> Result<StatusCode, ApiError> {
    concerned(&api, &login, &name).await?;
    api.registry.offer_application(&name, None).await?;
    audit!("ownership.withdrawn", by = %Shown(&login.caller), application = name);
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT`: 204. By whom it is offered to, and by nobody else: an administrator would make an offer to himself. Never by a caller without a
/// name (compat/drogue.md 9, 21).
pub(crate) async fn accept(
    State(api): State<Arc<Api>>,
    login: Login,
    Names(name): Names<String>,
) -> Result<StatusCode, ApiError> {
    login.unlimited()?;
    match api.registry.accept_application(&name, &login.name).await {
        Ok(_) => {
            audit!("ownership.accepted", by = %Shown(&login.caller), application = name);
            Ok(StatusCode::NO_CONTENT)
        }
        Err(WriteError::NotFound(_)) => Err(ApiError::no_application(&name)),
        Err(error) => Err(error.into()),
    }
}

// ----------------------------------------------------------------------------------------------

/// The application, if the caller is its owner, or it is offered to the caller.
async fn concerned(api: &Api, login: &Login, name: &str) -> Result<Application, ApiError> {
    let application = api.registry.application(name).await?;
    let is_concerned = |application: &Application| {
        let is_receiver = application.offered_to.as_ref() == Some(&login.name) && login.caller.is_unlimited();
        is_receiver || login.caller.may(Permission::Owner, application)
    };
    application
        .filter(is_concerned)
        .ok_or_else(|| ApiError::no_application(name))
}
