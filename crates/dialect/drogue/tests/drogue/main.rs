//! The dialect on a real engine: refusals as a table, streams over real sockets to an independent client.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod broken;
mod refusals;
mod replay;
mod streams;
mod world;
