//! Tickets: each change is one statement.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sockeye_limits as limits;
use sockeye_registry::{Ticket, TicketError, Tickets, Unavailable};

use super::row::Nanos;
use crate::SqliteEngine;

// ----------------------------------------------------------------------------------------------

#[async_trait]
impl Tickets for SqliteEngine {
    async fn keep_ticket(&self, ticket: Ticket, now: Timestamp) -> Result<(), TicketError> {
        let kept = self.store(move |c| Ok((keep(c, &ticket, now)?, None))).await?;
        if kept { Ok(()) } else { Err(TicketError::TooMany) }
    }

    async fn take_ticket(&self, hash: &str, now: Timestamp) -> Result<Option<String>, Unavailable> {
        let hash = hash.to_owned();
        self.store(move |c| {
            let mut delete = c.prepare_cached("DELETE FROM tickets WHERE hash = ?1 RETURNING expires, admits")?;
            let taken = delete.query_row([hash], |row| counts(row, now)).optional()?;
            Ok((taken.flatten(), None))
        })
        .await
    }

    async fn ticket(&self, hash: &str, now: Timestamp) -> Result<Option<String>, Unavailable> {
        let hash = hash.to_owned();
        self.ask(move |c| {
            let mut select = c.prepare_cached("SELECT expires, admits FROM tickets WHERE hash = ?1")?;
            Ok(select.query_row([hash], |row| counts(row, now)).optional()?.flatten())
        })
        .await
    }
}

/// Whether there is room for it.
fn keep(connection: &Connection, ticket: &Ticket, now: Timestamp) -> rusqlite::Result<bool> {
    let expired =
        "DELETE FROM tickets WHERE id IN (SELECT id FROM tickets WHERE expires <= ?1 ORDER BY expires LIMIT ?2)";
    connection
        .prepare_cached(expired)?
        .execute(params![Nanos(now), limits::TICKETS_FORGOTTEN as i64])?;
    let insert = "INSERT INTO tickets (hash, owner, admits, expires) SELECT ?1, ?2, ?3, ?4 \
                  WHERE (SELECT count(*) FROM tickets WHERE owner = ?2) < ?5 \
                  AND ifnull((SELECT max(id) FROM tickets) - (SELECT min(id) FROM tickets), 0) < ?6";
    let kept = connection.prepare_cached(insert)?.execute(params![
        ticket.hash,
        ticket.owner,
        ticket.admits,
        Nanos(ticket.expires),
        limits::TICKETS_OF_OWNER as i64,
        limits::TICKETS as i64,
    ])?;
    Ok(kept == 1)
}

/// What it admits, if it does.
fn counts(row: &Row<'_>, now: Timestamp) -> rusqlite::Result<Option<String>> {
    let Nanos(expires) = row.get(0)?;
    Ok(if expires > now { Some(row.get(1)?) } else { None })
}
