//! Tickets: each change is one statement, and no change that is told.

use async_trait::async_trait;
use futures_util::FutureExt as _;
use jiff::Timestamp;
use sockeye_limits as limits;
use sockeye_registry::{Ticket, TicketError, Tickets, Unavailable};
use tokio_postgres::Row;

use crate::PostgresRegistry;
use crate::failure::Failure;
use crate::sql;

// ----------------------------------------------------------------------------------------------

#[async_trait]
impl Tickets for PostgresRegistry {
    async fn keep_ticket(&self, ticket: Ticket, now: Timestamp) -> Result<(), TicketError> {
        let kept = self.run(move |c| {
            async move {
                // Whoever does the same on another node is passed by, not waited for.
                let expired = "DELETE FROM tickets WHERE id IN (SELECT id FROM tickets WHERE expires <= $1 \
                               ORDER BY expires LIMIT $2 FOR UPDATE SKIP LOCKED)";
                let most = limits::TICKETS_FORGOTTEN as i64;
                sql::execute(c, expired, &[&sql::nanos(now), &most]).await?;
                let insert = "INSERT INTO tickets (hash, owner, admits, expires) SELECT $1, $2, $3, $4 \
                              WHERE (SELECT count(*) FROM tickets WHERE owner = $2) < $5 \
                              AND coalesce((SELECT max(id) FROM tickets) - (SELECT min(id) FROM tickets), 0) < $6";
                let expires = sql::nanos(ticket.expires);
                let (of_owner, of_all) = (limits::TICKETS_OF_OWNER as i64, limits::TICKETS as i64);
                let with: sql::Parameters<'_> = &[
                    &ticket.hash,
                    &ticket.owner,
                    &ticket.admits,
                    &expires,
                    &of_owner,
                    &of_all,
                ];
                Ok(sql::execute(c, insert, with).await? == 1)
            }
            .boxed()
        });
        let kept = kept.await.map_err(Unavailable::from)?;
        if kept { Ok(()) } else { Err(TicketError::TooMany) }
    }

    async fn take_ticket(&self, hash: &str, now: Timestamp) -> Result<Option<String>, Unavailable> {
        self.admitted(
            "DELETE FROM tickets WHERE hash = $1 RETURNING expires, admits",
            hash,
            now,
        )
        .await
    }

    async fn ticket(&self, hash: &str, now: Timestamp) -> Result<Option<String>, Unavailable> {
        self.admitted("SELECT expires, admits FROM tickets WHERE hash = $1", hash, now)
            .await
    }
}

impl PostgresRegistry {
    /// What the ticket that a statement gives admits, if it does.
    async fn admitted(
        &self,
        statement: &'static str,
        hash: &str,
        now: Timestamp,
    ) -> Result<Option<String>, Unavailable> {
        let hash = hash.to_owned();
        let row = self.ask(move |c| {
            async move {
                let row = sql::row(c, statement, &[&hash]).await?;
                row.map(|row| counts(&row, now)).transpose()
            }
            .boxed()
        });
        Ok(row.await?.flatten())
    }
}

fn counts(row: &Row, now: Timestamp) -> Result<Option<String>, Failure> {
    Ok(if sql::time(row, 0)? > now {
        Some(sql::get(row, 1)?)
    } else {
        None
    })
}
