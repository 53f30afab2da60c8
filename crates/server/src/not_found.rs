//! Answers to requests that are nobody's.

use axum::Json;
use http::{Method, StatusCode, Uri};
use serde::Serialize;

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
