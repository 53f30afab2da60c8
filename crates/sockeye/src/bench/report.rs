//! What is printed of a run.

use anyhow::Result;
use serde_json::{Value, json};
use sockeye_load::{Latencies, Outcome, Resumed};

use super::Work;
use crate::output;

/// A run.
pub struct Report {
    pub work: Work,
    pub measured: Measured,
    /// Resident memory of the server before the run.
    pub resident_before: Option<u64>,
}

/// What a work has given.
pub enum Measured {
    Run(Outcome),
    Storms(Resumed),
}

/// Parts of all latencies that are shown, with their names.
const PARTS: [(&str, f64); 5] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("max", 1.0),
];

// ----------------------------------------------------------------------------------------------

impl Report {
    pub fn print(&self, as_json: bool) -> Result<()> {
        let figures = self.figures();
        if as_json {
            let figures: serde_json::Map<_, _> = figures
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect();
            output::line(&Value::Object(figures).to_string())
        } else {
            output::line(&lines(&figures))
        }
    }

    /// All figures, each name with its unit.
    fn figures(&self) -> Vec<(&'static str, Value)> {
        match &self.measured {
            Measured::Run(outcome) => self.of_run(outcome),
            Measured::Storms(resumed) => self.of_storms(resumed),
        }
    }

    fn of_storms(&self, resumed: &Resumed) -> Vec<(&'static str, Value)> {
        let mut figures = Vec::new();
        let mut put = |name, value| figures.push((name, value));
        put("work", self.work.name().into());
        put("sockets", self.work.sockets().into());
        put("storms", resumed.storms.into());
        // A resume that is not gapless is an error, not a figure.
        put("resumes_without_gap_or_duplicate", resumed.resumes.into());
        put("delivered", resumed.delivered.into());
        put("received_bytes", resumed.received.into());
        put("caught_up_ms", percentiles(&resumed.caught_up));
        put("everybody_caught_up_ms", percentiles(&resumed.everybody));
        if let Some(cost) = resumed.cpu_per_resume() {
            put("server_cpu_us_per_resume", round(cost));
        }
        if let Some(resident) = resumed.resident {
            put("server_resident_bytes", resident.into());
        }
        figures
    }

    fn of_run(&self, outcome: &Outcome) -> Vec<(&'static str, Value)> {
        let Outcome {
            time,
            answered,
            delivered,
            received,
            answers,
            arrivals,
            ..
        } = outcome;
        let seconds = time.as_secs_f64();
        let mut figures = Vec::new();
        let mut put = |name, value| figures.push((name, value));
        put("work", self.work.name().into());
        let sockets = self.work.sockets();
        let events_per_request = match &self.work {
            Work::FanOut { .. } => 1,
            Work::Ingest { batch, .. } => *batch,
            Work::Idle { .. } | Work::Resume { .. } => 0,
        };
        let published = answered * u64::from(events_per_request);
        put("seconds", round(seconds));
        if sockets > 0 {
            put("sockets", sockets.into());
        }
        if events_per_request > 0 {
            put("published", published.into());
            put("published_per_second", round(published as f64 / seconds));
            put("answer_ms", percentiles(answers));
        }
        if events_per_request > 0 && sockets > 0 {
            put("delivered", (*delivered).into());
            put("delivered_per_second", round(outcome.rate()));
            put("received_bytes_per_second", round(*received as f64 / seconds));
            put("latency_ms", percentiles(arrivals));
        }
        if let Some(cpu) = outcome.cpu {
            put("server_cpu_percent", round(cpu.as_secs_f64() / seconds * 100.0));
            let events = if sockets > 0 { *delivered } else { published };
            if events > 0 {
                put(
                    "server_cpu_us_per_event",
                    round(cpu.as_secs_f64() * 1e6 / events as f64),
                );
            }
        }
        if let (Some(before), Some(after)) = (self.resident_before, outcome.resident) {
            put("server_resident_bytes", after.into());
            // Busy sockets share memory with what passes through them.
            if matches!(self.work, Work::Idle { .. }) {
                put(
                    "server_resident_bytes_per_socket",
                    (after.saturating_sub(before) / sockets as u64).into(),
                );
            }
        }
        figures
    }
}

/// One figure a line, for people.
fn lines(figures: &[(&str, Value)]) -> String {
    let width = figures.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let line = |(name, value): &(&str, Value)| {
        let shown = match value {
            Value::Object(parts) => {
                let parts = PARTS
                    .iter()
                    .filter_map(|(part, _)| Some(format!("{part} {}", parts.get(*part)?)));
                parts.collect::<Vec<_>>().join("  ")
            }
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        format!("{:width$}  {shown}", name.replace('_', " "))
    };
    figures.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Milliseconds within which these parts of all lie.
fn percentiles(latencies: &Latencies) -> Value {
    let parts = PARTS
        .iter()
        .map(|(name, part)| ((*name).to_owned(), round(latencies.at(*part).as_secs_f64() * 1e3)));
    Value::Object(parts.collect())
}

/// Two digits behind the point, and none for a value of a thousand or more.
fn round(value: f64) -> Value {
    if value >= 1_000.0 {
        json!(value.round() as u64)
    } else {
        json!((value * 100.0).round() / 100.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn report(work: Work) -> Report {
        let outcome = Outcome {
            time: Duration::from_secs(2),
            answered: 10,
            delivered: 1_000,
            received: 512_000,
            answers: Latencies::default(),
            arrivals: Latencies::default(),
            cpu: Some(Duration::from_millis(5)),
            resident: Some(3_000),
        };
        Report {
            work,
            measured: Measured::Run(outcome),
            resident_before: Some(1_000),
        }
    }

    #[test]
    fn figures_are_per_what_the_work_is_about() {
        // How wide the names are differs from work to work.
        let shown = |work| {
            let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
            lines(&report(work).figures())
                .lines()
                .map(words)
                .collect::<Vec<_>>()
                .join("\n")
        };
        let publish = super::super::PublishArgs {
            payload: super::super::PayloadArgs { size: 1 },
            rate: None,
        };
        let idle = shown(Work::Idle { sockets: 100 });
        let ingest = shown(Work::Ingest {
            connections: 1,
            publish: publish.clone(),
            batch: 50,
        });
        let fan_out = shown(Work::FanOut {
            sockets: 100,
            publish,
            in_flight: 1,
        });
        for (text, has, has_not) in [
            (
                &idle,
                &["server resident bytes per socket 20", "server cpu percent 0.25"][..],
                "latency",
            ),
            (&ingest, &["published 500", "server cpu us per event 10.0"], "delivered"),
            (
                &fan_out,
                &[
                    "delivered per second 500.0",
                    "server cpu us per event 5.0",
                    "p99.9 0.0 max",
                ],
                "x",
            ),
        ] {
            for line in has {
                assert!(text.contains(line), "{line}:\n{text}");
            }
            assert!(!text.contains(has_not) || has_not == "x", "{text}");
        }
    }
}
