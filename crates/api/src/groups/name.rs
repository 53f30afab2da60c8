//! Which group is meant. Its identity is `group_id` and selection: the path has the one, the query the other, in the parameters
//! that the members of the group give.

use axum::extract::{FromRequestParts, Query};
use http::request::Parts;
use serde::Deserialize;
use sockeye_event::Event;
use sockeye_log::GroupId;

use crate::error::ApiError;

/// `?channel=&device=&type=`; without any: the whole application. What is not known is refused, because it would be another
/// group.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Selected {
    pub(crate) channel: Option<String>,
    pub(crate) device: Option<String>,
    #[serde(rename = "type")]
    pub(crate) ty: Option<String>,
}

// ----------------------------------------------------------------------------------------------

impl<S: Send + Sync> FromRequestParts<S> for Selected {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(selected)| selected)
            .map_err(|rejection| ApiError::BadRequest(rejection.body_text()))
    }
}

impl Selected {
    /// The group of this name with this selection.
    pub(crate) fn group(&self, application: String, group: String) -> GroupId {
        let parts = [("channel", &self.channel), ("device", &self.device), ("type", &self.ty)];
        let given = parts
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)));
        GroupId {
            application,
            group,
            selection: GroupId::selection_of(given),
        }
    }
}

/// Whether the group's selection wants the event. A part that is not known here counts as fulfilled.
pub(super) fn wants(selected: &[(String, String)], event: &Event) -> bool {
    selected.iter().all(|(name, value)| {
        let found = match name.as_str() {
            "channel" => event.channel(),
            "device" => event.device(),
            "type" => Some(&event.ty),
            _ => return true,
        };
        found.is_some_and(|found| **found == **value)
    })
}

/// A group as people call it.
pub(super) fn of(group: &GroupId) -> String {
    let parts: Vec<_> = group
        .selected()
        .map(|(part, value)| format!("{part} `{value}`"))
        .collect();
    match &parts[..] {
        [] => format!("group `{}` of the whole application", group.group),
        parts => format!("group `{}` with {}", group.group, parts.join(" and ")),
    }
}
