//! Answers that are no WebSocket: JSON with a `message` (compat/dojot.md 1.1 and 2).

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use sockeye_access::{AuthenticateError, TicketRefused};
use sockeye_limits as limits;
use sockeye_registry::{TicketError, Unavailable};
use sockeye_ws::handshake::{HandshakeError, VERSION};

/// Why somebody does not get what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// 401: no credentials. The text is the original's.
    #[error("Missing JWT token")]
    NoToken,
    /// 401: credentials that do not count. The text is the original's; why is in the log.
    #[error("Invalid JWT token")]
    BadToken,
    /// 401: wrong name or password at `/auth`.
    #[error("the user name or the access key (`passwd`) is wrong")]
    BadLogin,
    /// 401, if that is how tickets are refused.
    #[error("{0}")]
    Ticket(String),
    /// 400: a body that is no login.
    #[error("send JSON: {{\"username\": <user>, \"passwd\": <access key>}}")]
    Body,
    /// 404: nothing is here. The text is the original's.
    #[error("Not Found")]
    NotFound,
    /// 405.
    #[error("this path does not know the method: `Allow` says which it knows")]
    Method(&'static str),
    /// 426: a plain request for a topic. The text is that of the documentation.
    #[error("Invalid request - non-WebSocket connection received in WS endpoint")]
    NoWebSocket,
    /// 400 or 426: not the handshake that is served.
    #[error(transparent)]
    Handshake(HandshakeError),
    /// 503: too many tickets wait.
    #[error(transparent)]
    TooMany(TicketError),
    /// 503: something is away.
    #[error("not available now, try again later")]
    Unavailable,
}

// ----------------------------------------------------------------------------------------------

impl Refusal {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NoToken | Self::BadToken | Self::BadLogin | Self::Ticket(_) => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoWebSocket | Self::Handshake(HandshakeError::Version) => StatusCode::UPGRADE_REQUIRED,
            Self::Body | Self::Handshake(_) => StatusCode::BAD_REQUEST,
            Self::TooMany(_) | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<HandshakeError> for Refusal {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::NoUpgrade => Self::NoWebSocket,
            error => Self::Handshake(error),
        }
    }
}

impl From<AuthenticateError> for Refusal {
    fn from(error: AuthenticateError) -> Self {
        match error {
            AuthenticateError::Unavailable(unavailable) => unavailable.into(),
            // Why is the operator's to know, who was told when it began.
            AuthenticateError::ProviderUnavailable(_) => Self::Unavailable,
            error => {
                tracing::debug!(%error, "credentials do not count");
                Self::BadToken
            }
        }
    }
}

impl From<TicketRefused> for Refusal {
    fn from(refused: TicketRefused) -> Self {
        match refused {
            TicketRefused::Anonymous => Self::NoToken,
            TicketRefused::NotKept(TicketError::Unavailable(unavailable)) => unavailable.into(),
            TicketRefused::NotKept(error) => Self::TooMany(error),
        }
    }
}

impl From<Unavailable> for Refusal {
    fn from(unavailable: Unavailable) -> Self {
        tracing::warn!(%unavailable, "a ticket could not be looked up or kept");
        Self::Unavailable
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = answer(status, &json!({"message": self.to_string()}));
        let headers = response.headers_mut();
        let told: &[(HeaderName, &'static str)] = match status {
            StatusCode::UNAUTHORIZED => &[(header::WWW_AUTHENTICATE, "Bearer")],
            // RFC 9110 section 15.5.22, RFC 6455 section 4.4.
            StatusCode::UPGRADE_REQUIRED => &[
                (header::CONNECTION, "upgrade"),
                (header::UPGRADE, "websocket"),
                (header::SEC_WEBSOCKET_VERSION, VERSION),
            ],
            _ => &[],
        };
        for (name, value) in told {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Self::Method(allowed) = self {
            headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(limits::RETRY_AFTER_SECONDS));
        }
        response
    }
}

/// JSON that nobody keeps: it holds secrets, or is true for a moment.
pub(crate) fn answer(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
