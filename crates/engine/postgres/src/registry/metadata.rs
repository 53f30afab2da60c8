//! What applications and devices have in common: the columns of their documents.

use deadpool_postgres::GenericClient;
use sockeye_limits as limits;
use sockeye_registry::{Document, Found, Metadata, Wanted};
use tokio_postgres::Row;
use tokio_postgres::types::{Json, ToSql};

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
    pub(super) document: Document,
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
    let (spec, status) = (sql::json(row, 10)?, sql::json(row, 11)?);
    Ok(Stored {
        id: sql::get(row, 0)?,
        document: Document { metadata, spec, status },
    })
}

/// How many rows [`find`] is to be given.
pub(super) fn looked_at(wanted: &Wanted) -> i64 {
    let all = wanted.limit.min(limits::REGISTRY_PAGE);
    (if wanted.labels.is_all() {
        all
    } else {
        limits::REGISTRY_SCAN
    }) as i64
}

/// The ids of those that are wanted of rows of id, name and labels; sorted by name, [`looked_at`] of them at most.
pub(super) fn find(rows: &[Row], wanted: &Wanted) -> Result<Found<i64>, Failure> {
    let most = wanted.limit.min(limits::REGISTRY_PAGE);
    let mut entries = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        if wanted.labels.is_all() || wanted.labels.selects_json(sql::get(row, 2)?) {
            entries.push(sql::get(row, 0)?);
        }
        if entries.len() >= most || at + 1 == looked_at(wanted) as usize {
            let next = Some(sql::get(row, 1)?);
            return Ok(Found { entries, next });
        }
    }
    Ok(Found { entries, next: None })
}

/// Stores a new document in `table`, with `belongs`, the column that says whose it is. Gives the row id.
pub(super) async fn insert(
    on: &impl GenericClient,
    table: &str,
    (belongs, owner): (&str, &(dyn ToSql + Sync)),
    Document { metadata, spec, status }: &Document,
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

impl Stored {
    /// Stores it in `table` as it is now.
    pub(super) async fn store(&self, on: &impl GenericClient, table: &str) -> Result<(), Failure> {
        let Document { metadata, spec, status } = &self.document;
        let statement = format!(
            "UPDATE {table} SET generation = $2, resource_version = $3, deleted = $4, finalizers = $5, labels = $6, \
             annotations = $7, spec = $8, status = $9 WHERE id = $1"
        );
        sql::execute(
            on,
            &statement,
            &[
                &self.id,
                &metadata.generation.cast_signed(),
                &metadata.resource_version,
                &metadata.deletion_timestamp.map(sql::nanos),
                &Json(&metadata.finalizers),
                &Json(&metadata.labels),
                &Json(&metadata.annotations),
                &Json(spec),
                &Json(status),
            ],
        )
        .await?;
        Ok(())
    }
}
