//! Bad input against a real server process: each gets a clear error that names the thing and the remedy, and nothing is
//! lost or stopped.
#![allow(clippy::unwrap_used, reason = "tests")]

mod bodies;
mod files;
mod frames;
mod full_disk;
mod raw;
mod requests;
mod silence;
#[path = "../support/mod.rs"]
mod support;
