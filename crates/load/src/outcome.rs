//! What was measured.

use std::{fmt, time::Duration};

use hdrhistogram::Histogram;

/// Shortest and longest latency that are told apart, in nanoseconds.
const RANGE: (u64, u64) = (1_000, 120_000_000_000);
/// Digits that are right.
const DIGITS: u8 = 3;

/// Latencies, each from the time at which its event was meant to be sent.
#[derive(Clone)]
pub struct Latencies {
    histogram: Histogram<u64>,
}

/// What happened within the measured time.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How long was measured.
    pub time: Duration,
    /// Requests that were answered.
    pub answered: u64,
    /// Events that arrived, counted once per client.
    pub delivered: u64,
    /// Bytes that the clients received.
    pub received: u64,
    /// Until the answer to the request.
    pub answers: Latencies,
    /// Until an event arrived, once per client.
    pub arrivals: Latencies,
    /// CPU time that the server used, where it is known.
    pub cpu: Option<Duration>,
    /// Resident memory of the server at the end, in bytes, where it is known.
    pub resident: Option<u64>,
}

// ----------------------------------------------------------------------------------------------

impl Latencies {
    /// The latency within which this part of all lies, from 0 to 1; zero if there are none.
    pub fn at(&self, part: f64) -> Duration {
        Duration::from_nanos(self.histogram.value_at_quantile(part))
    }

    /// The longest.
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.histogram.max())
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        self.histogram
            .saturating_record(latency.as_nanos().try_into().unwrap_or(RANGE.1));
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            histogram: Histogram::new_with_bounds(RANGE.0, RANGE.1, DIGITS).expect("the range is allowed"),
        }
    }
}

impl fmt::Debug for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { histogram } = self;
        write!(
            f,
            "{} latencies, p50 {:?}, p99 {:?}",
            histogram.len(),
            self.at(0.5),
            self.at(0.99)
        )
    }
}

impl Outcome {
    /// CPU time of the server per delivered event, in microseconds.
    pub fn cpu_per_delivery(&self) -> Option<f64> {
        self.per(self.delivered)
    }

    /// CPU time of the server per answered request, in microseconds.
    pub fn cpu_per_answer(&self) -> Option<f64> {
        self.per(self.answered)
    }

    /// Deliveries per second.
    pub fn rate(&self) -> f64 {
        self.delivered as f64 / self.time.as_secs_f64()
    }

    fn per(&self, count: u64) -> Option<f64> {
        let cpu = self.cpu.filter(|_| count > 0)?;
        Some(cpu.as_secs_f64() * 1e6 / count as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_three_digits() {
        let mut latencies = Latencies::default();
        (1..=1000).for_each(|n| latencies.record(Duration::from_micros(n)));
        let near = |part: f64, micros: f64| (latencies.at(part).as_secs_f64() * 1e6 / micros - 1.0).abs() < 0.002;
        assert!(near(0.5, 500.0) && near(0.99, 990.0), "{latencies:?}");
        assert_eq!(latencies.count(), 1000);
        latencies.record(Duration::from_hours(1));
        assert!(latencies.max() >= Duration::from_mins(2), "{:?}", latencies.max());
    }
}
