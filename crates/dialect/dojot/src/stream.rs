//! One request for a topic, from its head to its upgrade (compat/dojot.md 3, decisions 3 to 6).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Uri, header};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use sockeye_access::audit::Shown;
use sockeye_access::{AuthorizeError, Caller, Holder, Permission, audit};
use sockeye_delivery::{Begin, Subscription};
use sockeye_limits as limits;
use sockeye_log::{ReadError, Span, Topic};
use sockeye_policy::retention_of;
use sockeye_registry::Application;
use sockeye_ws::{deflate, handshake};
use tokio::time::timeout;
use tracing::Instrument;

use crate::answer::Refusal;
use crate::close::Close;
use crate::opening::{Admission, Opening};
use crate::query::Query;
use crate::session::DojotSession;
use crate::shape::Shape;
use crate::topic::split;
use crate::{Dojot, TicketErrors};

/// What a connection begins with, and how it goes on.
type Start = (Begin, DojotSession);

// ----------------------------------------------------------------------------------------------

/// Any method on `/kafka-ws/v1/topics/{topic}`.
pub(crate) async fn open(State(dojot): State<Arc<Dojot>>, request: Request) -> Response {
    match dojot.open(request).await {
        Ok(response) => response,
        Err(refusal) => {
            tracing::debug!(%refusal, "a stream was refused");
            audit!("stream.refused", status = refusal.status().as_u16(), reason = %refusal);
            dojot.metrics.refused(refusal.status());
            refusal.into_response()
        }
    }
}

impl Dojot {
    /// A request that is no handshake uses up no ticket. One that is gets a WebSocket, if only to be told by it why there is
    /// nothing to get.
    async fn open(&self, mut request: Request) -> Result<Response, Refusal> {
        let accept = handshake::accept(request.method(), request.headers())?;
        let extensions = deflate::agree(request.headers())?;
        let deflate = extensions.is_some();
        let mut response = handshake::switching_protocols(&accept, extensions).map(|()| Body::empty());
        if let Some(protocol) = first_protocol(request.headers()) {
            response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        let uri = request.uri().clone();
        let start = timeout(limits::ENGINE_PROBE, self.start(&uri)).await;
        let start = start.unwrap_or_else(|_elapsed| {
            tracing::warn!("log or registry did not answer in time");
            Err(Close::Internal)
        });
        let (begin, session) = match start {
            Ok(start) => start,
            Err(Close::Ticket) if self.settings.ticket_errors == TicketErrors::Http => {
                return Err(Refusal::Ticket(Close::Ticket.to_string()));
            }
            Err(close) => {
                audit!("stream.refused", code = close.code(), reason = %close);
                self.metrics.closed(close.code());
                (Begin::Idle, DojotSession::Refused(close))
            }
        };
        self.serve(&mut request, begin, session, deflate);
        Ok(response)
    }

    /// Asks in the order of compat/dojot.md 3.4: who, what, until when, how.
    async fn start(&self, uri: &Uri) -> Result<Start, Close> {
        let query = Query::of(uri.query().unwrap_or_default());
        let ticket = query.ticket.as_deref().ok_or(Close::Ticket)?;
        let changes = self.access.changes();
        let Holder { caller, expires } = self
            .access
            .redeem_ticket(ticket)
            .await
            .map_err(Close::internal)?
            .ok_or(Close::Ticket)?;
        let topic = topic(uri.path());
        let (tenant, subject) = split(&topic).ok_or(Close::ForbiddenTopic)?;
        let application = self.authorize(&caller, &tenant).await?;
        let admission = Admission {
            tenant: tenant.to_string(),
            token: expires,
        };
        let opening = Opening {
            topic: &topic,
            query: &query,
        };
        let now = Timestamp::now();
        let opened = opening.open(Some(&admission), [], &self.settings.lifetime, now)?;
        let right = self.access.hold(caller.clone(), &application);
        if !changes.is_empty() {
            // What ended the right before it was held was told to nobody.
            self.same(&caller, &application).await?;
        }
        let (shape, log, span) = self.find(subject, &caller, &application).await?;
        let life = opened.end.map(|end| {
            let left = end.duration_since(now).try_into().unwrap_or_default();
            (left, Close::Expired)
        });
        let session = DojotSession::Open {
            encoder: shape.encoder(opened.fields, self.metrics.hidden.clone()),
            right,
            life,
        };
        let subscription = Subscription {
            topic: log,
            selection: shape.selection(opened.filter),
            start: span.end.clone(),
            end: span.end,
            what_is_left: false,
            until: None,
        };
        audit!("stream.opened", caller = %Shown(&caller), application = application.metadata.name);
        Ok((Begin::from(subscription), session))
    }

    async fn authorize(&self, caller: &Caller, tenant: &str) -> Result<Arc<Application>, Close> {
        match self.access.admit(caller, tenant, Permission::Read).await {
            Ok(application) => Ok(application),
            Err(AuthorizeError::NotFound) => Err(Close::ForbiddenTopic),
            Err(AuthorizeError::Unavailable(error)) => Err(Close::internal(error)),
        }
    }

    /// Whether the caller may still read this application, and not a namesake.
    async fn same(&self, caller: &Caller, application: &Application) -> Result<(), Close> {
        let again = self.authorize(caller, &application.metadata.name).await?;
        if again.metadata.uid == application.metadata.uid {
            Ok(())
        } else {
            Err(Close::ForbiddenTopic)
        }
    }

    /// What is behind the name of a topic: one of others that is called so, or else of the application's events.
    async fn find<'a>(
        &self,
        subject: &'a str,
        caller: &Caller,
        application: &Application,
    ) -> Result<(Shape<'a>, Topic, Span), Close> {
        let (shape, name) = (Shape::of(subject), &application.metadata.name);
        if let Shape::Channel(channel) = shape {
            let others = Topic::others_of(name.as_str(), channel);
            match self.log.span(&others).await {
                Err(ReadError::NoTopic(_)) => {}
                span => return Ok((Shape::Others, others, span.map_err(Close::internal)?)),
            }
        }
        let events = Topic::events_of(name.as_str());
        let span = self.span(&events, caller, application).await?;
        Ok((shape, events, span))
    }

    /// What the topic holds: what is appended from now on is behind its end (DESIGN.md, delivery contract 1).
    async fn span(&self, topic: &Topic, caller: &Caller, application: &Application) -> Result<Span, Close> {
        match self.log.span(topic).await {
            Err(ReadError::NoTopic(_)) => {}
            span => return span.map_err(Close::internal),
        }
        // The topic of an application that is being deleted goes before it.
        self.same(caller, application).await?;
        let retention = retention_of(&application.spec, self.settings.retention);
        let made = self.log.create_topic(topic, retention).await;
        made.map_err(Close::internal)?;
        self.log.span(topic).await.map_err(Close::internal)
    }

    /// Lets delivery have the connection once the 101 is out.
    fn serve(&self, request: &mut Request, begin: Begin, session: DojotSession, deflate: bool) {
        let upgrade = hyper::upgrade::on(request);
        let delivery = Arc::clone(&self.delivery);
        let task = async move {
            match delivery.serve_upgraded(upgrade, begin, session, deflate).await {
                // The span of the request tells which stream it was.
                Ok(end) => audit!("stream.closed", cause = end.cause.as_str(), code = end.code),
                Err(error) => tracing::debug!(%error, "a client went before its stream began"),
            }
        };
        self.delivery.spawn(task.in_current_span());
    }
}

/// The segment behind `topics`, decoded. What is no UTF-8 is no topic of anybody.
fn topic(path: &str) -> String {
    let segment = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

/// Whatever is offered first is echoed, as the original does: browsers give up if nothing is.
fn first_protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let offered = headers.get(header::SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    let first = offered.split(',').next()?.trim();
    HeaderValue::from_str(first).ok().filter(|first| !first.is_empty())
}
