//! Answers to requests that are nobody's.

use axum::Json;
use axum::response::IntoResponse;
use http::{Method, StatusCode, Uri, header};
use serde::Serialize;
use sockeye_limits as limits;

#[derive(Serialize)]
pub(crate) struct Explanation {
    error: &'static str,
    message: String,
}

// ----------------------------------------------------------------------------------------------

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
