//! What clients ask first: where everything is (compat/drogue.md 3.1), and who knows their users.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::uri::Authority;
use http::{StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};

use crate::Api;
use crate::error::ApiError;
use crate::extract::Login;

/// How clients reach the server.
#[derive(Clone, Debug, Default)]
pub struct Reached {
    /// The beginning of every URL, without a `/` at its end; without one, it is what a request was sent to.
    pub url: Option<String>,
    /// Whether requests come over TLS.
    pub tls: bool,
    /// The provider with which people log in.
    pub issuer: Option<String>,
}

/// The beginning of URLs for the client that asks.
pub(crate) struct Base(String);

/// The document; what Sockeye does not have is left out.
#[derive(Serialize)]
pub(crate) struct Endpoints {
    api: String,
    issuer_url: String,
    command_url: String,
    http: Endpoint,
    websocket_integration: Endpoint,
    registry: Endpoint,
}

#[derive(Serialize)]
struct Endpoint {
    url: String,
}

/// What version this is of what clients know.
#[derive(Serialize)]
pub(crate) struct Version {
    version: &'static str,
}

// ----------------------------------------------------------------------------------------------

/// The release of Drogue Cloud whose clients are served.
const SERVED: &str = "0.11.0";

/// `GET /.well-known/drogue-endpoints`
pub(crate) async fn endpoints(State(api): State<Arc<Api>>, Base(url): Base) -> Json<Endpoints> {
    let web_socket = url.replacen("http", "ws", 1);
    let here = |url: &str| Endpoint { url: url.to_owned() };
    Json(Endpoints {
        issuer_url: api.reached.issuer.clone().unwrap_or_else(|| url.clone()),
        http: here(&url),
        websocket_integration: here(&web_socket),
        registry: here(&url),
        command_url: url.clone(),
        api: url,
    })
}

/// `GET /api/console/v1alpha1/info`: the same. `drg login` shows here what it was given.
pub(crate) async fn info(login: Option<Login>, api: State<Arc<Api>>, base: Base) -> Json<Endpoints> {
    drop(login);
    endpoints(api, base).await
}

/// `GET /.well-known/drogue-version`
pub(crate) async fn version() -> Json<Version> {
    Json(Version { version: SERVED })
}

/// `GET /.well-known/openid-configuration`, where no provider is configured: `drg` wants it, even if it brings an access key.
pub(crate) async fn openid(State(api): State<Arc<Api>>, Base(url): Base) -> Result<Json<Value>, ApiError> {
    if api.reached.issuer.is_some() {
        return Err(ApiError::NotFound("such a document: the provider has it".to_owned()));
    }
    let nowhere = format!("{url}/.well-known/no-single-sign-on");
    Ok(Json(json!({
        "issuer": url,
        "authorization_endpoint": nowhere,
        "token_endpoint": nowhere,
        "jwks_uri": nowhere,
        "response_types_supported": [],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [],
    })))
}

/// Where that leads: an error of OAuth (RFC 6749 section 5.2), which clients show.
pub(crate) async fn no_single_sign_on(Base(url): Base) -> Response {
    let description = format!(
        "there is no single sign-on here: log in with an access key, such as `drg login {url} --access-token USER:KEY`"
    );
    let body = json!({"error": "unsupported_grant_type", "error_description": description});
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

impl FromRequestParts<Arc<Api>> for Base {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        if let Some(url) = &api.reached.url {
            return Ok(Self(url.clone()));
        }
        let named = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let authority = match (parts.uri.authority(), named) {
            (Some(authority), _) => Some(authority.clone()),
            (None, named) => named.and_then(|host| host.parse::<Authority>().ok()),
        };
        // A user in it has no place in a URL that is given to others.
        let authority = authority.filter(|authority| !authority.as_str().contains('@'));
        let authority =
            authority.ok_or_else(|| ApiError::BadRequest("`Host` is missing, or no name of a server".to_owned()))?;
        let scheme = if api.reached.tls { "https" } else { "http" };
        Ok(Self(format!("{scheme}://{authority}")))
    }
}
