//! `POST /session`, and the upgrade of `/session/{id}/ws` (compat/octave.md 2, 3).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::{HeaderMap, Method};
use http_body_util::{BodyExt as _, Limited};
use serde_json::json;
use sockeye_access::audit::Shown;
use sockeye_access::{Admitted, Caller, Permission, Secret, audit};
use sockeye_delivery::Begin;
use sockeye_limits as limits;
use sockeye_registry::Application;
use sockeye_ws::handshake::HandshakeError;
use sockeye_ws::{deflate, handshake};
use tokio::time::timeout;
use tracing::Instrument;

use crate::Octave;
use crate::answer;
use crate::request::Problem;
use crate::socket::OctaveSession;

/// Any method on `/session`.
pub(crate) async fn create(State(octave): State<Arc<Octave>>, request: Request) -> Response {
    let created = octave.create_session(request).await;
    created.unwrap_or_else(|problem| octave.refuse(problem))
}

/// Any method on `/session/{id}/ws`.
pub(crate) async fn open(State(octave): State<Arc<Octave>>, Path(id): Path<String>, request: Request) -> Response {
    let opened = Arc::clone(&octave).open_socket(Secret::new(id), request).await;
    opened.unwrap_or_else(|problem| octave.refuse(problem))
}

/// `/session//ws`: a client that has no session.
pub(crate) async fn no_session(State(octave): State<Arc<Octave>>) -> Response {
    octave.refuse(unknown())
}

// ----------------------------------------------------------------------------------------------

fn unknown() -> Problem {
    Problem::new(
        404,
        "there is no such session, or it has expired: POST /session makes another one",
    )
}

impl Octave {
    pub(crate) fn refuse(&self, problem: Problem) -> Response {
        tracing::debug!(status = problem.status, reason = problem.text, "a request was refused");
        self.metrics.refused(problem.status);
        problem.into()
    }

    /// Who calls, by the headers (compat/octave.md 2).
    pub(crate) async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let token = given(headers, "x-auth-token")?;
        let token = token.ok_or_else(|| Problem::bad("the header `X-Auth-Token` is missing: it has the access key"))?;
        let user = given(headers, "x-auth-user")?;
        Ok(self.access.authenticate_key(user, &Secret::new(token)).await?)
    }

    async fn create_session(&self, request: Request) -> Result<Response, Problem> {
        let (head, body) = request.into_parts();
        if head.method != Method::POST {
            return Err(Problem::new(405, "a session is made with POST"));
        }
        // Whatever it is, it says nothing; a large one is not read to its end.
        let body = Limited::new(body, limits::OCTAVE_SESSION_BODY).collect();
        drop(timeout(limits::HTTP_BODY_TIME, body).await);
        let company = match given(&head.headers, "x-auth-company")? {
            Some(company) => Some(company),
            None => given(&head.headers, "x-auth-account")?,
        };
        let company =
            company.ok_or_else(|| Problem::bad("the header `X-Auth-Company` is missing: it names the company"))?;
        let caller = self.caller(&head.headers).await?;
        let application = self.access.company(&caller, company, Permission::Read).await?;
        let id = self
            .access
            .create_session(
                &caller,
                &application,
                company,
                self.bounds.session_time,
                self.bounds.sessions,
            )
            .await?;
        self.metrics.session();
        audit!("session.made", caller = %Shown(&caller), application = application.metadata.name);
        Ok(answer::created(&json!({ "id": id.expose() })))
    }

    async fn open_socket(self: Arc<Self>, id: Secret, mut request: Request) -> Result<Response, Problem> {
        let changes = self.access.changes();
        let Some(admitted) = self.access.session(&id).await? else {
            return Err(unknown());
        };
        let application = self.admits(&admitted).await?;
        let Admitted { session, caller } = admitted;
        let accept = handshake::accept(request.method(), request.headers()).map_err(|error| {
            let status = match error {
                HandshakeError::NoUpgrade | HandshakeError::Version => 426,
                _ => 400,
            };
            Problem::new(status, error.to_string())
        })?;
        let extensions = deflate::agree(request.headers()).map_err(|error| Problem::bad(error.to_string()))?;
        let most = self.bounds.connections;
        let connected = self
            .sessions
            .connect(&session.hash, most)
            .ok_or_else(|| Problem::new(429, format!("the session has {most} connections, which is the most")))?;
        let right = self.access.hold(caller.clone(), &application);
        if !changes.is_empty() {
            // What ended the right before it was held was told to nobody.
            let again = self.access.session(&id).await?.ok_or_else(unknown)?;
            if self.admits(&again).await?.metadata.uid != application.metadata.uid {
                return Err(unknown());
            }
        }
        audit!("socket.opened", caller = %Shown(&caller), application = application.metadata.name);
        let deflate = extensions.is_some();
        let session = OctaveSession::new(
            Arc::clone(&self),
            caller,
            application,
            session.company,
            deflate,
            right,
            connected,
        );
        let response = handshake::switching_protocols(&accept, extensions).map(|()| Body::empty());
        self.serve(&mut request, session, deflate);
        Ok(response)
    }

    /// The application that a session reads, if its maker still may.
    async fn admits(&self, admitted: &Admitted) -> Result<Application, Problem> {
        let application = self
            .access
            .company(&admitted.caller, &admitted.session.application, Permission::Read);
        application.await.map_err(|error| match error {
            sockeye_access::AuthorizeError::NotFound => unknown(),
            sockeye_access::AuthorizeError::Unavailable(unavailable) => unavailable.into(),
        })
    }

    /// Lets delivery have the connection once the 101 is out.
    fn serve(&self, request: &mut Request, session: OctaveSession, deflate: bool) {
        let upgrade = hyper::upgrade::on(request);
        let delivery = Arc::clone(&self.delivery);
        let task = async move {
            match delivery.serve_upgraded(upgrade, Begin::Idle, session, deflate).await {
                // The span of the request tells which socket it was.
                Ok(end) => audit!("socket.closed", cause = end.cause.as_str(), code = end.code),
                Err(error) => tracing::debug!(%error, "a client went before its socket began"),
            }
        };
        self.delivery.spawn(task.in_current_span());
    }
}

/// The text of a header; one that is empty is not there.
fn given<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Problem> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(value.as_bytes());
    let text = text.map_err(|_| Problem::bad(format!("the header `{name}` is not UTF-8")))?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}
