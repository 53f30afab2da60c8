//! Errors of the API: statuses and codes of compat/drogue.md 4.2, messages that say what to do. Where the original answers
//! without a body, ours has one: its clients look at the status only.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use sockeye_limits as limits;
use sockeye_log::{AppendError, GroupError, ReadError, TopicError};
use sockeye_registry::{Unavailable, WriteError};

/// Why a call was not carried out.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ApiError {
    /// 400 `BadRequest`: the body, a name, a parameter.
    #[error("{0}")]
    BadRequest(String),
    /// 400 `InvalidRequest`: a label selector.
    #[error("{0}")]
    InvalidRequest(String),
    /// 401: no credentials, or none that count.
    #[error("{0}")]
    Unauthorized(Cow<'static, str>),
    /// 403 `AuthenticationError`: known, but may not. The code is the original's.
    #[error("Not authorized")]
    Forbidden,
    /// 404 `NotFound`: it is not there, or the caller must not know.
    #[error("there is no {0}")]
    NotFound(String),
    /// 404 `ReferenceNotFound`: the application of a new device is not there, or the caller may not write to it.
    #[error("there is no application `{0}` in which you may make devices")]
    ReferenceNotFound(String),
    /// 405.
    #[error("this path does not know the method: `Allow` says which it knows")]
    MethodNotAllowed,
    /// 406: a command that cannot be carried out (compat/drogue.md 6.1).
    #[error("{0}")]
    NotAcceptable(String),
    /// 408.
    #[error("the body did not arrive within {} seconds", limits::HTTP_BODY_TIME.as_secs())]
    BodyTime,
    /// 409 `Conflict`: a name is taken or a precondition does not hold.
    #[error("{0}")]
    Conflict(String),
    /// 409 `OptimisticLockFailed`: members were changed meanwhile.
    #[error("Lock failed: read the members again and repeat your change with the new `resourceVersion`")]
    Lock,
    /// 413.
    #[error("the document is longer than {} bytes", limits::REGISTRY_DOCUMENT)]
    TooLarge,
    /// 415.
    #[error("send JSON, and say so: `Content-Type: application/json`")]
    NotJson,
    /// 503: the registry or the log does not answer.
    #[error("{0}")]
    Unavailable(String),
}

#[derive(Serialize)]
struct Explanation<'a> {
    error: &'a str,
    message: &'a str,
}

// ----------------------------------------------------------------------------------------------

impl ApiError {
    /// For calls without credentials.
    pub(crate) const ANONYMOUS: Self = Self::Unauthorized(Cow::Borrowed(
        "this call needs credentials: `Authorization: Basic` with a user name and an access key, or `Bearer` with a token",
    ));

    /// Why is the operator's to know, who was told when it began.
    pub(crate) fn provider_away() -> Self {
        Self::Unavailable("the provider of this token does not answer now, try again later".to_owned())
    }

    pub(crate) fn no_application(name: &str) -> Self {
        Self::NotFound(format!("application `{name}`"))
    }

    pub(crate) fn no_device(name: &str) -> Self {
        Self::NotFound(format!("device `{name}`"))
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::InvalidRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound(_) | Self::ReferenceNotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable(_) => StatusCode::NOT_ACCEPTABLE,
            Self::BodyTime => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict(_) | Self::Lock => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "BadRequest",
            Self::InvalidRequest(_) => "InvalidRequest",
            Self::Unauthorized(_) => "NotAuthorized",
            Self::Forbidden => "AuthenticationError",
            Self::NotFound(_) => "NotFound",
            Self::ReferenceNotFound(_) => "ReferenceNotFound",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::NotAcceptable(_) => "NotAcceptable",
            Self::BodyTime => "RequestTimeout",
            Self::Conflict(_) => "Conflict",
            Self::Lock => "OptimisticLockFailed",
            Self::TooLarge => "PayloadTooLarge",
            Self::NotJson => "UnsupportedMediaType",
            Self::Unavailable(_) => "Unavailable",
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = Explanation {
            error: self.code(),
            message: &self.to_string(),
        };
        let body = serde_json::to_vec(&body).expect("plain strings are JSON");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match status {
            StatusCode::UNAUTHORIZED => {
                let challenge = HeaderValue::from_static("Basic realm=\"Sockeye\", charset=\"UTF-8\"");
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(limits::RETRY_AFTER_SECONDS));
            }
            _ => {}
        }
        response
    }
}

impl From<Unavailable> for ApiError {
    fn from(unavailable: Unavailable) -> Self {
        tracing::warn!(%unavailable, "an API call failed");
        Self::Unavailable("the registry is not available, try again later".to_owned())
    }
}

impl From<TopicError> for ApiError {
    fn from(error: TopicError) -> Self {
        if let TopicError::Found(name) = error {
            return Self::Conflict(format!(
                "Kafka has a topic `{name}` already: remove it, or let an administrator make the application with its events \
                 (`sockeye app create --adopt`, `?adopt=true`)"
            ));
        }
        tracing::warn!(%error, "an API call failed");
        Self::Unavailable("the log is not available, try again later".to_owned())
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        tracing::warn!(%error, "an API call failed");
        match error {
            ReadError::NoTopic(topic) => Self::NotFound(format!("log `{topic}`")),
            ReadError::Trimmed { .. } | ReadError::OtherIncarnation { .. } | ReadError::BeyondEnd { .. } => {
                Self::Conflict("the log was changed meanwhile, try again".to_owned())
            }
            ReadError::Unavailable(_) => Self::Unavailable("the log is not available, try again later".to_owned()),
        }
    }
}

impl From<AppendError> for ApiError {
    fn from(error: AppendError) -> Self {
        tracing::warn!(%error, "an API call failed");
        match error {
            AppendError::NoTopic(topic) => Self::NotFound(format!("log `{topic}`")),
            AppendError::Busy | AppendError::Unavailable(_) => {
                Self::Unavailable("the log is not available, try again later".to_owned())
            }
        }
    }
}

impl From<GroupError> for ApiError {
    fn from(error: GroupError) -> Self {
        match error {
            GroupError::NoApplication => Self::NotFound("such application".to_owned()),
            GroupError::NoGroup => Self::NotFound("such group".to_owned()),
            GroupError::Unavailable(unavailable) => {
                tracing::warn!(%unavailable, "an API call failed");
                Self::Unavailable("the positions of groups are not available, try again later".to_owned())
            }
        }
    }
}

impl From<WriteError> for ApiError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::NotFound(what) => Self::NotFound(what.to_owned()),
            WriteError::Taken(_) => Self::Conflict(error.to_string()),
            WriteError::Precondition(what) => Self::Conflict(format!(
                "Conflict: the {what} was changed meanwhile; read it again and repeat your change"
            )),
            WriteError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}
