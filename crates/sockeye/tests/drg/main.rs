//! `drg` 0.11.0, the command line tool of Drogue Cloud, unmodified and driven as a process through all it can do (compat/drogue.md 7.2), in
//! both of its ways to log in: with an access key, on a server without a provider, and with single sign-on at a real Keycloak, where the
//! test does what a browser would.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod applications;
mod apply;
mod browser;
mod commands;
mod contexts;
mod devices;
mod logins;
mod members;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod tokens;
mod world;

/// One test for each function, in both ways to log in.
macro_rules! in_both_ways {
    ($($file:ident: $($test:ident)+,)+) => {
        mod with_an_access_key {
            use crate::world::{Way, World};
            $($(
                #[tokio::test]
                async fn $test() {
                    if let Some(world) = World::new(Way::AccessKey).await {
                        crate::$file::$test(&world).await;
                    }
                }
            )+)+
        }

        mod with_single_sign_on {
            use crate::world::{Way, World};
            $($(
                #[tokio::test]
                async fn $test() {
                    if let Some(world) = World::new(Way::SingleSignOn).await {
                        crate::$file::$test(&world).await;
                    }
                }
            )+)+
        }
    };
}

in_both_ways! {
    applications: applications_come_change_and_go applications_are_found_by_labels what_is_wrong_with_an_application_is_said,
    apply: files_are_applied what_is_shown_can_be_applied_elsewhere a_conflict_is_said,
    commands: commands_reach_devices,
    contexts: contexts_are_kept,
    devices: devices_come_change_and_go what_is_set_for_devices_counts certificates_are_made,
    logins: who_and_where,
    members: members_come_change_and_go transfers_never_leave_drg,
    streams: events_are_streamed the_stream_of_one_device a_stream_that_may_not_be_read,
    tokens: a_token_works_until_it_is_deleted,
}
