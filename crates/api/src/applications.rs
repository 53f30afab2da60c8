//! `/api/registry/v1alpha1/apps`

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use http::{HeaderName, StatusCode, header};
use serde::Deserialize;
use sockeye_access::Permission;
use sockeye_event::name;
use sockeye_log::Topic;
use sockeye_policy::{Keep, Policy, retention_of};
use sockeye_registry::{Application, Found, WriteError};

use crate::Api;
use crate::conditions::{with_conditions, without_conditions};
use crate::error::ApiError;
use crate::extract::{DeleteOptions, Document, Login, Names, preconditions};
use crate::list::{self, Asked, ListQuery};

/// How an application is made.
#[derive(Debug, Deserialize)]
pub(crate) struct Making {
    /// With the events that are there under its name already (in Kafka).
    #[serde(default)]
    adopt: bool,
}

/// `POST`: 201 with `Location`. The caller becomes the owner. `?adopt=true` is for administrators: whose events they are that are
/// in Kafka already, nobody else can know.
pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    login: Login,
    making: Result<Query<Making>, QueryRejection>,
    Document(application): Document<Application>,
) -> Result<(StatusCode, [(HeaderName, String); 1]), ApiError> {
    login.unlimited()?;
    let Query(Making { adopt }) = making.map_err(|rejection| ApiError::BadRequest(rejection.body_text()))?;
    if adopt {
        login.administrator()?;
    }
    let name = application.metadata.name.clone();
    name::application(&name).map_err(|error| ApiError::BadRequest(format!("`metadata.name`: {error}")))?;
    no_application_in(&application)?;
    let retention = policy_of(&application)?.keep.retention(api.retention);
    let mut application = without_conditions(application);
    application.owner = login.name;

    let _one_at_a_time = api.lifecycle.lock().await;
    if api.registry.application(&name).await?.is_some() {
        return Err(ApiError::Conflict(format!("`{name}` is taken")));
    }
    // Before the application is there, so that nobody ever sees events of a namesake that was deleted; but for an administrator who
    // wants them.
    if !adopt {
        api.removal.clear(&name).await?;
    }
    for topic in Topic::all_of(name.clone()) {
        api.log.claim_topic(&topic, adopt).await?;
    }
    api.registry.create_application(application).await?;
    // After the application: a topic without one would be in the way of the next try. Whoever needs it first makes it, if this fails.
    let topic = Topic::events_of(name.clone());
    if let Err(error) = api.log.create_topic(&topic, retention).await {
        tracing::warn!(%error, %topic, "the log of a new application is made when it is needed");
    }
    let location = format!("/api/registry/v1alpha1/apps/{name}");
    Ok((StatusCode::CREATED, [(header::LOCATION, location)]))
}

/// `GET`: those that the caller may read.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    login: Login,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let asked = Asked::of(query)?;
    let caller = Arc::new(login.caller);
    let fetch = move |wanted| {
        let (api, caller) = (api.clone(), caller.clone());
        async move {
            let Found { entries, next } = api.registry.applications(wanted).await?;
            let may_read = |application: &Application| caller.may(Permission::Read, application);
            let shown = |application| Some(application).filter(may_read).map(with_conditions);
            Ok(Found {
                entries: entries.into_iter().map(shown).collect(),
                next,
            })
        }
    };
    list::answer(asked, fetch).await
}

/// `GET` of one.
pub(crate) async fn get(
    State(api): State<Arc<Api>>,
    login: Login,
    Names(name): Names<String>,
) -> Result<Json<Application>, ApiError> {
    let application = api.application(&login, &name, Permission::Read).await?;
    Ok(Json(with_conditions(application)))
}

/// `PUT`: 204.
pub(crate) async fn update(
    State(api): State<Arc<Api>>,
    login: Login,
    Names(name): Names<String>,
    Document(application): Document<Application>,
) -> Result<StatusCode, ApiError> {
    if application.metadata.name != name {
        return Err(ApiError::BadRequest(
            "`metadata.name` is not the name in the path".to_owned(),
        ));
    }
    no_application_in(&application)?;
    let keep = policy_of(&application)?.keep;
    // Held until the log is told, so that of two changes the last one counts there too.
    let _one_at_a_time = api.lifecycle.lock().await;
    let before = api.application(&login, &name, Permission::Write).await?;
    let pre = preconditions(&application.metadata);
    api.registry
        .update_application(without_conditions(application), pre)
        .await?;
    let default = Keep::default();
    if keep != default || retention_of(&before.spec, api.retention) != api.retention {
        let topic = Topic::events_of(name);
        api.log.create_topic(&topic, keep.retention(api.retention)).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE`: 204. Its devices and groups go with it, and later its events and dead letters. While finalizers hold it, or devices, it
/// is only marked.
pub(crate) async fn delete(
    State(api): State<Arc<Api>>,
    login: Login,
    Names(name): Names<String>,
    DeleteOptions(pre): DeleteOptions,
) -> Result<StatusCode, ApiError> {
    api.application(&login, &name, Permission::Admin).await?;
    // An event on its way finds no application for which to make a topic again. That of this one is removed later.
    let _one_at_a_time = api.lifecycle.lock().await;
    api.registry
        .delete_application(&name, pre)
        .await
        .map_err(|error| match error {
            WriteError::NotFound(_) => ApiError::no_application(&name),
            error => error.into(),
        })?;
    api.removal.deleted(&name).await;
    Ok(StatusCode::NO_CONTENT)
}

// ----------------------------------------------------------------------------------------------

/// What the event path will obey: rules that nobody would are refused here, not when a device publishes.
fn policy_of(application: &Application) -> Result<Policy, ApiError> {
    Policy::of(&application.spec).map_err(|error| ApiError::BadRequest(error.to_string()))
}

/// Only devices name an application.
fn no_application_in(application: &Application) -> Result<(), ApiError> {
    if application.metadata.application.is_empty() {
        return Ok(());
    }
    Err(ApiError::BadRequest(
        "`metadata.application` is for devices: leave it out".to_owned(),
    ))
}
