//! Connections from their upgrade to their end, over pipes and with time that is paused.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod groups;
mod life;
mod memory;
mod numbers;
mod past;
mod positions;
mod remote;
mod replay;
mod seats;
mod stream;
mod subscriptions;
mod tls;
mod trouble;
mod world;
