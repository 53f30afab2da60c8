//! What applications and devices have in common: the columns of their documents.

use rusqlite::{Connection, Row, Rows, ToSql, params};
use sockeye_limits as limits;
use sockeye_registry::{Document, Found, Metadata, Wanted};

use super::row::{Id, Json, Nanos};

/// The columns of a table called `r`, in the order in which [`read`] takes them.
pub(super) const COLUMNS: &str = "r.id, r.name, r.uid, r.created, r.generation, r.resource_version, r.deleted, \
                                  r.finalizers, r.labels, r.annotations, r.spec, r.status";
/// Two of them.
const NAME: usize = 1;
const LABELS: usize = 8;
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
        document: Document { metadata, spec, status },
    })
}

/// What is wanted of rows that begin as [`COLUMNS`] does, as far as id, name and labels go; sorted by name, [`limits::REGISTRY_SCAN`] of
/// them. `give` makes an entry of one.
pub(super) fn find<T>(
    mut rows: Rows<'_>,
    wanted: &Wanted,
    mut give: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Found<T>> {
    let most = wanted.limit.min(limits::REGISTRY_PAGE);
    let (mut entries, mut looked) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        looked += 1;
        if wanted.labels.is_all() || wanted.labels.selects_json(row.get_ref(LABELS)?.as_str()?) {
            entries.push(give(row)?);
        }
        if entries.len() >= most || looked == limits::REGISTRY_SCAN {
            let next = Some(row.get(NAME)?);
            return Ok(Found { entries, next });
        }
    }
    Ok(Found { entries, next: None })
}

/// Stores a new document in `table`, with `belongs`, the column that says whose it is. Gives the row id.
pub(super) fn insert(
    connection: &Connection,
    table: &str,
    (belongs, owner): (&str, &dyn ToSql),
    Document { metadata, spec, status }: &Document,
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

impl Stored {
    /// Stores it in `table` as it is now.
    pub(super) fn store(&self, connection: &Connection, table: &str) -> rusqlite::Result<()> {
        let Document { metadata, spec, status } = &self.document;
        let sql = format!(
            "UPDATE {table} SET generation = ?2, resource_version = ?3, deleted = ?4, finalizers = ?5, labels = ?6, \
             annotations = ?7, spec = ?8, status = ?9 WHERE id = ?1"
        );
        connection.prepare_cached(&sql)?.execute(params![
            self.id,
            metadata.generation as i64,
            Id(metadata.resource_version),
            metadata.deletion_timestamp.map(Nanos),
            Json(&metadata.finalizers),
            Json(&metadata.labels),
            Json(&metadata.annotations),
            Json(spec),
            Json(status)
        ])?;
        Ok(())
    }
}
