//! Applications, with their members.

use std::collections::BTreeMap;

use deadpool_postgres::GenericClient;
use sockeye_registry::{Application, Page, Preconditions, Role, WriteError};
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::metadata::{self, COLUMNS, COUNT, Stored};
use crate::failure::{Failure, Refusal};
use crate::sql;

const WHAT: &str = "application";

// ----------------------------------------------------------------------------------------------

pub(super) async fn create(on: &impl GenericClient, mut application: Application) -> Result<Application, Refusal> {
    if id(on, &application.metadata.name).await?.is_some() {
        return Err(WriteError::Taken(application.metadata.name).into());
    }
    metadata::renew(&mut application.metadata);
    let Application {
        metadata,
        spec,
        status,
        owner,
        members,
    } = &application;
    let id = metadata::insert(on, "applications", ("owner", owner), metadata, spec, status).await?;
    let statement = "UPDATE applications SET members = $2 WHERE id = $1";
    sql::execute(on, statement, &[&id, &Json(members)]).await?;
    Ok(application)
}

pub(super) async fn get(on: &impl GenericClient, name: &str) -> Result<Option<Application>, Failure> {
    Ok(find(on, name).await?.map(|(_, application)| application))
}

pub(super) async fn list(on: &impl GenericClient, page: Page) -> Result<Vec<Application>, Failure> {
    let statement =
        format!("SELECT {COLUMNS}, r.owner, r.members FROM applications r ORDER BY r.name LIMIT $1 OFFSET $2");
    let rows = sql::rows(on, &statement, &[&limit(page), &offset(page)]).await?;
    rows.iter().map(|row| Ok(read(row)?.1)).collect()
}

/// The application as it is then, and whether anything changed.
pub(super) async fn update(
    on: &impl GenericClient,
    wanted: Application,
    pre: Preconditions,
) -> Result<(Application, bool), Refusal> {
    let (id, application) = must_find(on, &wanted.metadata.name, pre).await?;
    let Application {
        metadata,
        spec,
        status,
        owner,
        members,
    } = application;
    let mut stored = Stored {
        id,
        metadata,
        spec,
        status,
    };
    let update = stored.update(on, "applications", wanted.metadata, wanted.spec, wanted.status);
    let changed = update.await?;
    let Stored {
        metadata, spec, status, ..
    } = stored;
    Ok((
        Application {
            metadata,
            spec,
            status,
            owner,
            members,
        },
        changed,
    ))
}

/// The application as it is then, and whether anything changed.
pub(super) async fn set_members(
    on: &impl GenericClient,
    name: &str,
    members: BTreeMap<String, Role>,
    pre: Preconditions,
) -> Result<(Application, bool), Refusal> {
    let (id, mut application) = must_find(on, name, pre).await?;
    if application.members == members {
        return Ok((application, false));
    }
    application.members = members;
    application.metadata.resource_version = Uuid::new_v4();
    let statement = "UPDATE applications SET members = $2, resource_version = $3 WHERE id = $1";
    let version = &application.metadata.resource_version;
    sql::execute(on, statement, &[&id, &Json(&application.members), version]).await?;
    Ok((application, true))
}

/// What belongs to it goes with it, by the tables' own rules.
pub(super) async fn delete(on: &impl GenericClient, name: &str, pre: Preconditions) -> Result<(), Refusal> {
    let (id, _) = must_find(on, name, pre).await?;
    sql::execute(on, "DELETE FROM applications WHERE id = $1", &[&id]).await?;
    Ok(())
}

/// The row id of an application.
pub(super) async fn id(on: &impl GenericClient, name: &str) -> Result<Option<i64>, Failure> {
    let row = sql::row(on, "SELECT id FROM applications WHERE name = $1", &[&name]).await?;
    row.map(|row| sql::get(&row, 0)).transpose()
}

/// Row id and uid of an application whose devices are to be changed.
pub(super) async fn must_know(on: &impl GenericClient, name: &str) -> Result<(i64, Uuid), Refusal> {
    let row = sql::row(on, "SELECT id, uid FROM applications WHERE name = $1", &[&name]).await?;
    let row = row.ok_or(WriteError::NotFound(WHAT))?;
    Ok((sql::get(&row, 0)?, sql::get(&row, 1)?))
}

/// The row id of an application that a change needs.
pub(super) async fn must_have(on: &impl GenericClient, name: &str) -> Result<i64, Refusal> {
    Ok(id(on, name).await?.ok_or(WriteError::NotFound(WHAT))?)
}

pub(super) fn limit(page: Page) -> i64 {
    page.limit.min(sockeye_limits::REGISTRY_PAGE) as i64
}

pub(super) fn offset(page: Page) -> i64 {
    i64::try_from(page.offset).unwrap_or(i64::MAX)
}

/// Row id and application.
fn read(row: &Row) -> Result<(i64, Application), Failure> {
    let Stored {
        id,
        metadata,
        spec,
        status,
    } = metadata::read(row)?;
    Ok((
        id,
        Application {
            metadata,
            spec,
            status,
            owner: sql::get(row, COUNT)?,
            members: sql::json(row, COUNT + 1)?,
        },
    ))
}

async fn find(on: &impl GenericClient, name: &str) -> Result<Option<(i64, Application)>, Failure> {
    let statement = format!("SELECT {COLUMNS}, r.owner, r.members FROM applications r WHERE r.name = $1");
    let row = sql::row(on, &statement, &[&name]).await?;
    row.map(|row| read(&row)).transpose()
}

async fn must_find(on: &impl GenericClient, name: &str, pre: Preconditions) -> Result<(i64, Application), Refusal> {
    let (id, application) = find(on, name).await?.ok_or(WriteError::NotFound(WHAT))?;
    metadata::check(&application.metadata, pre, WHAT)?;
    Ok((id, application))
}
