//! What every engine of the registry must do, as one test for each property.
//!
//! An engine's tests implement [`Fixture`] and call [`registry_conformance!`](crate::registry_conformance) with a function
//! that makes a fresh one.
//!
//! | file | idea |
//! | --- | --- |
//! | `applications.rs` | documents, versions, preconditions, members, pages |
//! | `devices.rs` | the same for devices, and the names that lead to them |
//! | `deletion.rs` | finalizers, and what deleted applications leave in the log |
//! | `transfer.rs` | how applications change hands |
//! | `users.rs` | users and access keys |
//! | `groups.rs` | positions of groups |
//! | `tickets.rs` | tickets |
//! | `sessions.rs` | sessions, streams and aliases of Octave |
//! | `changes.rs` | what listeners are told, and when |
//! | `commands.rs` | commands to devices |
//! | `outbox.rs` | what streams are told of devices |
#![allow(
    clippy::unwrap_used,
    reason = "tests, which live here so that all engines can run them"
)]
#![allow(missing_docs, reason = "the name of a property says what it demands")]

pub mod applications;
pub mod changes;
pub mod commands;
pub mod deletion;
pub mod devices;
pub mod groups;
pub mod outbox;
pub mod sessions;
pub mod tickets;
pub mod transfer;
pub mod users;

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::{Application, Device, Preconditions, Registry, Wanted};

/// An engine under test, with data of its own.
#[async_trait]
pub trait Fixture: Send {
    /// The engine.
    fn registry(&self) -> &dyn Registry;

    /// Stops the engine and starts it again on the same data.
    async fn restart(&mut self);

    /// As [`Fixture::restart`]; from then on so many changes of devices may wait to be told.
    async fn restart_with_outbox(&mut self, most: usize);
}

/// Makes one test of each property. `$fresh` is an `async fn() -> impl Fixture`.
#[macro_export]
macro_rules! registry_conformance {
    ($fresh:path) => {
        $crate::registry_conformance! { $fresh;
            applications: an_application_is_stored_as_given
                names_of_applications_are_unique
                applications_come_in_parts_by_name_and_labels
                what_changes_nothing_stores_nothing
                versions_move_with_every_change_and_generations_with_the_spec
                members_are_replaced_and_move_the_version
                preconditions_of_applications_hold
                a_deleted_application_takes_everything_with_it
                an_application_that_is_not_there_is_not_found
                applications_survive_a_restart,
            deletion: finalizers_hold_a_device_until_the_last_is_gone
                finalizers_hold_an_application_until_the_last_is_gone
                a_device_that_is_held_holds_its_application
                an_application_that_is_going_gets_no_device
                remains_are_taken_by_one_and_forgotten
                an_application_that_is_made_anew_has_no_remains
                remains_survive_a_restart,
            transfer: an_application_changes_hands_once_it_is_accepted
                an_offer_is_for_one_and_can_be_withdrawn,
            devices: a_device_is_stored_as_given
                devices_are_listed_by_application_and_name
                devices_are_selected_by_their_labels
                devices_are_found_by_every_name
                names_of_devices_are_unique_in_their_application
                an_update_of_a_device_frees_and_takes_names
                a_refused_change_of_a_device_changes_nothing
                versions_of_devices_move
                preconditions_of_devices_hold
                a_device_that_is_not_there_is_not_found
                devices_survive_a_restart,
            users: a_user_is_made_once
                a_key_is_stored_and_listed
                a_key_needs_its_user_and_a_free_prefix
                a_deleted_key_is_gone
                a_user_of_a_provider_is_learned_once
                a_name_that_is_taken_is_not_given_to_another
                users_come_in_pages_by_name
                users_and_keys_can_be_disabled
                the_last_use_of_a_key_is_noted
                users_and_keys_survive_a_restart,
            groups: a_group_is_made_once
                a_group_has_the_mark_that_was_stored_last
                groups_differ_by_application_name_and_selection
                a_group_that_is_not_there_stays_so
                a_deleted_group_is_gone
                groups_expire_when_they_were_not_used_since
                what_is_done_with_of_dead_letters_is_kept
                positions_survive_a_restart,
            tickets: a_ticket_is_taken_once
                of_many_who_take_a_ticket_one_gets_it
                an_expired_ticket_admits_nobody
                expired_tickets_are_forgotten
                an_owner_has_so_many_tickets_and_no_more
                tickets_survive_a_restart,
            sessions: a_session_counts_as_long_as_it_is_prolonged
                sessions_of_an_application_are_counted_as_long_as_they_count
                a_stream_is_found_by_its_id_and_by_what_it_is_of
                a_deleted_stream_is_gone_and_told
                an_application_has_aliases
                what_octave_needs_goes_with_its_application,
            changes: every_change_is_told_after_it_is_stored
                what_changed_nothing_is_not_told
                a_change_is_stored_and_told_or_neither_if_its_caller_goes
                a_listener_that_lags_is_told_so,
            commands: commands_are_taken_once_and_in_order
                of_many_who_ask_one_gets_a_command
                a_gateway_takes_for_devices_behind_it
                an_expired_command_goes_to_nobody_and_is_forgotten
                so_many_commands_wait_for_a_device_and_no_more
                commands_go_with_their_device_and_are_told,
            outbox: what_becomes_of_devices_is_told_once_and_in_order
                what_is_not_told_waits
                a_full_outbox_refuses_changes_of_devices
                many_changes_are_told_in_one_round
                those_who_tell_at_the_same_time_are_not_given_the_same,
        }
    };
    ($fresh:path; $($file:ident: $($property:ident)*),* $(,)?) => {
        $($(
            #[tokio::test]
            async fn $property() {
                let mut fixture = $fresh().await;
                $crate::conformance::$file::$property(&mut fixture).await;
            }
        )*)*
    };
}

// ----------------------------------------------------------------------------------------------

const ANY: Preconditions = Preconditions {
    uid: None,
    resource_version: None,
};

fn map(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else {
        panic!("a JSON object is wanted")
    };
    map
}

async fn all_devices(registry: &dyn Registry, application: &str) -> Vec<Device> {
    registry.devices(application, Wanted::default()).await.unwrap().entries
}

fn application(name: &str) -> Application {
    Application::named(name, "owner")
}

fn device(application: &str, name: &str, spec: Value) -> Device {
    let mut device = Device::named(application, name);
    device.spec = map(spec);
    device
}
