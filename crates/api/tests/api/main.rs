//! The API by the tables of compat/drogue.md 3.2 and 4, on a real engine.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod cases;
mod commands;
mod dead_letters;
mod discovery;
mod documents;
#[path = "../../../sockeye/tests/support/engines.rs"]
#[allow(dead_code, reason = "the tests of the command line use the rest")]
mod engines;
mod groups;
mod import;
mod keys;
mod people;
mod policy;
mod removal;
mod world;
