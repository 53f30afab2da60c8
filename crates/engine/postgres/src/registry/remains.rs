//! What deleted applications have left in the log. Taking it is one statement; no change that is told.

use async_trait::async_trait;
use deadpool_postgres::GenericClient;
use futures_util::FutureExt as _;
use jiff::Timestamp;
use sockeye_limits as limits;
use sockeye_log::GroupId;
use sockeye_registry::{Remains, RemainsKept, Unavailable, WantedRemains};
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use crate::PostgresRegistry;
use crate::failure::Failure;
use crate::sql;

// ----------------------------------------------------------------------------------------------

#[async_trait]
impl RemainsKept for PostgresRegistry {
    async fn take_remains(&self, wanted: WantedRemains) -> Result<Option<Vec<Remains>>, Unavailable> {
        let taken = self.run(move |c| {
            async move {
                let now = Timestamp::now();
                match wanted {
                    WantedRemains::Of(application) => one(c, &application, now).await,
                    WantedRemains::Since(time) => Ok(Some(some(c, time, now).await?)),
                }
            }
            .boxed()
        });
        Ok(taken.await?)
    }

    async fn forget_remains(&self, application: &str) -> Result<(), Unavailable> {
        let application = application.to_owned();
        Ok(self
            .run(move |c| async move { forget(c, &application).await }.boxed())
            .await?)
    }
}

/// Puts down what an application leaves, before its groups are removed.
pub(super) async fn put(on: &impl GenericClient, id: i64, name: &str) -> Result<(), Failure> {
    let groups = "SELECT group_id, selection FROM group_positions WHERE application = $1";
    let groups = sql::rows(on, groups, &[&id]).await?;
    let groups: Vec<(String, String)> = groups
        .iter()
        .map(|row| Ok((sql::get(row, 0)?, sql::get(row, 1)?)))
        .collect::<Result<_, Failure>>()?;
    let insert = "INSERT INTO remains (application, since, groups, taken) VALUES ($1, $2, $3, 0) \
                  ON CONFLICT (application) DO UPDATE SET since = excluded.since, groups = excluded.groups, taken = 0";
    sql::execute(on, insert, &[&name, &sql::nanos(Timestamp::now()), &Json(groups)]).await?;
    Ok(())
}

pub(super) async fn forget(on: &impl GenericClient, application: &str) -> Result<(), Failure> {
    sql::execute(on, "DELETE FROM remains WHERE application = $1", &[&application]).await?;
    Ok(())
}

async fn one(on: &impl GenericClient, application: &str, now: Timestamp) -> Result<Option<Vec<Remains>>, Failure> {
    let take =
        "UPDATE remains SET taken = $3 WHERE application = $1 AND taken <= $2 RETURNING application, since, groups";
    let until = sql::nanos(now + limits::REMAINS_TAKEN);
    if let Some(row) = sql::row(on, take, &[&application, &sql::nanos(now), &until]).await? {
        return Ok(Some(vec![read(&row)?]));
    }
    let there = sql::row(on, "SELECT FROM remains WHERE application = $1", &[&application]).await?;
    Ok(there.is_none().then(Vec::new))
}

async fn some(on: &impl GenericClient, time: Timestamp, now: Timestamp) -> Result<Vec<Remains>, Failure> {
    // Who takes some at the same time is passed by, not waited for.
    let take = "UPDATE remains SET taken = $3 WHERE application IN (SELECT application FROM remains \
                WHERE since <= $1 AND taken <= $2 ORDER BY since LIMIT $4 FOR UPDATE SKIP LOCKED) \
                RETURNING application, since, groups";
    let with: sql::Parameters<'_> = &[
        &sql::nanos(time),
        &sql::nanos(now),
        &sql::nanos(now + limits::REMAINS_TAKEN),
        &(limits::REMAINS_READ as i64),
    ];
    sql::rows(on, take, with).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Remains, Failure> {
    let application: String = sql::get(row, 0)?;
    let groups: Vec<(String, String)> = sql::json(row, 2)?;
    let groups = groups.into_iter().map(|(group, selection)| GroupId {
        application: application.clone(),
        group,
        selection,
    });
    Ok(Remains {
        groups: groups.collect(),
        since: sql::time(row, 1)?,
        application,
    })
}
