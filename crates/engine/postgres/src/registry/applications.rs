//! Applications, with owners and members.

use std::collections::BTreeMap;

use deadpool_postgres::GenericClient;
use sockeye_registry::{Application, Document, Found, Preconditions, Role, Wanted, WriteError};
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::metadata::{self, COLUMNS, COUNT, Stored};
use super::{devices, remains};
use crate::failure::{Failure, Refusal};
use crate::sql;

const WHAT: &str = "application";

// ----------------------------------------------------------------------------------------------

pub(super) async fn create(on: &impl GenericClient, mut application: Application) -> Result<Application, Refusal> {
    if id(on, &application.metadata.name).await?.is_some() {
        return Err(WriteError::Taken(application.metadata.name).into());
    }
    application.metadata.renew();
    let Application {
        metadata,
        spec,
        status,
        owner,
        offered_to,
        members,
    } = application;
    let document = Document { metadata, spec, status };
    let id = metadata::insert(on, "applications", ("owner", &owner), &document).await?;
    let statement = "UPDATE applications SET members = $2, offered_to = $3 WHERE id = $1";
    sql::execute(on, statement, &[&id, &Json(&members), &offered_to]).await?;
    // What it might take for its own is removed: its maker has seen to that.
    remains::forget(on, &document.metadata.name).await?;
    Ok(with(document, owner, offered_to, members))
}

pub(super) async fn get(on: &impl GenericClient, name: &str) -> Result<Option<Application>, Failure> {
    Ok(find(on, name).await?.map(|(_, application)| application))
}

pub(super) async fn list(on: &impl GenericClient, wanted: &Wanted) -> Result<Found<Application>, Failure> {
    let statement = format!(
        "SELECT {COLUMNS}, r.owner, r.members, r.offered_to FROM applications r WHERE r.id = ANY($1) ORDER BY r.name"
    );
    let names = "SELECT id, name, labels::text FROM applications WHERE name > $1 ORDER BY name LIMIT $2";
    let rows = sql::rows(on, names, &[&wanted.after, &metadata::looked_at(wanted)]).await?;
    let Found { entries: ids, next } = metadata::find(&rows, wanted)?;
    let rows = sql::rows(on, &statement, &[&ids]).await?;
    let entries = rows
        .iter()
        .map(|row| Ok(read(row)?.1))
        .collect::<Result<_, Failure>>()?;
    Ok(Found { entries, next })
}

/// The application as it is then, and whether anything changed.
pub(super) async fn update(
    on: &impl GenericClient,
    wanted: Application,
    pre: Preconditions,
) -> Result<(Application, bool), Refusal> {
    let (id, application) = must_find(on, &wanted.metadata.name, pre).await?;
    let (owner, offered_to, members) = (
        application.owner.clone(),
        application.offered_to.clone(),
        application.members.clone(),
    );
    let mut document = Document::from(application);
    let mut wanted = Document::from(wanted);
    wanted.metadata.deletion_timestamp = document.metadata.deletion_timestamp;
    if wanted.is_going() {
        wanted.hold(has_devices(on, id).await?);
    }
    let changed = document.replace(wanted);
    let stored = Stored { id, document };
    if changed {
        store_or_remove(on, &stored).await?;
    }
    Ok((with(stored.document, owner, offered_to, members), changed))
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
    store_people(on, id, &mut application).await?;
    Ok((application, true))
}

/// As [`set_members`].
pub(super) async fn offer(
    on: &impl GenericClient,
    name: &str,
    to: Option<String>,
) -> Result<(Application, bool), Refusal> {
    let (id, mut application) = must_find(on, name, Preconditions::default()).await?;
    if application.offered_to == to {
        return Ok((application, false));
    }
    application.offered_to = to;
    store_people(on, id, &mut application).await?;
    Ok((application, true))
}

pub(super) async fn accept(on: &impl GenericClient, name: &str, by: &str) -> Result<Application, Refusal> {
    let (id, mut application) = must_find(on, name, Preconditions::default()).await?;
    match application.offered_to.take() {
        Some(to) if to == by => application.owner = to,
        _ => return Err(WriteError::NotFound(WHAT).into()),
    }
    store_people(on, id, &mut application).await?;
    Ok(application)
}

pub(super) async fn delete(on: &impl GenericClient, name: &str, pre: Preconditions) -> Result<(), Refusal> {
    let (id, application) = must_find(on, name, pre).await?;
    let mut document = Document::from(application);
    document.mark(WHAT)?;
    devices::delete_all(on, id).await?;
    document.hold(has_devices(on, id).await?);
    Ok(store_or_remove(on, &Stored { id, document }).await?)
}

/// A device was removed: it does not hold its application any more. The name of the application, if that changed it.
pub(super) async fn let_go(on: &impl GenericClient, name: &str) -> Result<Option<String>, Refusal> {
    let (id, application) = must_find(on, name, Preconditions::default()).await?;
    let mut document = Document::from(application);
    if !document.is_going() || has_devices(on, id).await? {
        return Ok(None);
    }
    document.hold(false);
    document.metadata.resource_version = Uuid::new_v4();
    store_or_remove(on, &Stored { id, document }).await?;
    Ok(Some(name.to_owned()))
}

/// The row id of an application.
pub(super) async fn id(on: &impl GenericClient, name: &str) -> Result<Option<i64>, Failure> {
    let row = sql::row(on, "SELECT id FROM applications WHERE name = $1", &[&name]).await?;
    row.map(|row| sql::get(&row, 0)).transpose()
}

/// Row id and uid of an application whose devices are to be changed.
pub(super) async fn must_know(on: &impl GenericClient, name: &str) -> Result<(i64, Uuid), Refusal> {
    known(on, "SELECT id, uid FROM applications WHERE name = $1", name).await
}

/// As [`must_know`], of one that gets a device: it is not being deleted.
pub(super) async fn must_stay(on: &impl GenericClient, name: &str) -> Result<(i64, Uuid), Refusal> {
    let statement = "SELECT id, uid FROM applications WHERE name = $1 AND deleted IS NULL";
    known(on, statement, name).await
}

/// The row id of an application that a change needs.
pub(super) async fn must_have(on: &impl GenericClient, name: &str) -> Result<i64, Refusal> {
    Ok(id(on, name).await?.ok_or(WriteError::NotFound(WHAT))?)
}

async fn known(on: &impl GenericClient, statement: &str, name: &str) -> Result<(i64, Uuid), Refusal> {
    let row = sql::row(on, statement, &[&name]).await?;
    let row = row.ok_or(WriteError::NotFound(WHAT))?;
    Ok((sql::get(&row, 0)?, sql::get(&row, 1)?))
}

async fn has_devices(on: &impl GenericClient, id: i64) -> Result<bool, Failure> {
    let row = sql::row(on, "SELECT FROM devices WHERE application = $1 LIMIT 1", &[&id]).await?;
    Ok(row.is_some())
}

/// Stores it as it is now; if nothing holds it any more, it goes, and what belongs to it by the tables' own rules.
async fn store_or_remove(on: &impl GenericClient, stored: &Stored) -> Result<(), Failure> {
    if !stored.document.is_gone() {
        return stored.store(on, "applications").await;
    }
    remains::put(on, stored.id, &stored.document.metadata.name).await?;
    sql::execute(on, "DELETE FROM applications WHERE id = $1", &[&stored.id]).await?;
    Ok(())
}

/// Stores who may do what with it, as a new version.
async fn store_people(on: &impl GenericClient, id: i64, application: &mut Application) -> Result<(), Failure> {
    application.metadata.resource_version = Uuid::new_v4();
    let statement =
        "UPDATE applications SET owner = $2, members = $3, offered_to = $4, resource_version = $5 WHERE id = $1";
    let with: sql::Parameters<'_> = &[
        &id,
        &application.owner,
        &Json(&application.members),
        &application.offered_to,
        &application.metadata.resource_version,
    ];
    sql::execute(on, statement, with).await?;
    Ok(())
}

fn with(document: Document, owner: String, offered_to: Option<String>, members: BTreeMap<String, Role>) -> Application {
    let Document { metadata, spec, status } = document;
    Application {
        metadata,
        spec,
        status,
        owner,
        offered_to,
        members,
    }
}

/// Row id and application.
fn read(row: &Row) -> Result<(i64, Application), Failure> {
    let Stored { id, document } = metadata::read(row)?;
    let (owner, members, offered_to) = (
        sql::get(row, COUNT)?,
        sql::json(row, COUNT + 1)?,
        sql::get(row, COUNT + 2)?,
    );
    Ok((id, with(document, owner, offered_to, members)))
}

async fn find(on: &impl GenericClient, name: &str) -> Result<Option<(i64, Application)>, Failure> {
    let statement = format!("SELECT {COLUMNS}, r.owner, r.members, r.offered_to FROM applications r WHERE r.name = $1");
    let row = sql::row(on, &statement, &[&name]).await?;
    row.map(|row| read(&row)).transpose()
}

async fn must_find(on: &impl GenericClient, name: &str, pre: Preconditions) -> Result<(i64, Application), Refusal> {
    let (id, application) = find(on, name).await?.ok_or(WriteError::NotFound(WHAT))?;
    pre.check(&application.metadata, WHAT)?;
    Ok((id, application))
}
