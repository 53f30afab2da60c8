//! The dialect of dojot's Kafka WS, from end to end through real sockets: tickets, filters, close codes, and the defects that the
//! original has (compat/dojot.md).

#![allow(clippy::unwrap_used, reason = "tests")]

mod bad_input;
mod cases;
mod clients;
mod codes;
mod defects;
mod kafka;
#[path = "../support/mod.rs"]
mod support;
mod tickets;
mod topics;
mod world;
