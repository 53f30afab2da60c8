//! `/api/groups/v1alpha1/apps/{app}/groups`: what can be seen of groups, and their positions moved by hand. An API of our own:
//! the original leaves groups to Kafka's tools.
//!
//! | file | idea |
//! | --- | --- |
//! | `name.rs` | which group is meant: its `group_id` and its selection |
//! | `start.rs` | `from`: where a group is to read on |
//! | `backlog.rs` | what a group has not receipted yet |
//! | `view.rs` | a group as a document |
//! | `live.rs` | [`LiveGroups`]: what delivery knows of groups that have members |

mod backlog;
mod live;
mod name;
mod start;
mod view;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use sockeye_access::Permission;
use sockeye_event::name as names;
use sockeye_log::{Cursor, GroupError, GroupId, GroupPosition, ReadError, Span, Topic};
use sockeye_policy::retention_of;

pub use live::{LiveGroup, LiveGroups, LiveMember};
pub(crate) use name::Selected;

use crate::Api;
use crate::error::ApiError;
use crate::extract::{Document, Login, Names};
use crate::list;
use start::Start;
use view::{Depth, Shown};

/// Where a group is made, or moved to.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    /// `earliest`, `end`, a time, or a cursor.
    #[serde(default)]
    from: Option<String>,
}

/// Where it is now.
#[derive(Debug, Serialize)]
pub(crate) struct Placed {
    position: String,
    /// What is to be known if that is not what was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

// ----------------------------------------------------------------------------------------------

/// `GET`: all groups of the application, by name and selection.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    login: Login,
    Names(application): Names<String>,
) -> Result<Response, ApiError> {
    api.application(&login, &application, Permission::Read).await?;
    let found = api.registry.groups(&application).await?;
    let span = api.span(&Topic::events_of(application)).await?;
    let entries = found.into_iter();
    list::stream(entries, move |(group, stored)| {
        let (api, span) = (Arc::clone(&api), span.clone());
        async move { api.view(group, stored, span.as_ref(), Depth::Glance).await }
    })
    .await
}

/// `GET` of one.
pub(crate) async fn get(
    State(api): State<Arc<Api>>,
    login: Login,
    Names((application, group)): Names<(String, String)>,
    selected: Selected,
) -> Result<Json<Shown>, ApiError> {
    api.application(&login, &application, Permission::Read).await?;
    let group = selected.group(application, group)?;
    let stored = api.stored(&group).await?;
    let span = api.span(&Topic::events_of(group.application.clone())).await?;
    Ok(Json(api.view(group, stored, span.as_ref(), Depth::Look).await?))
}

/// `POST`: 201. Without `from` the group begins at the end of the log.
pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    login: Login,
    Names((application, group)): Names<(String, String)>,
    selected: Selected,
    Document(place): Document<Place>,
) -> Result<(StatusCode, Json<Placed>), ApiError> {
    names::group(&group).map_err(|error| ApiError::BadRequest(error.to_string()))?;
    let start = place
        .from
        .as_deref()
        .map_or(Ok(Start::End), |from| Start::of(from, &application))?;
    let (group, span) = api.to_change(&login, selected.group(application, group)?).await?;
    let found = start.find(&*api.log, &group, &span).await?;
    if !api.registry.create_group(&group, &found.position).await? {
        return Err(ApiError::Conflict(format!(
            "{} is there: move it by a `PUT` of its position",
            name::of(&group)
        )));
    }
    if let Err(error) = api.log.mirror_group(&group, &found.position).await {
        tracing::warn!(%error, application = group.application, group = group.group, "the log's own tools do not know a new group yet");
    }
    tracing::info!(application = group.application, group = group.group, "a group was made");
    Ok((StatusCode::CREATED, Json(found.placed(&group.application))))
}

/// `PUT` of the position: 200. Members are disconnected and come back to the new one.
pub(crate) async fn seek(
    State(api): State<Arc<Api>>,
    login: Login,
    Names((application, group)): Names<(String, String)>,
    selected: Selected,
    Document(place): Document<Place>,
) -> Result<Json<Placed>, ApiError> {
    let Some(from) = place.from.as_deref() else {
        return Err(ApiError::BadRequest(format!("`from` is missing: {}", start::ALLOWED)));
    };
    let start = Start::of(from, &application)?;
    let (group, span) = api.to_change(&login, selected.group(application, group)?).await?;
    api.stored(&group).await?;
    let found = start.find(&*api.log, &group, &span).await?;
    let moved = api.groups.seek(&group, &found.position).await;
    moved.map_err(|error| not_there(error, &group))?;
    tracing::info!(
        application = group.application,
        group = group.group,
        "a group was moved"
    );
    Ok(Json(found.placed(&group.application)))
}

/// `DELETE`: 204. Its members are disconnected; one that comes back makes a new group, at the end.
pub(crate) async fn delete(
    State(api): State<Arc<Api>>,
    login: Login,
    Names((application, group)): Names<(String, String)>,
    selected: Selected,
) -> Result<StatusCode, ApiError> {
    api.application(&login, &application, Permission::Write).await?;
    let group = selected.group(application, group)?;
    api.stored(&group).await?;
    if !api.groups.delete(&group).await? {
        return Err(not_there(GroupError::NoGroup, &group));
    }
    tracing::info!(
        application = group.application,
        group = group.group,
        "a group was deleted"
    );
    Ok(StatusCode::NO_CONTENT)
}

impl Api {
    /// The group that is to be changed, of an application that the caller may change, and what the log holds.
    async fn to_change(&self, login: &Login, group: GroupId) -> Result<(GroupId, Span), ApiError> {
        self.application(login, &group.application, Permission::Write).await?;
        let topic = Topic::events_of(group.application.clone());
        if let Some(span) = self.span(&topic).await? {
            return Ok((group, span));
        }
        // An application that never had an event may have no log yet, one that is being deleted has none any more.
        let _one_at_a_time = self.lifecycle.lock().await;
        let application = self.application(login, &group.application, Permission::Write).await?;
        let retention = retention_of(&application.spec, self.retention);
        self.log.create_topic(&topic, retention).await?;
        Ok((group, self.log.span(&topic).await?))
    }

    /// What is durable of a group that has to be there.
    async fn stored(&self, group: &GroupId) -> Result<GroupPosition, ApiError> {
        let stored = self.registry.group(group).await?;
        stored.ok_or_else(|| not_there(GroupError::NoGroup, group))
    }

    /// What a topic holds; `None` if there is none.
    pub(crate) async fn span(&self, topic: &Topic) -> Result<Option<Span>, ApiError> {
        match self.log.span(topic).await {
            Ok(span) => Ok(Some(span)),
            Err(ReadError::NoTopic(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl start::Found {
    fn placed(self, application: &str) -> Placed {
        Placed {
            position: Cursor::encode(application, &self.position),
            note: self.note,
        }
    }
}

/// The error that names the group.
fn not_there(error: GroupError, group: &GroupId) -> ApiError {
    match error {
        GroupError::NoGroup => ApiError::NotFound(name::of(group)),
        GroupError::NoApplication => ApiError::no_application(&group.application),
        error @ GroupError::Unavailable(_) => error.into(),
    }
}
