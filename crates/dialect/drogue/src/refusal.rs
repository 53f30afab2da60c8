//! How the request for a stream is refused, before the upgrade (compat/drogue.md 1.4 with decision 2).

use std::borrow::Cow;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use sockeye_access::{AuthenticateError, CredentialsError};
use sockeye_delivery::{EnterError, JoinError};
use sockeye_limits as limits;
use sockeye_log::{ReadError, TopicError};
use sockeye_registry::Unavailable;
use sockeye_ws::handshake::{HandshakeError, VERSION};

/// Why there is no stream, with what the client is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// 400: the query, or the credentials as a whole.
    #[error("{0}")]
    BadRequest(Cow<'static, str>),
    /// 401: credentials that cannot be read, or do not count.
    #[error("{0}")]
    Unauthorized(Cow<'static, str>),
    /// 410: the events at the cursor are gone. With the cursor of the oldest that are there.
    #[error("{message}")]
    Gone { message: &'static str, cursor: String },
    /// 404: not there, or not for this caller. The text is the original's.
    #[error("Resource not found: Application / {0}")]
    NoApplication(String),
    /// 404: nothing is called so.
    #[error("there is nothing here: GET /<application> or /<application>/<channel> opens a stream")]
    NotFound,
    /// 404: a path of the server itself.
    #[error("there is nothing here: `{0}` is no application but a path of the server itself")]
    Reserved(String),
    /// 409: the group does not take this client.
    #[error("{0}")]
    Conflict(JoinError),
    /// 405: only GET opens a stream.
    #[error("a stream is opened with GET")]
    MethodNotAllowed,
    /// 400 or 426: not the WebSocket handshake that is served.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// 503: the registry or the log did not answer.
    #[error("{0}")]
    Unavailable(&'static str),
}

#[derive(Serialize)]
struct Explanation<'a> {
    error: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<&'a str>,
}

// ----------------------------------------------------------------------------------------------

impl Refusal {
    /// A parameter that needs another one.
    pub(crate) fn lone(name: &str, other: &str) -> Self {
        Self::BadRequest(format!("the query parameter `{name}` needs `{other}` beside it").into())
    }

    /// A parameter that may be given once.
    pub(crate) fn repeated(name: &str) -> Self {
        Self::BadRequest(format!("the query parameter `{name}` is given more than once: give it once").into())
    }

    /// A parameter whose bytes are no text.
    pub(crate) fn not_utf8(name: &str) -> Self {
        Self::BadRequest(format!("the query parameter `{name}` is not UTF-8 after percent-decoding").into())
    }

    /// A parameter with a value that is not allowed; what is wrong follows its name.
    pub(crate) fn wrong(name: &str, problem: &str) -> Self {
        Self::BadRequest(format!("the query parameter `{name}` {problem}").into())
    }

    /// A group reads from where it is.
    pub(crate) fn not_for_groups(name: &str) -> Self {
        Self::wrong(
            name,
            "is not for a `group_id`: a group has a position of its own, which `sockeye group create --from` and \
             `sockeye group seek` set",
        )
    }

    /// A user name that is not there.
    pub(crate) const NO_USER: Self = Self::Unauthorized(Cow::Borrowed("the query parameter `username` is empty"));
    /// What is wrong with the log is the operator's to know.
    pub(crate) const LOG_UNAVAILABLE: Self = Self::Unavailable("the event log is not available, try again later");

    /// A group of this application cannot be joined.
    pub(crate) fn of_group(error: EnterError, application: &str) -> Self {
        match error {
            EnterError::Refused(error) => Self::Conflict(error),
            EnterError::NoApplication => Self::NoApplication(application.to_owned()),
            EnterError::Unavailable(unavailable) => {
                tracing::warn!(%unavailable, "a group could not be joined");
                Self::Unavailable("the position of the group is not available, try again later")
            }
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::NoApplication(_) | Self::NotFound | Self::Reserved(_) => StatusCode::NOT_FOUND,
            Self::Gone { .. } => StatusCode::GONE,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Handshake(HandshakeError::NoUpgrade | HandshakeError::Version) => StatusCode::UPGRADE_REQUIRED,
            Self::BadRequest(_) | Self::Handshake(_) => StatusCode::BAD_REQUEST,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn error(&self) -> &'static str {
        match self.status() {
            StatusCode::UNAUTHORIZED => "Unauthorized",
            StatusCode::NOT_FOUND => "NotFound",
            StatusCode::METHOD_NOT_ALLOWED => "MethodNotAllowed",
            StatusCode::CONFLICT => "Conflict",
            StatusCode::GONE => "Gone",
            StatusCode::UPGRADE_REQUIRED => "UpgradeRequired",
            StatusCode::SERVICE_UNAVAILABLE => "Unavailable",
            _ => "BadRequest",
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = Explanation {
            error: self.error(),
            message: &self.to_string(),
            cursor: match &self {
                Self::Gone { cursor, .. } => Some(cursor),
                _ => None,
            },
        };
        let body = serde_json::to_vec(&body).expect("plain strings are JSON");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let told: &[(HeaderName, &'static str)] = match status {
            StatusCode::UNAUTHORIZED => &[(header::WWW_AUTHENTICATE, "Basic realm=\"Sockeye\", charset=\"UTF-8\"")],
            StatusCode::METHOD_NOT_ALLOWED => &[(header::ALLOW, "GET")],
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
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(limits::RETRY_AFTER_SECONDS));
        }
        response
    }
}

impl From<CredentialsError> for Refusal {
    fn from(error: CredentialsError) -> Self {
        match error {
            CredentialsError::MoreThanOne => Self::BadRequest(error.to_string().into()),
            _ => Self::Unauthorized(error.to_string().into()),
        }
    }
}

impl From<AuthenticateError> for Refusal {
    fn from(error: AuthenticateError) -> Self {
        match error {
            AuthenticateError::Unavailable(unavailable) => unavailable.into(),
            // Why is the operator's to know, who was told when it began.
            AuthenticateError::ProviderUnavailable(_) => {
                Self::Unavailable("the provider of this token does not answer now, try again later")
            }
            _ => Self::Unauthorized(error.to_string().into()),
        }
    }
}

impl From<Unavailable> for Refusal {
    fn from(unavailable: Unavailable) -> Self {
        tracing::warn!(%unavailable, "a stream could not be opened");
        Self::Unavailable("users and applications cannot be looked up now, try again later")
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        tracing::warn!(%error, "a stream could not be opened");
        Self::LOG_UNAVAILABLE
    }
}

impl From<TopicError> for Refusal {
    fn from(error: TopicError) -> Self {
        tracing::warn!(%error, "a stream could not be opened");
        Self::LOG_UNAVAILABLE
    }
}
