//! One request for a stream, from its head to its upgrade.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, Method, header};
use sockeye_access::audit::Shown;
use sockeye_access::{AuthorizeError, Caller, Permission, audit};
use sockeye_delivery::{Begin, Joining, Receipts, Selection, Session as _, Subscription};
use sockeye_limits as limits;
use sockeye_log::{Cursor, Position, ReadError, Span, Topic};
use sockeye_policy::retention_of;
use sockeye_registry::Application;
use sockeye_ws::{deflate, handshake};
use tokio::time::timeout;
use tracing::Instrument;

use crate::Drogue;
use crate::group::Group;
use crate::refusal::Refusal;
use crate::request::{Query, SUB_PROTOCOL, Target};
use crate::right::SocketRight;
use crate::session::DrogueSession;
use crate::wanted::{From, Wanted};

/// In the answer to a client that asks for cursors: where its stream begins, for one that is lost before the first event.
const CURSOR: HeaderName = HeaderName::from_static("sockeye-cursor");

/// Any method on `/{application}` and `/{application}/{channel}`.
pub(crate) async fn open(State(drogue): State<Arc<Drogue>>, request: Request) -> Response {
    match drogue.open(request).await {
        Ok(response) => response,
        Err(refusal) => {
            tracing::debug!(%refusal, "a stream was refused");
            audit!("stream.refused", status = refusal.status().as_u16(), reason = %refusal);
            drogue.metrics.refused(refusal.status());
            refusal.into_response()
        }
    }
}

// ----------------------------------------------------------------------------------------------

impl Drogue {
    /// Asks in the order of compat/drogue.md 1.4: who, whether they may, what, how. Only when nothing can fail any more the
    /// client is told that it is connected.
    async fn open(&self, mut request: Request) -> Result<Response, Refusal> {
        let target = Target::of(request.uri().path()).ok_or(Refusal::NotFound)?;
        if limits::RESERVED_APPLICATION_NAMES.contains(&&*target.application) {
            return Err(Refusal::Reserved(target.application.to_string()));
        }
        let query = Query::of(request.uri().query());
        let credentials = query.credentials(request.headers())?;
        let changes = self.access.changes();
        let caller = self.access.authenticate(&credentials).await?;
        let application = self.authorize(&caller, &target.application).await?;
        if request.method() != Method::GET {
            return Err(Refusal::MethodNotAllowed);
        }
        let group = Group::of(&query)?;
        let wanted = Wanted::of(&query, &target.application)?;
        let accept = handshake::accept(request.method(), request.headers())?;
        let extensions = deflate::agree(request.headers())?;
        let right = SocketRight::new(
            &self.access,
            &self.delivery,
            caller.clone(),
            &application,
            self.token_grace,
        );
        if !changes.is_empty() {
            // What ended the right before it was held was told to nobody.
            let again = self.access.authenticate(&credentials).await?;
            let again = self.authorize(&again, &target.application).await?;
            if again.metadata.uid != application.metadata.uid {
                return Err(Refusal::NoApplication(again.metadata.name.clone()));
            }
        }
        let topic = Topic::events_of(target.application);
        let what_is_left = matches!(wanted.from, From::Earliest | From::Time(_));
        let deflate = extensions.is_some();
        let mut session = DrogueSession::default();
        session.right = Some(right);
        session.cursors_of = wanted.cursor.then(|| topic.application().clone());
        session.acknowledges = group.as_ref().is_some_and(|group| group.receipts != Receipts::Pong);
        session.fields = wanted.fields;
        let selection = Selection {
            channel: target.channel,
            device: wanted.device,
            ty: wanted.ty,
            filter: wanted.filter,
            document: None,
        };
        let (begin, cursor) = timeout(limits::ENGINE_PROBE, async {
            let span = self.span(&topic, &caller, &application).await?;
            let Some(Group { id, receipts, balance }) = group else {
                let start = self.start(&topic, wanted.from, &span).await?;
                let cursor = wanted.cursor.then(|| Cursor::encode(topic.application(), &start));
                let subscription = Subscription {
                    topic: topic.clone(),
                    selection,
                    start,
                    end: span.end,
                    what_is_left,
                    until: wanted.until,
                };
                return Ok((Begin::from(subscription), cursor));
            };
            let joining = Joining {
                topic: topic.clone(),
                group: id,
                selection,
                balance,
                receipts,
                deflate,
                name: caller.user().map(str::to_owned),
            };
            let seat = self.delivery.join(joining, session.encoder()).await;
            let seat = seat.map_err(|error| Refusal::of_group(error, topic.application()))?;
            Ok((Begin::from(seat), None))
        })
        .await
        .unwrap_or_else(|_elapsed| {
            tracing::warn!(%topic, "the log did not answer in time");
            Err(Refusal::LOG_UNAVAILABLE)
        })?;

        // compat/drogue.md 1.5.
        let mut response = handshake::switching_protocols(&accept, extensions).map(|()| Body::empty());
        if handshake::offers_protocol(request.headers(), SUB_PROTOCOL) {
            let headers = response.headers_mut();
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUB_PROTOCOL));
        }
        if let Some(cursor) = cursor {
            let cursor = HeaderValue::from_str(&cursor).expect("a cursor is visible ASCII");
            response.headers_mut().insert(CURSOR, cursor);
        }
        audit!("stream.opened", caller = %Shown(&caller), application = application.metadata.name);
        self.serve(&mut request, begin, session, deflate);
        Ok(response)
    }

    async fn authorize(&self, caller: &Caller, application: &str) -> Result<Arc<Application>, Refusal> {
        match self.access.admit(caller, application, Permission::Read).await {
            Ok(application) => Ok(application),
            Err(AuthorizeError::NotFound) => Err(Refusal::NoApplication(application.to_owned())),
            Err(AuthorizeError::Unavailable(unavailable)) => Err(unavailable.into()),
        }
    }

    /// What the topic holds: what is appended from now on is behind its end (DESIGN.md, delivery contract 1).
    async fn span(&self, topic: &Topic, caller: &Caller, application: &Application) -> Result<Span, Refusal> {
        match self.log.span(topic).await {
            Err(ReadError::NoTopic(_)) => {}
            span => return Ok(span?),
        }
        // The topic of an application that is being deleted goes before it: asked again, access tells which it is.
        let again = self.authorize(caller, &application.metadata.name).await?;
        if again.metadata.uid != application.metadata.uid {
            return Err(Refusal::NoApplication(again.metadata.name.clone()));
        }
        let retention = retention_of(&again.spec, self.retention);
        self.log.create_topic(topic, retention).await?;
        Ok(self.log.span(topic).await?)
    }

    /// Where reading starts (DESIGN.md, delivery contract 6).
    async fn start(&self, topic: &Topic, from: From, span: &Span) -> Result<Position, Refusal> {
        let gone = |message| Refusal::Gone {
            message,
            cursor: Cursor::encode(topic.application(), &span.oldest),
        };
        match from {
            From::Now => Ok(span.end.clone()),
            From::Earliest => Ok(span.oldest.clone()),
            From::Time(time) => Ok(self.log.position_at(topic, time).await?),
            From::Position(position) if position.incarnation() != span.end.incarnation() => Err(gone(
                "the cursor is of an event log that was replaced since: the application was made again, or a backup was restored",
            )),
            From::Position(position) if !position.is_at_or_behind(&span.oldest) => Err(gone(
                "retention has removed events that follow the cursor; the oldest that are left follow the one given here",
            )),
            From::Position(position) if !span.end.is_at_or_behind(&position) => {
                Err(Refusal::wrong("from", "is a cursor beyond the end of the event log"))
            }
            From::Position(position) => Ok(position),
        }
    }

    /// Lets delivery have the connection once the 101 is out.
    fn serve(&self, request: &mut Request, begin: Begin, session: DrogueSession, deflate: bool) {
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
