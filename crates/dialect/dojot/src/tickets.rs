//! `GET`, `HEAD` and `POST /kafka-ws/v1/ticket`, and `POST /auth` (compat/dojot.md 2, decisions 1 to 3).

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use sockeye_access::audit::Shown;
use sockeye_access::{AuthenticateError, Credentials, Secret, audit};
use sockeye_limits as limits;
use tokio::time::timeout;

use crate::Dojot;
use crate::answer::{Refusal, answer};

/// What dojot's clients send to `/auth`.
#[derive(Deserialize)]
struct Login {
    username: String,
    passwd: String,
}

// ----------------------------------------------------------------------------------------------

/// Any method on `/kafka-ws/v1/ticket`.
pub(crate) async fn ticket(State(dojot): State<Arc<Dojot>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    dojot.told(dojot.ticket(&parts.method, &parts.headers).await)
}

/// Any method on `/auth`.
pub(crate) async fn auth(State(dojot): State<Arc<Dojot>>, request: Request) -> Response {
    dojot.told(dojot.auth(request).await)
}

impl Dojot {
    fn told(&self, answered: Result<Response, Refusal>) -> Response {
        answered.unwrap_or_else(|refusal| {
            tracing::debug!(%refusal, "a request was refused");
            self.metrics.refused(refusal.status());
            refusal.into_response()
        })
    }

    async fn ticket(&self, method: &Method, headers: &HeaderMap) -> Result<Response, Refusal> {
        // In the order of the original: who is asked first.
        let credentials = match Credentials::from_authorization(headers) {
            Ok(None) => return Err(Refusal::NoToken),
            Ok(Some(credentials)) => credentials,
            Err(error) => {
                tracing::debug!(%error, "credentials cannot be read");
                return Err(Refusal::BadToken);
            }
        };
        let admitted = self.tokens.authenticate(&self.access, &credentials).await;
        let admitted = admitted.inspect_err(|error| audit!("ticket.refused", reason = %error))?;
        match *method {
            Method::GET | Method::POST => {}
            // A ticket that nobody sees is none.
            Method::HEAD => return Ok(answer(StatusCode::OK, &json!({}))),
            _ => return Err(Refusal::Method("GET, HEAD, POST")),
        }
        let ticket = self.access.issue_ticket(&admitted, self.settings.ticket_life).await?;
        audit!("ticket.issued", caller = %Shown(&admitted.caller));
        self.metrics.tickets.inc();
        Ok(answer(StatusCode::OK, &json!({"ticket": ticket.expose()})))
    }

    async fn auth(&self, request: Request) -> Result<Response, Refusal> {
        if request.method() != Method::POST {
            return Err(Refusal::Method("POST"));
        }
        let Login { username, passwd } = login(request.into_body()).await.ok_or(Refusal::Body)?;
        let credentials = Credentials::Key {
            user: username,
            key: Secret::new(passwd),
        };
        let caller = match self.access.authenticate(&credentials).await {
            Ok(caller) => caller,
            Err(AuthenticateError::Unavailable(unavailable)) => return Err(unavailable.into()),
            Err(error) => {
                audit!("login.refused", reason = %error);
                return Err(Refusal::BadLogin);
            }
        };
        let token = self.access.issue_token(&caller).await?;
        audit!("token.issued", caller = %Shown(&caller));
        Ok(answer(StatusCode::OK, &json!({"jwt": token.expose()})))
    }
}

/// Whatever its content type says: the documentation's samples name none.
async fn login(body: Body) -> Option<Login> {
    let read = to_bytes(body, limits::LOGIN_BODY);
    let bytes = timeout(limits::HTTP_BODY_TIME, read).await.ok()?.ok()?;
    serde_json::from_slice(&bytes).ok()
}
