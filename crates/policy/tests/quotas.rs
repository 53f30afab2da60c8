//! Quotas against a clock that the test drives; which of them are refused when they are stored.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::time::{Duration, Instant};

use bytestring::ByteString;
use proptest::prelude::*;
use serde_json::{Value, json};
use sockeye_limits as limits;
use sockeye_log::Retention;
use sockeye_policy::{Policy, Quota, Quotas, retention_of};

fn policy(spec: &Value) -> Result<Policy, String> {
    Policy::of(spec.as_object().unwrap()).map_err(|error| error.to_string())
}

fn quota(quota: &Value) -> Quota {
    policy(&json!({"quota": quota})).unwrap().quota
}

/// Publishes one after the other: when (milliseconds), which device, events, bytes; gives when to come again (seconds), 0 if it
/// passed.
fn course(of: &Value, published: &[(u64, &'static str, u64, u64)]) -> Vec<u64> {
    let (quotas, start, quota) = (Quotas::default(), Instant::now(), quota(of));
    let app = ByteString::from_static("app");
    let take = |(at, device, events, bytes): &(u64, &'static str, u64, u64)| {
        let now = start + Duration::from_millis(*at);
        let taken = quotas.take(&quota, &app, &ByteString::from_static(device), (*events, *bytes), now);
        taken.map_or_else(|exceeded| exceeded.retry_after(), |()| 0)
    };
    published.iter().map(take).collect()
}

#[test]
fn a_second_s_worth_at_once_and_then_at_the_rate() {
    for (quota, published, told) in [
        (json!({}), vec![(0, "d", 1_000_000, u64::MAX)], vec![0]),
        // Two events a second.
        (
            json!({"events": 2}),
            vec![
                (0, "d", 1, 1),
                (0, "d", 1, 1),
                (0, "d", 1, 1),
                (499, "d", 1, 1),
                (500, "d", 1, 1),
                (500, "d", 1, 1),
            ],
            vec![0, 0, 1, 1, 0, 1],
        ),
        // Who waits gathers no more than a second's worth.
        (
            json!({"events": 2}),
            vec![(0, "d", 1, 1), (60_000, "d", 2, 1), (60_000, "d", 1, 1)],
            vec![0, 0, 1],
        ),
        // A refusal costs nothing.
        (
            json!({"events": 1}),
            vec![(0, "d", 1, 1), (1, "d", 1, 1), (2, "d", 1, 1), (1_000, "d", 1, 1)],
            vec![0, 1, 1, 0],
        ),
        // More than ever fits: when the bucket is full, and what is owed is waited for.
        (
            json!({"bytes": "1kB"}),
            vec![
                (0, "d", 1, 10_000),
                (0, "d", 1, 1),
                (9_000, "d", 1, 1),
                (9_001, "d", 1, 1),
                (9_500, "d", 1, 5_000),
            ],
            vec![0, 10, 1, 0, 1],
        ),
        // Devices of an application share its quota.
        (
            json!({"events": 2}),
            vec![(0, "d", 1, 1), (0, "e", 1, 1), (0, "f", 1, 1)],
            vec![0, 0, 1],
        ),
        // And each has its own.
        (
            json!({"device": {"events": 1}}),
            vec![(0, "d", 1, 1), (0, "e", 1, 1), (0, "d", 1, 1), (1_000, "d", 1, 1)],
            vec![0, 0, 1, 0],
        ),
        // Nothing is taken from one bucket if another one lacks it.
        (
            json!({"events": 3, "device": {"bytes": 10}}),
            vec![
                (0, "d", 1, 10),
                (0, "d", 1, 20),
                (0, "e", 1, 10),
                (0, "f", 1, 10),
                (0, "g", 1, 10),
            ],
            vec![0, 1, 0, 0, 1],
        ),
    ] {
        assert_eq!(course(&quota, &published), told, "{quota} {published:?}");
    }
}

#[test]
fn a_refusal_says_whose_quota_it_is_and_when_to_come_again() {
    let quotas = Quotas::default();
    let quota = quota(&json!({"events": 1, "device": {"bytes": "1kB"}}));
    let take = |device: &str, bytes| quotas.take(&quota, &"app".into(), &device.into(), (1, bytes), start());
    fn start() -> Instant {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *START.get_or_init(Instant::now)
    }
    assert_eq!(take("d", 3_000), Ok(()));
    let refused = |device, bytes| take(device, bytes).unwrap_err().to_string();
    assert_eq!(
        refused("d", 1_000),
        "the device may publish 1000 bytes a second (`spec.quota.device.bytes` of the application): try again in 3 s"
    );
    assert_eq!(
        refused("e", 1),
        "the application may publish 1 events a second (`spec.quota.events` of the application): try again in 1 s"
    );
}

proptest! {
    #[test]
    fn over_any_time_no_more_than_the_rate_and_a_second_s_worth(
        rate in 1u64..50,
        published in prop::collection::vec((0u64..700, 1u64..60), 1..100),
    ) {
        let (quotas, start, quota) = (Quotas::default(), Instant::now(), quota(&json!({"device": {"events": rate}})));
        let (mut now, mut passed) = (start, Vec::new());
        for (after, events) in published {
            now += Duration::from_millis(after);
            let taken = quotas.take(&quota, &"app".into(), &"d".into(), (events, 0), now);
            match taken {
                Ok(()) => passed.push((now, events)),
                Err(exceeded) => {
                    // Who comes as told is let in.
                    prop_assert!(exceeded.wait > Duration::ZERO);
                    let then = now + exceeded.wait;
                    let again = quotas.take(&quota, &"app".into(), &"d".into(), (events, 0), then);
                    prop_assert_eq!(again, Ok(()));
                    now = then;
                    passed.push((now, events));
                }
            }
        }
        for (at, (from, _)) in passed.iter().enumerate() {
            let (mut sum, mut largest) = (0, 0);
            for (until, events) in &passed[at..] {
                sum += events;
                largest = largest.max(*events);
                let seconds = until.duration_since(*from).as_secs_f64();
                let most = rate as f64 * (seconds + limits::QUOTA_BURST.as_secs_f64()) + largest as f64;
                prop_assert!(sum as f64 <= most + 1e-6, "{sum} in {seconds} s");
            }
        }
    }
}

#[test]
fn what_cannot_be_counted_is_refused_by_name() {
    for (spec, said) in [
        (json!({"quota": 1}), "`spec.quota` must be an object"),
        (
            json!({"quota": {"messages": 1}}),
            "`spec.quota.messages` is not known: there is `events`, `bytes`, `device`",
        ),
        (
            json!({"quota": {"events": 0}}),
            "`spec.quota.events` must be how many a second",
        ),
        (
            json!({"quota": {"events": 1.5}}),
            "`spec.quota.events` must be how many a second",
        ),
        (
            json!({"quota": {"events": "1"}}),
            "`spec.quota.events` must be how many a second",
        ),
        (
            json!({"quota": {"bytes": "1 GiX"}}),
            "`spec.quota.bytes` must be how many a second",
        ),
        (json!({"quota": {"device": 1}}), "`spec.quota.device` must be an object"),
        (
            json!({"quota": {"device": {"device": {}}}}),
            "`spec.quota.device.device` is not known",
        ),
        (
            json!({"quota": {"device": {"bytes": -1}}}),
            "`spec.quota.device.bytes` must be how many a second",
        ),
        (
            json!({"retention": {"age": 7}}),
            "`spec.retention.age` must be a duration",
        ),
        (
            json!({"retention": {"age": "7"}}),
            "`spec.retention.age` must be a duration",
        ),
        (
            json!({"retention": {"age": "0s"}}),
            "`spec.retention.age` must be a duration",
        ),
        (
            json!({"retention": {"bytes": "1kB"}}),
            "`spec.retention.bytes` must be a number or a size",
        ),
        (
            json!({"retention": {"events": 1}}),
            "`spec.retention.events` is not known: there is `age`, `bytes`",
        ),
    ] {
        let found = policy(&spec).unwrap_err();
        assert!(found.starts_with(said), "{found}");
    }
}

#[test]
fn what_an_application_does_not_say_is_as_configured() {
    let configured = Retention::default();
    let day = Duration::from_hours(24);
    for (spec, age, bytes) in [
        (json!({}), configured.age, configured.bytes),
        (json!({"retention": {"age": "30d"}}), 30 * day, configured.bytes),
        (json!({"retention": {"bytes": "2MiB"}}), configured.age, 2 << 20),
        (
            json!({"retention": {"age": "1d12h", "bytes": 5_000_000}}),
            day * 3 / 2,
            5_000_000,
        ),
        (json!({"retention": {"age": "soon"}}), configured.age, configured.bytes),
    ] {
        let found = retention_of(spec.as_object().unwrap(), configured);
        assert_eq!(found, Retention { age, bytes }, "{spec}");
    }
}
