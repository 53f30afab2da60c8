//! Clients of Octave on a real server: the list of compat/octave.md 10, and what goes beyond it.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../support/mod.rs"]
mod support;

mod dialects;
mod extras;
mod list;
mod world;
