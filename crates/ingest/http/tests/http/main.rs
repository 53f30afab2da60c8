//! The endpoint by the tables of compat/drogue.md 5.1, on a real engine.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod batch;
mod commands;
mod publish;
mod quotas;
mod rules;
mod world;
