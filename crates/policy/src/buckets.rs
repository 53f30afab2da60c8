//! How much was published, as token buckets. A bucket holds what may be published in a second. Who wants more than it holds waits;
//! who wants more at once than it ever can waits until it is full, and owes the rest.
//!
//! What a bucket lacks is kept as the time at which it will be full: one that is full needs no memory.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytestring::ByteString;
use sockeye_limits::{QUOTA_BUCKETS, QUOTA_BURST, QUOTA_SWEEP};

use crate::{Quota, Rates};

/// The buckets of all applications and devices that have quotas.
#[derive(Debug, Default)]
pub struct Quotas(Mutex<State>);

/// A quota is used up. The text says which, and when to come again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{whose} may publish {most} {what} a second (`spec.quota.{field}` of the application): try again in {} s",
    self.retry_after()
)]
pub struct Exceeded {
    whose: &'static str,
    what: &'static str,
    field: &'static str,
    most: NonZeroU64,
    /// Until what was wanted may be published.
    pub wait: Duration,
}

#[derive(Debug, Default)]
struct State {
    applications: Buckets,
    devices: Buckets,
}

/// By uid.
#[derive(Debug, Default)]
struct Buckets {
    of: HashMap<ByteString, Bucket>,
    /// When those were forgotten last that are full.
    swept: Option<Instant>,
}

/// When it will be full again.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    events: Instant,
    bytes: Instant,
}

// ----------------------------------------------------------------------------------------------

impl Quotas {
    /// Takes events with so many bytes out of the buckets of this application and this device (both by uid), out of all of them or
    /// out of none.
    pub fn take(
        &self,
        quota: &Quota,
        application: &ByteString,
        device: &ByteString,
        (events, bytes): (u64, u64),
        now: Instant,
    ) -> Result<(), Exceeded> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_application = state.applications.get(application, now);
        let of_device = state.devices.get(device, now);
        let mut worst: Option<Exceeded> = None;
        for (whose, bucket, rates, fields) in [
            (
                "the application",
                of_application,
                quota.application,
                ["events", "bytes"],
            ),
            ("the device", of_device, quota.device, ["device.events", "device.bytes"]),
        ] {
            for (what, field, full, rate, amount) in [
                ("events", fields[0], bucket.events, rates.events, events),
                ("bytes", fields[1], bucket.bytes, rates.bytes, bytes),
            ] {
                let Some(most) = rate else { continue };
                let wait = wait(full, cost(amount, most), now);
                if wait > worst.as_ref().map_or(Duration::ZERO, |worst| worst.wait) {
                    worst = Some(Exceeded {
                        whose,
                        what,
                        field,
                        most,
                        wait,
                    });
                }
            }
        }
        if let Some(worst) = worst {
            return Err(worst);
        }
        let filled = |bucket, rates| Bucket::after(bucket, rates, events, bytes);
        state
            .applications
            .put(application, filled(of_application, quota.application), now);
        state.devices.put(device, filled(of_device, quota.device), now);
        Ok(())
    }
}

impl Exceeded {
    /// Whole seconds after which to come again.
    pub fn retry_after(&self) -> u64 {
        self.wait.as_secs() + u64::from(self.wait.subsec_nanos() > 0)
    }
}

/// How long it takes to fill a bucket with so much; not a bit too long, so that a second's worth fits into a second.
fn cost(amount: u64, a_second: NonZeroU64) -> Duration {
    let nanos = u128::from(amount) * 1_000_000_000 / u128::from(a_second.get());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Until a bucket that will be `full` then holds this, or, if it never can, is full.
fn wait(full: Instant, cost: Duration, now: Instant) -> Duration {
    let lacks = full.saturating_duration_since(now);
    (lacks + cost).saturating_sub(cost.max(QUOTA_BURST))
}

impl Bucket {
    fn is_full(&self, now: Instant) -> bool {
        self.events <= now && self.bytes <= now
    }

    fn after(self, rates: Rates, events: u64, bytes: u64) -> Self {
        let after = |full: Instant, rate: Option<NonZeroU64>, amount| match rate {
            // Longer than time goes on: as long as it does.
            Some(rate) => full.checked_add(cost(amount, rate)).unwrap_or(full),
            None => full,
        };
        Self {
            events: after(self.events, rates.events, events),
            bytes: after(self.bytes, rates.bytes, bytes),
        }
    }
}

impl Buckets {
    /// The bucket as it is now: one that was full is full since now.
    fn get(&self, uid: &ByteString, now: Instant) -> Bucket {
        let known = self.of.get(uid);
        Bucket {
            events: known.map_or(now, |bucket| bucket.events.max(now)),
            bytes: known.map_or(now, |bucket| bucket.bytes.max(now)),
        }
    }

    fn put(&mut self, uid: &ByteString, bucket: Bucket, now: Instant) {
        if bucket.is_full(now) {
            return;
        }
        if let Some(known) = self.of.get_mut(uid) {
            *known = bucket;
            return;
        }
        if self.of.len() >= QUOTA_BUCKETS {
            self.make_room(now);
        }
        self.of.insert(uid.clone(), bucket);
    }

    /// Forgets those that are full; if there are none, any one: that one gets a full bucket, and nobody is refused for it.
    fn make_room(&mut self, now: Instant) {
        if self.swept.is_none_or(|swept| now.duration_since(swept) >= QUOTA_SWEEP) {
            self.swept = Some(now);
            self.of.retain(|_, bucket| !bucket.is_full(now));
        }
        if self.of.len() >= QUOTA_BUCKETS
            && let Some(any) = self.of.keys().next().cloned()
        {
            self.of.remove(&any);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_buckets_is_bounded_and_those_that_are_full_go_first() {
        let (quotas, start) = (Quotas::default(), Instant::now());
        let rate = Rates {
            events: NonZeroU64::new(1),
            bytes: None,
        };
        let quota = Quota {
            application: Rates::default(),
            device: rate,
        };
        let app = ByteString::from_static("app");
        let take = |device: &str, now| quotas.take(&quota, &app, &device.into(), (1, 1), now);
        let known = || quotas.0.lock().unwrap().devices.of.len();
        for n in 0..QUOTA_BUCKETS {
            assert_eq!(take(&n.to_string(), start), Ok(()));
        }
        assert_eq!(known(), QUOTA_BUCKETS);
        // All of them still count: one goes for each that comes.
        for n in 0..10 {
            assert_eq!(take(&format!("new {n}"), start), Ok(()));
            assert_eq!(known(), QUOTA_BUCKETS);
        }
        assert!(take("new 9", start).is_err());
        let later = start + QUOTA_SWEEP;
        assert_eq!(take("another", later), Ok(()));
        assert_eq!(known(), 1, "all others were full again");
        assert_eq!(quotas.0.lock().unwrap().applications.of.len(), 0, "no quota, no bucket");
    }
}
