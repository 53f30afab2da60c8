//! Connections from their upgrade to their end, over pipes and with time that is paused.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod life;
mod numbers;
mod past;
mod remote;
mod replay;
mod stream;
mod tls;
mod trouble;
mod world;
