//! REST below `/v5.0/{company}` (compat/octave.md 7, decision 4): streams, events, restricted tokens.
//!
//! | file | idea |
//! | --- | --- |
//! | `call.rs` | one call: who, for which company, with which parameters |
//! | `body.rs` | bodies as clients send them: any type, perhaps packed |
//! | `streams.rs` | `/stream` |
//! | `post.rs`, `read.rs` | `/event`: posted, and read newest first |
//! | `places.rs`, `known.rs` | where the events of a stream are in the log, and what is noted of that |
//! | `tokens.rs` | `/token` |
//! | `import.rs` | `/import`: what clients of the original carry in their code |

mod body;
mod call;
mod import;
mod known;
mod places;
mod post;
mod read;
mod streams;
mod tokens;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::Method;

use crate::Octave;
use crate::request::Problem;
use call::Call;
pub(crate) use places::Places;

/// Any request below `/v5.0`.
pub(crate) async fn serve(State(octave): State<Arc<Octave>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let answered = async {
        let call = Call::of(&octave, &head).await?;
        let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
        match (&head.method, segments.as_slice()) {
            (&Method::POST, ["stream"]) => call.create_stream(&octave.read_body(&head.headers, body).await?).await,
            (&Method::GET, ["stream"]) => call.list_streams().await,
            (&Method::GET, ["stream", id]) => call.show_stream(id).await,
            (&Method::DELETE, ["stream", id]) => call.delete_stream(id).await,
            (&Method::POST, ["event"]) => call.post(None, &octave.read_body(&head.headers, body).await?).await,
            (&Method::POST, ["event", id]) => call.post(Some(id), &octave.read_body(&head.headers, body).await?).await,
            (&Method::GET, ["event"]) => call.read(None).await,
            (&Method::GET, ["event", id]) => call.read(Some(id)).await,
            (&Method::POST, ["token"]) => call.create_token(&octave.read_body(&head.headers, body).await?).await,
            (&Method::GET, ["token"]) => call.list_tokens().await,
            (&Method::DELETE, ["token", id]) => call.delete_token(id).await,
            (&Method::POST, ["import"]) => call.import(&octave.read_body(&head.headers, body).await?).await,
            (_, ["stream" | "event" | "token"] | ["stream" | "event" | "token", _]) => {
                let text = format!(
                    "{} is not served here: streams and events are made, read and removed",
                    head.method
                );
                Err(Problem::new(405, text))
            }
            _ => Err(Problem::new(
                404,
                "there is nothing here: `stream`, `event` and `token` are served below /v5.0/{company}",
            )),
        }
    };
    answered.await.unwrap_or_else(|problem| octave.refuse(problem))
}
