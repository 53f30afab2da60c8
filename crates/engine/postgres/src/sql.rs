//! Statements, prepared once per connection; and columns that need a word.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use tokio_postgres::Row;
use tokio_postgres::types::{Json, ToSql};

use crate::failure::Failure;

/// What statements take.
pub(crate) type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

// ----------------------------------------------------------------------------------------------

/// All rows.
pub(crate) async fn rows(on: &impl GenericClient, sql: &str, with: Parameters<'_>) -> Result<Vec<Row>, Failure> {
    let statement = on.prepare_cached(sql).await?;
    Ok(on.query(&statement, with).await?)
}

/// The only row, if there is one.
pub(crate) async fn row(on: &impl GenericClient, sql: &str, with: Parameters<'_>) -> Result<Option<Row>, Failure> {
    let statement = on.prepare_cached(sql).await?;
    Ok(on.query_opt(&statement, with).await?)
}

/// How many rows it made, changed or removed.
pub(crate) async fn execute(on: &impl GenericClient, sql: &str, with: Parameters<'_>) -> Result<u64, Failure> {
    let statement = on.prepare_cached(sql).await?;
    Ok(on.execute(&statement, with).await?)
}

/// A column of whatever type fits.
pub(crate) fn get<'r, T: tokio_postgres::types::FromSql<'r>>(row: &'r Row, at: usize) -> Result<T, Failure> {
    Ok(row.try_get(at)?)
}

/// A column of JSON.
pub(crate) fn json<T: DeserializeOwned>(row: &Row, at: usize) -> Result<T, Failure> {
    let Json(value) = row.try_get(at)?;
    Ok(value)
}

/// A column of nanoseconds since 1970.
pub(crate) fn time(row: &Row, at: usize) -> Result<Timestamp, Failure> {
    timestamp(row.try_get(at)?)
}

/// As [`time`], of a column that may be NULL.
pub(crate) fn time_or_none(row: &Row, at: usize) -> Result<Option<Timestamp>, Failure> {
    row.try_get::<_, Option<i64>>(at)?.map(timestamp).transpose()
}

/// Nanoseconds since 1970; the ends of what a column holds (1677, 2262) stand for what is beyond.
pub(crate) fn nanos(time: Timestamp) -> i64 {
    let nanos = time.as_nanosecond();
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

fn timestamp(nanos: i64) -> Result<Timestamp, Failure> {
    Timestamp::from_nanosecond(nanos.into()).map_err(|error| Failure::Refused(error.to_string()))
}
