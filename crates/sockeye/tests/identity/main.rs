//! Identity with a real Keycloak: who gets in, until when, and what ends it (compat/drogue.md 1.2 to 1.4, 1.7, 1.10, 3.2 to 3.5).
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod browser;
mod endings;
mod expiry;
mod logins;
mod provider;
mod refresh;
mod registry;
#[path = "../support/mod.rs"]
mod support;
mod world;
