//! What applications and devices have in common: the columns of their documents, and the rules of versions
//! (compat/drogue.md 4.1).

use deadpool_postgres::GenericClient;
use serde_json::{Map, Value};
use sockeye_registry::{Metadata, Preconditions, WriteError};
use tokio_postgres::Row;
use tokio_postgres::types::{Json, ToSql};
use uuid::Uuid;

use crate::failure::Failure;
use crate::sql;

/// The columns of a table called `r`, in the order in which [`read`] takes them.
pub(super) const COLUMNS: &str = "r.id, r.name, r.uid, r.created, r.generation, r.resource_version, r.deleted, \
                                  r.finalizers, r.labels, r.annotations, r.spec, r.status";
/// Their number: further columns of a query start here.
pub(super) const COUNT: usize = 12;

/// A document as it is stored.
pub(super) struct Stored {
    /// Row id.
    pub(super) id: i64,
    pub(super) metadata: Metadata,
    pub(super) spec: Map<String, Value>,
    pub(super) status: Map<String, Value>,
}

// ----------------------------------------------------------------------------------------------

/// The metadata lack the application's name.
pub(super) fn read(row: &Row) -> Result<Stored, Failure> {
    let metadata = Metadata {
        application: String::new(),
        name: sql::get(row, 1)?,
        uid: sql::get(row, 2)?,
        creation_timestamp: sql::time(row, 3)?,
        generation: sql::get::<i64>(row, 4)?.cast_unsigned(),
        resource_version: sql::get(row, 5)?,
        deletion_timestamp: sql::time_or_none(row, 6)?,
        finalizers: sql::json(row, 7)?,
        labels: sql::json(row, 8)?,
        annotations: sql::json(row, 9)?,
    };
    Ok(Stored {
        id: sql::get(row, 0)?,
        metadata,
        spec: sql::json(row, 10)?,
        status: sql::json(row, 11)?,
    })
}

/// Makes the metadata those of a resource that is new now.
pub(super) fn renew(metadata: &mut Metadata) {
    metadata.uid = Uuid::new_v4();
    metadata.resource_version = Uuid::new_v4();
    metadata.creation_timestamp = jiff::Timestamp::now();
    metadata.generation = 0;
    metadata.deletion_timestamp = None;
}

/// Stores a new document in `table`, with `belongs`, the column that says whose it is. Gives the row id.
pub(super) async fn insert(
    on: &impl GenericClient,
    table: &str,
    (belongs, owner): (&str, &(dyn ToSql + Sync)),
    metadata: &Metadata,
    spec: &Map<String, Value>,
    status: &Map<String, Value>,
) -> Result<i64, Failure> {
    let statement = format!(
        "INSERT INTO {table} ({belongs}, name, uid, created, generation, resource_version, finalizers, labels, annotations, \
         spec, status) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id"
    );
    let row = sql::row(
        on,
        &statement,
        &[
            owner,
            &metadata.name,
            &metadata.uid,
            &sql::nanos(metadata.creation_timestamp),
            &metadata.generation.cast_signed(),
            &metadata.resource_version,
            &Json(&metadata.finalizers),
            &Json(&metadata.labels),
            &Json(&metadata.annotations),
            &Json(spec),
            &Json(status),
        ],
    )
    .await?
    .ok_or(Failure::Closed)?;
    sql::get(&row, 0)
}

/// Whether a change may be made.
pub(super) fn check(is: &Metadata, pre: Preconditions, what: &'static str) -> Result<(), WriteError> {
    let holds = |wanted: Option<Uuid>, is: Uuid| wanted.is_none_or(|wanted| wanted == is);
    if holds(pre.uid, is.uid) && holds(pre.resource_version, is.resource_version) {
        Ok(())
    } else {
        Err(WriteError::Precondition(what))
    }
}

impl Stored {
    /// Takes over what an update may change and stores it in `table`, as a new version; whether anything changed.
    pub(super) async fn update(
        &mut self,
        on: &impl GenericClient,
        table: &str,
        wanted: Metadata,
        spec: Map<String, Value>,
        status: Map<String, Value>,
    ) -> Result<bool, Failure> {
        let mine = &mut self.metadata;
        let spec_changed = self.spec != spec;
        let metadata_changed = mine.finalizers != wanted.finalizers
            || mine.labels != wanted.labels
            || mine.annotations != wanted.annotations;
        if !spec_changed && !metadata_changed && self.status == status {
            return Ok(false);
        }
        mine.finalizers = wanted.finalizers;
        mine.labels = wanted.labels;
        mine.annotations = wanted.annotations;
        mine.generation += u64::from(spec_changed);
        mine.resource_version = Uuid::new_v4();
        self.spec = spec;
        self.status = status;
        let statement = format!(
            "UPDATE {table} SET generation = $2, resource_version = $3, finalizers = $4, labels = $5, annotations = $6, \
             spec = $7, status = $8 WHERE id = $1"
        );
        sql::execute(
            on,
            &statement,
            &[
                &self.id,
                &mine.generation.cast_signed(),
                &mine.resource_version,
                &Json(&mine.finalizers),
                &Json(&mine.labels),
                &Json(&mine.annotations),
                &Json(&self.spec),
                &Json(&self.status),
            ],
        )
        .await?;
        Ok(true)
    }
}
