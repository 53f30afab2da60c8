//! What every engine of the log must do, as one test for each property.
//!
//! An engine's tests implement [`Fixture`] and call [`log_conformance!`](crate::log_conformance) with a function that makes a
//! fresh one. Engines may have several partitions: what is compared is the set of records, and the order of those with the
//! same key, never offsets.
//!
//! | file | idea |
//! | --- | --- |
//! | `append.rs` | all or nothing, in order, as it was given |
//! | `read.rs` | from every position, within limits, by time |
//! | `follow.rs` | live, gapless, however slow the reader |
//! | `trim.rs` | what is removed, and what readers are told |
//! | `topics.rs` | making, deleting, identity |
//! | `random.rs` | random interleavings of all of it against a model |
//! | `sample.rs` | records and comparisons that the properties use |
#![allow(
    clippy::unwrap_used,
    reason = "tests, which live here so that all engines can run them"
)]
#![allow(missing_docs, reason = "the name of a property says what it demands")]

pub mod append;
pub mod follow;
pub mod random;
pub mod read;
mod sample;
pub mod topics;
pub mod trim;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::Log;

/// A property that takes longer than this hangs: the slowest takes a few seconds on a real Kafka.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// An engine under test. Properties use topics of their own, so that several may share a server.
#[async_trait]
pub trait Fixture: Send {
    /// The engine.
    fn log(&self) -> Arc<dyn Log>;

    /// Stops the engine and starts it again on the same data. Whoever had it from [`Fixture::log`] has dropped it.
    async fn restart(&mut self);
}

/// Makes one test of each property. `$fresh` is an `async fn() -> impl Fixture`.
#[macro_export]
macro_rules! log_conformance {
    ($fresh:path) => {
        $crate::log_conformance! { $fresh;
            append: what_is_appended_is_read
                a_batch_is_read_in_its_order
                nothing_is_appended_by_an_empty_batch
                a_large_batch_is_appended_whole
                several_appenders_keep_their_order
                time_never_decreases,
            read: every_position_can_be_read_from
                limits_hold
                there_is_nothing_at_the_end
                a_span_holds_what_was_answered
                a_position_without_partitions_is_the_beginning
                a_time_leads_to_the_records_since
                what_is_beyond_the_end_is_refused
                records_and_positions_survive_a_restart,
            follow: a_follower_reads_the_past_and_goes_live
                a_follower_from_the_middle_misses_nothing
                a_follower_from_the_end_gets_what_is_new
                a_follower_comes_to_the_end_that_is_told
                a_waiting_follower_is_woken
                a_slow_follower_misses_nothing
                many_followers_get_the_same
                a_cancelled_wait_loses_nothing
                a_follower_of_a_deleted_topic_is_told,
            trim: trimmed_positions_are_refused
                what_is_not_trimmed_stays
                a_trimmed_topic_goes_on
                a_follower_is_told_or_misses_nothing
                nothing_beyond_the_end_is_trimmed,
            topics: a_topic_that_is_not_there_is_said_to_be_missing
                a_topic_is_made_once
                a_topic_is_deleted_once
                a_topic_made_again_is_another
                topics_are_apart
                an_engine_answers,
            random: any_interleaving_agrees_with_the_model,
        }
    };
    ($fresh:path; $($file:ident: $($property:ident)*),* $(,)?) => {
        $($(
            #[tokio::test]
            async fn $property() {
                let mut fixture = $fresh().await;
                let property = $crate::conformance::$file::$property(&mut fixture);
                tokio::time::timeout($crate::conformance::PATIENCE, property).await.expect("it hangs");
            }
        )*)*
    };
}
