//! What applications and devices have in common: the columns of their documents, and the rules of versions
//! (compat/drogue.md 4.1).

use rusqlite::{Connection, Row, ToSql, params};
use serde_json::{Map, Value};
use sockeye_registry::{Metadata, Preconditions, WriteError};
use uuid::Uuid;

use super::row::{Id, Json, Nanos};

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
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let (Id(uid), Nanos(creation_timestamp), Id(resource_version)) = (row.get(2)?, row.get(3)?, row.get(5)?);
    let (Json(finalizers), Json(labels), Json(annotations)) = (row.get(7)?, row.get(8)?, row.get(9)?);
    let (Json(spec), Json(status)) = (row.get(10)?, row.get(11)?);
    let metadata = Metadata {
        application: String::new(),
        name: row.get(1)?,
        uid,
        creation_timestamp,
        generation: row.get::<_, i64>(4)? as u64,
        resource_version,
        deletion_timestamp: row.get::<_, Option<Nanos>>(6)?.map(|Nanos(time)| time),
        finalizers,
        labels,
        annotations,
    };
    Ok(Stored {
        id: row.get(0)?,
        metadata,
        spec,
        status,
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
pub(super) fn insert(
    connection: &Connection,
    table: &str,
    (belongs, owner): (&str, &dyn ToSql),
    metadata: &Metadata,
    spec: &Map<String, Value>,
    status: &Map<String, Value>,
) -> rusqlite::Result<i64> {
    let sql = format!(
        "INSERT INTO {table} ({belongs}, name, uid, created, generation, resource_version, finalizers, labels, annotations, \
         spec, status) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
    );
    connection.prepare_cached(&sql)?.insert(params![
        owner,
        metadata.name,
        Id(metadata.uid),
        Nanos(metadata.creation_timestamp),
        metadata.generation as i64,
        Id(metadata.resource_version),
        Json(&metadata.finalizers),
        Json(&metadata.labels),
        Json(&metadata.annotations),
        Json(spec),
        Json(status)
    ])
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
    pub(super) fn update(
        &mut self,
        connection: &Connection,
        table: &str,
        wanted: Metadata,
        spec: Map<String, Value>,
        status: Map<String, Value>,
    ) -> rusqlite::Result<bool> {
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
        let sql = format!(
            "UPDATE {table} SET generation = ?2, resource_version = ?3, finalizers = ?4, labels = ?5, annotations = ?6, \
             spec = ?7, status = ?8 WHERE id = ?1"
        );
        connection.prepare_cached(&sql)?.execute(params![
            self.id,
            mine.generation as i64,
            Id(mine.resource_version),
            Json(&mine.finalizers),
            Json(&mine.labels),
            Json(&mine.annotations),
            Json(&self.spec),
            Json(&self.status)
        ])?;
        Ok(true)
    }
}
