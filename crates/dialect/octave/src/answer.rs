//! Acknowledgements and envelopes (compat/octave.md 2, 5.1, 5.2, 7).

use axum::body::Body;
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use sockeye_access::{AuthenticateError, AuthorizeError, SessionError};
use sockeye_delivery::EnterError;
use sockeye_limits as limits;
use sockeye_log::{AppendError, ReadError, TopicError};
use sockeye_registry::{Unavailable, WriteError};

use crate::request::Problem;

#[derive(Serialize)]
struct Envelope<'a> {
    head: Head<'a>,
    body: &'a RawValue,
}

#[derive(Serialize)]
struct Head<'a> {
    status: u16,
    ok: bool,
    errors: &'a [&'a str],
    messages: &'a [&'a str],
    references: serde_json::Value,
}

// ----------------------------------------------------------------------------------------------

/// The sentence of the documentation.
const DONE: &str = "Your request has been processed successfully.";
/// What clients get who may not: the same whether there is such a company or not (compat/octave.md 2.2).
pub(crate) const DENIED: &str = "token is not valid for this company";

/// It was done. `message` is the JSON of the `msgId`.
pub(crate) fn done(message: &str) -> String {
    format!(r#"{{"head":{{"msgId":{message},"ok":true,"errors":[],"messages":["{DONE}"]}},"body":{{}}}}"#)
}

/// It was not.
pub(crate) fn failed(message: &str, problem: &Problem) -> String {
    let text = serde_json::to_string(&problem.text).expect("a string is JSON");
    let status = problem.status;
    format!(
        r#"{{"head":{{"msgId":{message},"ok":false,"status":{status},"errors":[{text}],"messages":[]}},"body":{{}}}}"#
    )
}

/// An answer over HTTP, with JSON as its body.
pub(crate) fn answer(body: &impl Serialize, messages: &[&str]) -> Response {
    envelope(StatusCode::OK, body, &[], messages)
}

/// The same for what was made.
pub(crate) fn created(body: &impl Serialize) -> Response {
    envelope(StatusCode::CREATED, body, &[], &[DONE])
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = envelope(status, &json!({}), &[&problem.text], &[]);
        let headers = response.headers_mut();
        let told: &[(HeaderName, &'static str)] = match status {
            // What is left of the body is not read.
            StatusCode::PAYLOAD_TOO_LARGE => &[(header::CONNECTION, "close")],
            StatusCode::METHOD_NOT_ALLOWED => &[(header::ALLOW, "GET, POST, DELETE, OPTIONS")],
            StatusCode::UPGRADE_REQUIRED => &[
                (header::CONNECTION, "upgrade"),
                (header::UPGRADE, "websocket"),
                (header::SEC_WEBSOCKET_VERSION, "13"),
            ],
            _ => &[],
        };
        for (name, value) in told {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(limits::RETRY_AFTER_SECONDS));
        }
        response
    }
}

fn envelope(status: StatusCode, body: &impl Serialize, errors: &[&str], messages: &[&str]) -> Response {
    // Events are in it as they were written: numbers keep their text.
    let body = serde_json::value::to_raw_value(body).expect("what is answered is JSON");
    let envelope = Envelope {
        head: Head {
            status: status.as_u16(),
            ok: errors.is_empty(),
            errors,
            messages,
            references: json!({}),
        },
        body: &body,
    };
    let text = serde_json::to_vec(&envelope).expect("values are JSON");
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

impl From<AuthenticateError> for Problem {
    fn from(error: AuthenticateError) -> Self {
        match error {
            AuthenticateError::Unavailable(unavailable) => unavailable.into(),
            AuthenticateError::KeyExpired | AuthenticateError::KeyDisabled | AuthenticateError::UserDisabled => {
                Self::new(403, error.to_string())
            }
            _ => Self::new(403, DENIED),
        }
    }
}

impl From<AuthorizeError> for Problem {
    fn from(error: AuthorizeError) -> Self {
        match error {
            AuthorizeError::NotFound => Self::new(403, DENIED),
            AuthorizeError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Denied => Self::new(403, DENIED),
            SessionError::TooMany(_) => Self::new(429, error.to_string()),
            SessionError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

impl From<Unavailable> for Problem {
    fn from(unavailable: Unavailable) -> Self {
        tracing::warn!(%unavailable, "a request of an Octave client cannot be answered");
        Self::new(503, "users and streams cannot be looked up now, try again later")
    }
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Unavailable(unavailable) => unavailable.into(),
            WriteError::NotFound(_) => Self::new(403, DENIED),
            WriteError::Taken(_) | WriteError::Precondition(_) => Self::bad(error.to_string()),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        tracing::warn!(%error, "a request of an Octave client cannot be answered");
        Self::new(503, "the event log is not available, try again later")
    }
}

impl From<EnterError> for Problem {
    fn from(error: EnterError) -> Self {
        match error {
            EnterError::Refused(error) => Self::new(409, error.to_string()),
            EnterError::NoApplication => Self::new(403, DENIED),
            EnterError::Unavailable(unavailable) => {
                tracing::warn!(%unavailable, "a group could not be joined");
                Self::new(503, "the position of the group is not available, try again later")
            }
        }
    }
}

impl From<TopicError> for Problem {
    fn from(error: TopicError) -> Self {
        tracing::warn!(%error, "a request of an Octave client cannot be answered");
        Self::new(503, "the event log is not available, try again later")
    }
}

impl From<AppendError> for Problem {
    fn from(error: AppendError) -> Self {
        if error != AppendError::Busy {
            tracing::warn!(%error, "an event of an Octave client cannot be stored");
        }
        Self::new(503, "the event cannot be stored now, try again later")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgements_are_those_of_the_documentation() {
        assert_eq!(
            done("\"a-1\""),
            r#"{"head":{"msgId":"a-1","ok":true,"errors":[],"messages":["Your request has been processed successfully."]},"body":{}}"#
        );
        assert_eq!(
            failed("0", &Problem::new(404, "no stream with path \"/x\"")),
            r#"{"head":{"msgId":0,"ok":false,"status":404,"errors":["no stream with path \"/x\""],"messages":[]},"body":{}}"#
        );
    }
}
