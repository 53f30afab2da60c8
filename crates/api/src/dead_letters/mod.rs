//! `/api/groups/v1alpha1/apps/{app}/dead-letters`: events that failed in a group too often (DESIGN.md, contract point 4): listed,
//! streamed, sent back, dropped. They are a log of their own; which of them are done with is a [`sockeye_group::Mark`] in it.
//!
//! | file | idea |
//! | --- | --- |
//! | `letter.rs` | one of them: its name and its document |
//! | `open.rs` | those that are not done with, read on and on |
//! | `settle.rs` | what is done with them |

mod letter;
mod open;
mod settle;

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use futures_util::StreamExt;
use http::{HeaderValue, header};
use serde::{Deserialize, Serialize};
use sockeye_access::Permission;
use sockeye_log::GroupId;

use crate::Api;
use crate::error::ApiError;
use crate::extract::{Document, Login, Names};
use crate::groups::Selected;
use open::Open;
use settle::Wish;

/// `?follow=`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// Whether to wait for those that come.
    #[serde(default)]
    follow: bool,
}

/// The same with [`Selected`].
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupQuery {
    channel: Option<String>,
    device: Option<String>,
    #[serde(rename = "type")]
    ty: Option<String>,
    #[serde(rename = "where")]
    filter: Option<String>,
    #[serde(default)]
    follow: bool,
}

/// What was done.
#[derive(Debug, Serialize)]
pub(crate) struct Done {
    /// How many were sent back or dropped.
    letters: u64,
}

// ----------------------------------------------------------------------------------------------

/// `GET`: those of all groups, one JSON document a line, oldest first.
pub(crate) async fn of_application(
    State(api): State<Arc<Api>>,
    login: Login,
    Names(application): Names<String>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let ListQuery { follow } = taken(query)?;
    api.application(&login, &application, Permission::Read).await?;
    list(&api, application, None, follow).await
}

/// `GET`: those of one group. It need not be there any more.
pub(crate) async fn of_group(
    State(api): State<Arc<Api>>,
    login: Login,
    Names((application, group)): Names<(String, String)>,
    query: Result<Query<GroupQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let GroupQuery {
        channel,
        device,
        ty,
        filter,
        follow,
    } = taken(query)?;
    api.application(&login, &application, Permission::Read).await?;
    let selected = Selected {
        channel,
        device,
        ty,
        filter,
    };
    let group = selected.group(application.clone(), group)?;
    list(&api, application, Some(group), follow).await
}

/// `POST`: 200 with how many. What is sent back is appended to the application's log again, behind everything that is there:
/// all who read the application get it. Should the server stop in between, it may be sent back twice.
pub(crate) async fn settle(
    State(api): State<Arc<Api>>,
    login: Login,
    Names((application, group)): Names<(String, String)>,
    selected: Selected,
    Document(wish): Document<Wish>,
) -> Result<Json<Done>, ApiError> {
    api.application(&login, &application, Permission::Write).await?;
    let group = selected.group(application, group)?;
    let letters = api.settle(&group, &wish.check()?).await?;
    Ok(Json(Done { letters }))
}

async fn list(api: &Arc<Api>, application: String, group: Option<GroupId>, follow: bool) -> Result<Response, ApiError> {
    let open = Open::of(Arc::clone(api), application, group, follow).await?;
    let lines = open.lines().take_until(api.stop.clone().cancelled_owned());
    let mut response = Response::new(Body::from_stream(lines));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    Ok(response)
}

fn taken<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, ApiError> {
    match query {
        Ok(Query(query)) => Ok(query),
        Err(rejection) => Err(ApiError::BadRequest(rejection.body_text())),
    }
}
