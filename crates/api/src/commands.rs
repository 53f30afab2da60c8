//! `/api/command/v1alpha1`: commands to devices (compat/drogue.md 6.1; they need the right to write, decision 8).

mod rules;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use http::{HeaderName, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sockeye_access::Permission;
use sockeye_event::{content_type, json};
use sockeye_limits as limits;
use sockeye_policy::Policy;
use sockeye_registry::{Application, Command, CommandError, Device, DeviceSpec};
use uuid::Uuid;

use crate::Api;
use crate::error::ApiError;
use crate::extract::{Login, Names, payload};

/// `?command=&ttl=`
#[derive(Debug, Deserialize)]
pub(crate) struct Sending {
    /// What is to be done.
    command: Option<String>,
    /// How long it waits for the device, in seconds.
    ttl: Option<u64>,
}

/// What has become of a command.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shown {
    id: Uuid,
    device: String,
    command: String,
    state: Became,
    created: Timestamp,
    expires: Timestamp,
    /// When it was delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered: Option<Timestamp>,
    /// To which device: its own, or a gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered_to: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Became {
    Waiting,
    Delivered,
    Expired,
}

// ----------------------------------------------------------------------------------------------

/// `POST .../apps/{app}/devices/{device}`: 202 once it is kept, with `Location`, where its state is told.
pub(crate) async fn send(
    State(api): State<Arc<Api>>,
    login: Login,
    Names((application, name)): Names<(String, String)>,
    query: Result<Query<Sending>, QueryRejection>,
    request: Request,
) -> Result<(StatusCode, [(HeaderName, String); 1]), ApiError> {
    let Query(sending) = query.map_err(|rejection| ApiError::BadRequest(rejection.body_text()))?;
    let command = sending.command.unwrap_or_default();
    if !is_name(&command) {
        return Err(ApiError::BadRequest(format!(
            "`command` must be given in the query, with 1 to {} bytes and no control characters",
            limits::CHANNEL_NAME
        )));
    }
    let most = limits::COMMAND_LIFE_MOST.as_secs();
    let life = sending.ttl.unwrap_or(limits::COMMAND_LIFE.as_secs());
    if !(1..=most).contains(&life) {
        return Err(ApiError::BadRequest(format!("`ttl` must be 1 to {most} seconds")));
    }
    let found = api.application(&login, &application, Permission::Write).await?;
    let (head, body) = request.into_parts();
    let content_type = match head.headers.get(header::CONTENT_TYPE).map(HeaderValue::to_str) {
        None => None,
        Some(Ok(text)) => Some(content_type::normalised(&text.into())).filter(|text| !text.is_empty()),
        Some(Err(_)) => return Err(ApiError::BadRequest("`Content-Type` is not a text".to_owned())),
    };
    let payload = payload(body).await?;
    if let Some(declared) = content_type.as_ref().filter(|declared| content_type::is_json(declared))
        && let Err(error) = json::validate(&payload)
    {
        let problem = format!("the payload is {error}; its content type says `{declared}`: correct one of them");
        return Err(ApiError::NotAcceptable(problem));
    }
    let gateways = api.gateways(&found, &name).await?;
    let now = Timestamp::now();
    let mut command = Command {
        id: Uuid::new_v4(),
        application: application.clone(),
        device: name,
        gateways,
        name: command,
        content_type: content_type.map(|text| text.to_string()),
        payload,
        made: now,
        expires: now.checked_add(Duration::from_secs(life)).unwrap_or(Timestamp::MAX),
    };
    let policy = Policy::of(&found.spec).map_err(|error| ApiError::NotAcceptable(error.to_string()))?;
    let kept = rules::obey(&policy, &mut command)?;
    let location = format!("/api/command/v1alpha1/apps/{application}/commands/{}", command.id);
    if !kept {
        return Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)]));
    }
    let forget = now.checked_sub(limits::COMMAND_MEMORY).unwrap_or(Timestamp::MIN);
    match api.registry.keep_command(command, forget).await {
        Ok(()) => Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)])),
        Err(error @ CommandError::NoDevice(_)) => Err(ApiError::NotAcceptable(error.to_string())),
        Err(error @ CommandError::TooMany) => Err(ApiError::Unavailable(error.to_string())),
        Err(CommandError::Unavailable(unavailable)) => Err(unavailable.into()),
    }
}

/// `GET .../apps/{app}/commands/{id}`
pub(crate) async fn get(
    State(api): State<Arc<Api>>,
    login: Login,
    Names((application, id)): Names<(String, String)>,
) -> Result<Json<Shown>, ApiError> {
    api.application(&login, &application, Permission::Read).await?;
    let found = match id.parse() {
        Ok(id) => api.registry.command(&application, id).await?,
        Err(_) => None,
    };
    let (command, taken) = found.ok_or_else(|| ApiError::NotFound(format!("command `{id}`, or no longer")))?;
    let state = match &taken {
        Some(_) => Became::Delivered,
        None if command.expires > Timestamp::now() => Became::Waiting,
        None => Became::Expired,
    };
    let (delivered, delivered_to) = taken.map(|taken| (taken.at, taken.by)).unzip();
    Ok(Json(Shown {
        id: command.id,
        device: command.device,
        command: command.name,
        state,
        created: command.made,
        expires: command.expires,
        delivered,
        delivered_to,
    }))
}

/// Whether it can stand in the head of an answer.
fn is_name(command: &str) -> bool {
    (1..=limits::CHANNEL_NAME).contains(&command.len()) && HeaderValue::from_str(command).is_ok()
}

impl Api {
    /// Who may fetch commands for a device that can be commanded: those of its gateways that are there and enabled.
    async fn gateways(&self, application: &Application, name: &str) -> Result<Vec<String>, ApiError> {
        let of = &application.metadata.name;
        let usable = |device: &Device| !device.is_disabled() && device.metadata.deletion_timestamp.is_none();
        let no_device = || ApiError::NotAcceptable(format!("there is no device `{name}` that can be commanded"));
        if application.is_disabled() || application.metadata.deletion_timestamp.is_some() {
            return Err(no_device());
        }
        let device = self
            .registry
            .device(of, name)
            .await?
            .filter(usable)
            .ok_or_else(no_device)?;
        let named: BTreeSet<String> = DeviceSpec::of(&device)
            .unwrap_or_default()
            .gateways
            .into_iter()
            .collect();
        if named.len() > limits::COMMAND_GATEWAYS {
            let problem = format!("the device has more than {} gateways", limits::COMMAND_GATEWAYS);
            return Err(ApiError::NotAcceptable(problem));
        }
        let mut gateways = Vec::new();
        for gateway in named.into_iter().filter(|gateway| gateway != name) {
            if self.registry.device(of, &gateway).await?.as_ref().is_some_and(usable) {
                gateways.push(gateway);
            }
        }
        Ok(gateways)
    }
}
