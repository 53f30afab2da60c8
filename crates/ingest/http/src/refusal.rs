//! How a publish request is refused: statuses and bodies of compat/drogue.md 5.1.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use sockeye_limits as limits;
use sockeye_policy::Exceeded;

use crate::metrics::Kind;

/// Why a request was not accepted, with what the device is told. Where the original answers without a body, ours explains:
/// old devices look at the status only.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// 400: path, query or headers.
    #[error("{0}")]
    BadRequest(String),
    /// 403: who is calling is not known, or is not who it says.
    #[error("{0}")]
    Authentication(Cow<'static, str>),
    /// 404: no endpoint.
    #[error("there is nothing here: publish with POST /v1/<channel>")]
    NotFound,
    /// 501: what the original had here is not served.
    #[error(
        "the webhooks of The Things Network are not served: let a custom webhook POST to /v1/<channel>?application=<application>, with user name and password of a device"
    )]
    NoWebhook,
    /// 405: only POST publishes.
    #[error("publish with POST, other methods are not known here")]
    MethodNotAllowed,
    /// 406: the event itself.
    #[error("{0}")]
    Rejected(String),
    /// 406: a rule of the application.
    #[error("{0}")]
    ByRule(String),
    /// 408: the body was too slow.
    #[error("the body did not arrive within {} seconds", limits::HTTP_BODY_TIME.as_secs())]
    BodyTime,
    /// 400: the body broke off.
    #[error("the body could not be read: {0}")]
    BodyBroken(String),
    /// 413: over a limit.
    #[error("{0}")]
    TooLarge(String),
    /// 415: the body is packed.
    #[error("the body has the `Content-Encoding` `{0}`: send it as it is")]
    Encoded(String),
    /// 429: more than the quota.
    #[error(transparent)]
    OverQuota(Exceeded),
    /// 503: a queue is full.
    #[error("{0}")]
    Busy(&'static str),
    /// 503: too many wait to be found out.
    #[error("{0}")]
    AuthenticationBusy(String),
    /// 503: who is calling could not be found out. Why is the operator's to know.
    #[error("devices cannot be authenticated now, try again later")]
    AuthenticationUnavailable(String),
    /// 503: the log does not take the event now. Why is the operator's to know.
    #[error("the event could not be stored, try again later")]
    Unavailable(String),
}

#[derive(Serialize)]
struct Explanation<'a> {
    code: u16,
    error: &'a str,
    message: &'a str,
}

// ----------------------------------------------------------------------------------------------

impl Refusal {
    /// Wrong credentials, whatever about them is wrong: no hint for those who guess.
    pub(crate) const WRONG_CREDENTIALS: Self = Self::Authentication(Cow::Borrowed("Authentication failed"));

    fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::BodyBroken(_) => StatusCode::BAD_REQUEST,
            Self::Authentication(_) => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Rejected(_) | Self::ByRule(_) => StatusCode::NOT_ACCEPTABLE,
            Self::BodyTime => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Encoded(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::OverQuota(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NoWebhook => StatusCode::NOT_IMPLEMENTED,
            Self::Busy(_) | Self::AuthenticationBusy(_) | Self::AuthenticationUnavailable(_) | Self::Unavailable(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    fn error(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "BadRequest",
            Self::Authentication(_) => "AuthenticationError",
            Self::NotFound => "NotFound",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::Rejected(_) | Self::ByRule(_) => "Rejected",
            Self::BodyTime => "RequestTimeout",
            Self::BodyBroken(_) => "PayloadError",
            Self::TooLarge(_) => "PayloadTooLarge",
            Self::Encoded(_) => "UnsupportedMediaType",
            Self::OverQuota(_) => "TooManyRequests",
            Self::Busy(_) => "Busy",
            Self::NoWebhook => "NotImplemented",
            Self::AuthenticationBusy(_) | Self::AuthenticationUnavailable(_) => "AuthenticationServiceError",
            Self::Unavailable(_) => "Unavailable",
        }
    }

    /// Whole seconds after which it is worth a try.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::OverQuota(exceeded) => Some(exceeded.retry_after()),
            other if other.status() == StatusCode::SERVICE_UNAVAILABLE => Some(limits::RETRY_AFTER_SECONDS),
            _ => None,
        }
    }

    /// What it counts as.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Authentication(_) => Kind::Authentication,
            Self::BadRequest(_) | Self::NotFound | Self::NoWebhook | Self::MethodNotAllowed | Self::Encoded(_) => {
                Kind::Request
            }
            Self::Rejected(_) => Kind::Event,
            Self::ByRule(_) => Kind::Rule,
            Self::TooLarge(_) => Kind::TooLarge,
            Self::BodyTime | Self::BodyBroken(_) => Kind::Body,
            Self::OverQuota(_) => Kind::Quota,
            Self::Busy(_) | Self::AuthenticationBusy(_) => Kind::Busy,
            Self::AuthenticationUnavailable(_) | Self::Unavailable(_) => Kind::Unavailable,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = Explanation {
            code: status.as_u16(),
            error: self.error(),
            message: &self.to_string(),
        };
        let body = serde_json::to_vec(&body).expect("plain strings are JSON");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}
