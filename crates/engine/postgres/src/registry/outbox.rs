//! What is told of devices, put down in the transaction that changes them.
//!
//! Who takes it to the log holds the rows meanwhile: others, on all nodes, wait, and find what is left. A node that dies lets go of them.

use async_trait::async_trait;
use deadpool_postgres::GenericClient;
use futures_util::FutureExt as _;
use sockeye_event::origin;
use sockeye_limits as limits;
use sockeye_registry::{DeviceChange, Outbox, Teller, Unavailable, WriteError, tell_numbered};
use tokio_postgres::Row;

use crate::PostgresRegistry;
use crate::failure::{Failure, Refusal};
use crate::sql;

// ----------------------------------------------------------------------------------------------

#[async_trait]
impl Outbox for PostgresRegistry {
    async fn tell(&self, teller: Box<dyn Teller>) -> Result<(), Unavailable> {
        let (mut teller, mut after) = (teller, 0);
        loop {
            let step = self.run(move |connection| {
                async move {
                    let transaction = connection.transaction().await?;
                    let waiting = waiting(&transaction, after).await?;
                    let Some((last, _)) = waiting.last() else {
                        return Ok(None);
                    };
                    let last = *last;
                    let told = tell_numbered(&mut *teller, waiting).await;
                    sql::execute(&transaction, "DELETE FROM outbox WHERE number = ANY($1)", &[&told]).await?;
                    transaction.commit().await?;
                    Ok(Some((teller, last)))
                }
                .boxed()
            });
            match step.await? {
                Some(rest) => (teller, after) = rest,
                None => return Ok(()),
            }
        }
    }
}

/// Demands that there is room for one more, before anything is changed.
pub(super) async fn have_room(on: &impl GenericClient, most: usize) -> Result<(), Refusal> {
    let count = "SELECT count(*) FROM (SELECT FROM outbox LIMIT $1) AS waiting";
    let row = sql::row(on, count, &[&(most as i64)]).await?;
    let count: i64 = row.map(|row| sql::get(&row, 0)).transpose()?.unwrap_or_default();
    if count < most as i64 {
        return Ok(());
    }
    let full = format!("{most} changes of devices wait for the log already");
    Err(WriteError::Unavailable(Unavailable(full)).into())
}

/// Lets a change of a device be told, with what it changes.
pub(super) async fn put(on: &impl GenericClient, change: &DeviceChange) -> Result<(), Failure> {
    let insert = "INSERT INTO outbox (id, change, time, application, application_uid, device, device_uid) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let with: sql::Parameters<'_> = &[
        &change.id,
        &change.what.as_str(),
        &sql::nanos(change.time),
        &change.application,
        &change.application_uid,
        &change.device,
        &change.device_uid,
    ];
    sql::execute(on, insert, with).await?;
    Ok(())
}

/// Those that wait behind a number, with theirs.
async fn waiting(on: &impl GenericClient, after: i64) -> Result<Vec<(i64, DeviceChange)>, Failure> {
    let select = "SELECT number, id, change, time, application, application_uid, device, device_uid FROM outbox \
                  WHERE number > $1 ORDER BY number LIMIT $2 FOR UPDATE";
    let rows = sql::rows(on, select, &[&after, &(limits::OUTBOX_READ as i64)]).await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<(i64, DeviceChange), Failure> {
    let change = DeviceChange {
        id: sql::get(row, 1)?,
        // A later release may know more; for this one something is another now.
        what: origin::Change::of(sql::get(row, 2)?).unwrap_or(origin::Change::Updated),
        time: sql::time(row, 3)?,
        application: sql::get(row, 4)?,
        application_uid: sql::get(row, 5)?,
        device: sql::get(row, 6)?,
        device_uid: sql::get(row, 7)?,
    };
    Ok((sql::get(row, 0)?, change))
}
