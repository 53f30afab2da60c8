//! `/api/registry/v1alpha1/apps/{app}/devices`

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use http::{HeaderName, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sockeye_access::{AuthorizeError, Permission, check_password};
use sockeye_event::name;
use sockeye_limits as limits;
use sockeye_registry::{Credential, Device, DeviceSpec, Found, Password, WriteError};

use crate::Api;
use crate::error::ApiError;
use crate::extract::{DeleteOptions, Document, Login, Names, preconditions};
use crate::list::{self, Asked, ListQuery};

/// Sections of `spec` that hold credentials: only those who may change them see them.
const SECRETS: [&str; 2] = ["authentication", "credentials"];

/// `POST`: 201 with `Location`.
pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    login: Login,
    Names(application): Names<String>,
    Document(mut device): Document<Device>,
) -> Result<(StatusCode, [(HeaderName, String); 1]), ApiError> {
    let name = device.metadata.name.clone();
    name::device(&name).map_err(|error| ApiError::BadRequest(format!("`metadata.name`: {error}")))?;
    check(&mut device, &application)?;
    let no_application = || ApiError::ReferenceNotFound(application.clone());
    let found = api
        .authorize(&login, &application, Permission::Write)
        .await?
        .ok_or_else(no_application)?;
    if found.metadata.deletion_timestamp.is_some() {
        return Err(no_application());
    }
    match api.registry.create_device(device).await {
        Ok(_) => {
            api.events.told().await;
            let encoded = utf8_percent_encode(&name, NON_ALPHANUMERIC);
            let location = format!("/api/registry/v1alpha1/apps/{application}/devices/{encoded}");
            Ok((StatusCode::CREATED, [(header::LOCATION, location)]))
        }
        Err(WriteError::NotFound(_)) => Err(no_application()),
        Err(error) => Err(error.into()),
    }
}

/// `GET`: all of the application.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    login: Login,
    Names(application): Names<String>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let asked = Asked::of(query)?;
    let secrets = may_see(&api, &login, &application).await?;
    let fetch = move |wanted| {
        let (api, application) = (api.clone(), application.clone());
        async move {
            let Found { entries, next } = api.registry.devices(&application, wanted).await?;
            let shown = |device| Some(shown(device, secrets));
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
    Names((application, name)): Names<(String, String)>,
) -> Result<Json<Device>, ApiError> {
    let secrets = may_see(&api, &login, &application).await?;
    match api.registry.device(&application, &name).await? {
        Some(device) => Ok(Json(shown(device, secrets))),
        None => Err(ApiError::no_device(&name)),
    }
}

/// `PUT`: 204.
pub(crate) async fn update(
    State(api): State<Arc<Api>>,
    login: Login,
    Names((application, name)): Names<(String, String)>,
    Document(mut device): Document<Device>,
) -> Result<StatusCode, ApiError> {
    if device.metadata.name != name {
        return Err(ApiError::BadRequest(
            "`metadata.name` is not the name in the path".to_owned(),
        ));
    }
    check(&mut device, &application)?;
    may_write(&api, &login, &application).await?;
    let pre = preconditions(&device.metadata);
    api.registry.update_device(device, pre).await?;
    api.events.told().await;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE`: 204.
pub(crate) async fn delete(
    State(api): State<Arc<Api>>,
    login: Login,
    Names((application, name)): Names<(String, String)>,
    DeleteOptions(pre): DeleteOptions,
) -> Result<StatusCode, ApiError> {
    may_write(&api, &login, &application).await?;
    match api.registry.delete_device(&application, &name, pre).await {
        Err(WriteError::NotFound(_)) => Err(ApiError::no_device(&name)),
        deleted => {
            deleted?;
            api.events.told().await;
            Ok(StatusCode::NO_CONTENT)
        }
    }
}

// ----------------------------------------------------------------------------------------------

/// Puts the device into the application of the path, and demands that the platform can read it.
fn check(device: &mut Device, application: &str) -> Result<(), ApiError> {
    let named = &mut device.metadata.application;
    if named.is_empty() {
        application.clone_into(named);
    }
    if named != application {
        let problem = "`metadata.application` is not the application in the path";
        return Err(ApiError::BadRequest(problem.to_owned()));
    }
    let spec = DeviceSpec::of(device).map_err(|error| ApiError::BadRequest(error.to_string()))?;
    for alias in spec.logins() {
        name::device(alias).map_err(|error| ApiError::BadRequest(format!("alias or unique user name: {error}")))?;
    }
    // The older name of the section counts where the newer one is absent (compat/drogue.md 4.3).
    let newer = device.spec.contains_key("authentication");
    check_passwords(&spec, if newer { "authentication" } else { "credentials" })
}

/// A password that could never be verified is refused here, not when the device logs in.
fn check_passwords(spec: &DeviceSpec, section: &str) -> Result<(), ApiError> {
    let problem = |text: &str| Err(ApiError::BadRequest(format!("`spec.{section}.credentials` {text}")));
    let mut hashes = 0;
    for (at, credential) in spec.credentials.iter().enumerate() {
        let (Credential::Pass(password) | Credential::User { password, .. }) = credential else {
            continue;
        };
        if let Err(error) = check_password(password) {
            return problem(&format!("entry {at}: the password {error}"));
        }
        hashes += usize::from(!matches!(password, Password::Plain(_)));
    }
    if hashes > limits::HASHES_PER_DEVICE {
        return problem(&format!(
            "has {hashes} hashed passwords, {} are allowed",
            limits::HASHES_PER_DEVICE
        ));
    }
    Ok(())
}

async fn may_write(api: &Api, login: &Login, application: &str) -> Result<(), ApiError> {
    match api.authorize(login, application, Permission::Write).await? {
        Some(_) => Ok(()),
        None => Err(ApiError::no_application(application)),
    }
}

/// Demands the right to read, and tells whether credentials may be seen too.
async fn may_see(api: &Api, login: &Login, application: &str) -> Result<bool, ApiError> {
    match api
        .access
        .remembered(&login.caller, application, Permission::Read)
        .await
    {
        Ok(found) => Ok(login.caller.may(Permission::Write, &found)),
        Err(AuthorizeError::NotFound) => Err(ApiError::no_application(application)),
        Err(AuthorizeError::Unavailable(unavailable)) => Err(unavailable.into()),
    }
}

/// The document as the caller may see it.
fn shown(mut device: Device, secrets: bool) -> Device {
    if !secrets {
        device.spec.retain(|section, _| !SECRETS.contains(&section.as_str()));
    }
    device
}
