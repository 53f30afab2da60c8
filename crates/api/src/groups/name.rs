//! Which group is meant. Its identity is `group_id` and selection: the path has the one, the query the other, in the parameters
//! that the members of the group give.

use axum::extract::{FromRequestParts, Query};
use http::request::Parts;
use serde::Deserialize;
use sockeye_event::Event;
use sockeye_filter::{Filter, Shape};
use sockeye_log::GroupId;

use crate::error::ApiError;

/// `?channel=&device=&type=&where=`; without any: the whole application. What is not known is refused, because it would be another
/// group.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Selected {
    pub(crate) channel: Option<String>,
    pub(crate) device: Option<String>,
    #[serde(rename = "type")]
    pub(crate) ty: Option<String>,
    #[serde(rename = "where")]
    pub(crate) filter: Option<String>,
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
    /// The group of this name with this selection. Filters that are the same, however they are written, are one group's.
    pub(crate) fn group(&self, application: String, group: String) -> Result<GroupId, ApiError> {
        let filter = self.filter.as_deref().map(|text| Filter::parse(text, Shape::Event));
        let filter = filter
            .transpose()
            .map_err(|error| ApiError::BadRequest(format!("`where` is wrong: {error}")))?
            // One that demands nothing is none.
            .map(|filter| filter.to_string())
            .filter(|filter| !filter.is_empty());
        let parts = [
            ("channel", &self.channel),
            ("device", &self.device),
            ("type", &self.ty),
            ("where", &filter),
        ];
        let given = parts
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)));
        Ok(GroupId {
            application,
            group,
            selection: GroupId::selection_of(given),
        })
    }
}

/// Whether what is looked at here, all but `where`, is known to be all that the group selects by.
pub(super) fn is_whole(selected: &[(String, String)]) -> bool {
    selected
        .iter()
        .all(|(name, _)| matches!(name.as_str(), "channel" | "device" | "type"))
}

/// Whether the group's selection may want the event. A part that is not looked at here counts as fulfilled.
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
