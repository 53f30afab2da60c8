//! Answers to requests that are no room's.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use serde::Serialize;
use sockeye_limits as limits;

#[derive(Serialize)]
pub(crate) struct Explanation {
    error: &'static str,
    message: String,
}

// ----------------------------------------------------------------------------------------------

/// `GET /`: 200 without a body tells devices that their endpoint is there (compat/drogue.md 5.1). Who asks for another protocol
/// has forgotten the application in the path, who posts the channel: 404 (1.1).
pub(crate) async fn root(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if matches!(method, Method::GET | Method::HEAD) && !headers.contains_key(header::UPGRADE) {
        return StatusCode::OK.into_response();
    }
    not_found(uri).await.into_response()
}

/// 404: no room has this path.
pub(crate) async fn not_found(uri: Uri) -> (StatusCode, Json<Explanation>) {
    let message = format!(
        "there is nothing at `{}`: devices publish at /v1/<channel>, clients stream /<application>[/<channel>], \
         the API is below /api",
        uri.path()
    );
    (
        StatusCode::NOT_FOUND,
        Json(Explanation {
            error: "NotFound",
            message,
        }),
    )
}

/// 405: the path is there; `Allow` says for which methods.
pub(crate) async fn method_not_allowed(method: Method) -> (StatusCode, Json<Explanation>) {
    let message = format!("this path does not know the method {method}: `Allow` says which it knows");
    (
        StatusCode::METHOD_NOT_ALLOWED,
        Json(Explanation {
            error: "MethodNotAllowed",
            message,
        }),
    )
}

/// 431 (RFC 6585 section 5): the head is over [`limits::HTTP_HEAD`].
pub(crate) fn head_too_large() -> impl IntoResponse {
    let message = format!(
        "request line and headers are longer than {} bytes: send less in the query and in headers",
        limits::HTTP_HEAD
    );
    let explanation = Explanation {
        error: "RequestHeaderFieldsTooLarge",
        message,
    };
    (
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        [(header::CONNECTION, "close")],
        Json(explanation),
    )
}
