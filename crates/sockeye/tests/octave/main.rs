//! Clients of Octave on a real server: the list of compat/octave.md 10, and what goes beyond it.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../support/mod.rs"]
mod support;

mod bounds;
mod clients;
mod dialects;
mod extras;
mod groups;
mod import;
mod list;
mod world;
