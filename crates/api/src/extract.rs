//! What handlers take from a request, with errors in the API's own shape.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequestParts, Path};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sockeye_access::{AuthenticateError, Caller, Credentials, CredentialsError, Proof, audit};
use sockeye_limits as limits;
use sockeye_registry::{Metadata, Preconditions};
use uuid::Uuid;

use crate::Api;
use crate::error::ApiError;

/// A caller who has proved who it is.
pub(crate) struct Login {
    /// As the access room knows it.
    pub(crate) caller: Caller,
    /// The user's name.
    pub(crate) name: String,
    /// May do everything, also with what was shown.
    pub(crate) admin: bool,
}

/// The percent-decoded names in the path.
pub(crate) struct Names<T>(pub(crate) T);

/// The JSON document in the body.
pub(crate) struct Document<T>(pub(crate) T);

/// The optional body of a DELETE: `{"preconditions":{"uid"?,"resourceVersion"?}}`.
pub(crate) struct DeleteOptions(pub(crate) Preconditions);

// ----------------------------------------------------------------------------------------------

impl Login {
    /// Refuses those who have shown a limited key: for what belongs to no application.
    pub(crate) fn unlimited(&self) -> Result<(), ApiError> {
        if self.caller.is_unlimited() {
            Ok(())
        } else {
            Err(ApiError::Forbidden)
        }
    }

    /// Refuses those who are no administrator.
    pub(crate) fn administrator(&self) -> Result<(), ApiError> {
        if self.admin { Ok(()) } else { Err(ApiError::Forbidden) }
    }

    /// Until when the key counts that was shown, if it was one that ends.
    pub(crate) fn key_expires(&self) -> Option<Timestamp> {
        match &self.caller {
            Caller::User {
                proof: Proof::Key { expires, .. },
                ..
            } => *expires,
            _ => None,
        }
    }
}

impl FromRequestParts<Arc<Api>> for Login {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let login = <Self as OptionalFromRequestParts<Arc<Api>>>::from_request_parts(parts, api).await?;
        login.ok_or(ApiError::ANONYMOUS)
    }
}

/// `None` without credentials; wrong ones are an error nevertheless.
impl OptionalFromRequestParts<Arc<Api>> for Login {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Option<Self>, ApiError> {
        let credentials = match Credentials::from_authorization(&parts.headers) {
            Ok(None) => return Ok(None),
            Ok(Some(credentials)) => credentials,
            Err(error @ CredentialsError::MoreThanOne) => return Err(ApiError::BadRequest(error.to_string())),
            Err(error) => return Err(ApiError::Unauthorized(error.to_string().into())),
        };
        let caller = match api.access.authenticate(&credentials).await {
            Ok(caller) => caller,
            Err(AuthenticateError::Unavailable(unavailable)) => return Err(unavailable.into()),
            Err(AuthenticateError::ProviderUnavailable(_)) => return Err(ApiError::provider_away()),
            Err(error) => {
                audit!("login.refused", reason = %error);
                return Err(ApiError::Unauthorized(error.to_string().into()));
            }
        };
        Ok(match &caller {
            Caller::Anonymous | Caller::Tenant { .. } => None,
            Caller::User { name, admin, .. } => Some(Self {
                name: name.clone(),
                admin: *admin && caller.is_unlimited(),
                caller,
            }),
        })
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Names<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match <Path<T> as FromRequestParts<S>>::from_request_parts(parts, state).await {
            Ok(Path(names)) => Ok(Self(names)),
            Err(rejection) => Err(ApiError::BadRequest(rejection.body_text())),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Document<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request<Body>, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(ApiError::NotJson);
        }
        let body = read(body).await?;
        Ok(Self(parse(&body)?))
    }
}

impl<S: Send + Sync> FromRequest<S> for DeleteOptions {
    type Rejection = ApiError;

    async fn from_request(request: Request<Body>, _: &S) -> Result<Self, ApiError> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct Conditions {
            uid: Option<Uuid>,
            resource_version: Option<Uuid>,
        }
        #[derive(Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Options {
            #[serde(default)]
            preconditions: Option<Conditions>,
        }
        let body = read(request.into_body()).await?;
        let options: Options = if body.is_empty() {
            Options::default()
        } else {
            parse(&body)?
        };
        let Conditions { uid, resource_version } = options.preconditions.unwrap_or_default();
        Ok(Self(Preconditions { uid, resource_version }))
    }
}

/// What must hold for a PUT: what the document says of the state it was read in.
pub(crate) fn preconditions(metadata: &Metadata) -> Preconditions {
    let given = |id: Uuid| Some(id).filter(|id| !id.is_nil());
    Preconditions {
        uid: given(metadata.uid),
        resource_version: given(metadata.resource_version),
    }
}

/// `application/json`, with or without parameters. That it is demanded also keeps web pages of other origins from
/// posting forms with a browser's remembered credentials.
fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// A body that is no document.
pub(crate) async fn payload(body: Body) -> Result<Bytes, ApiError> {
    read(body).await
}

async fn read(body: Body) -> Result<Bytes, ApiError> {
    let body = Limited::new(body, limits::REGISTRY_DOCUMENT).collect();
    match tokio::time::timeout(limits::HTTP_BODY_TIME, body).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ApiError::TooLarge),
        Ok(Err(error)) => Err(ApiError::BadRequest(format!("the body could not be read: {error}"))),
        Err(_elapsed) => Err(ApiError::BodyTime),
    }
}

/// The original says `Json deserialize error: ..` too; its clients show the text. Ours names the field.
fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, ApiError> {
    let failed = |place: &str, error: &serde_json::Error| {
        ApiError::BadRequest(format!("Json deserialize error: {place}{error}"))
    };
    let mut body = serde_json::Deserializer::from_slice(text);
    let document = serde_path_to_error::deserialize(&mut body).map_err(|error| {
        // What is no JSON has no place.
        let place = match error.path().to_string().as_str() {
            "." | "?" => String::new(),
            path => format!("`{path}`: "),
        };
        failed(&place, error.inner())
    })?;
    body.end().map_err(|error| failed("", &error))?;
    // An array of the values of all fields would do for serde.
    if !text.trim_ascii_start().starts_with(b"{") {
        let problem = "Json deserialize error: the body must be a JSON object";
        return Err(ApiError::BadRequest(problem.to_owned()));
    }
    Ok(document)
}
