//! The live table of the demo: one row per device and channel, with its last reading and how it went.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    io::Write as _,
};

use anyhow::Result;
use crossterm::{cursor::MoveUp, queue, style::Color, terminal};
use serde_json::Value;
use sockeye_event::Event;

use crate::output;

/// Readings that a curve shows.
const CURVE: usize = 30;
const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What was received so far.
#[derive(Default)]
pub struct Board {
    rows: BTreeMap<(String, String), Row>,
    events: u64,
    /// Lines that were drawn the last time, and are drawn over.
    drawn: u16,
}

#[derive(Default)]
struct Row {
    reading: String,
    curve: VecDeque<f64>,
    events: u64,
}

// ----------------------------------------------------------------------------------------------

impl Board {
    /// Takes an event into account.
    pub fn add(&mut self, event: &Event) {
        let name = |part: Option<&bytestring::ByteString>| part.map_or_else(|| "-".to_owned(), ToString::to_string);
        let row = self
            .rows
            .entry((name(event.channel()), name(event.device())))
            .or_default();
        row.events += 1;
        self.events += 1;
        let payload = event
            .data
            .as_deref()
            .and_then(|data| serde_json::from_slice(data).ok())
            .unwrap_or(Value::Null);
        row.reading = reading(&payload);
        if let Some(value) = last_number(&payload) {
            if row.curve.len() == CURVE {
                row.curve.pop_front();
            }
            row.curve.push_back(value);
        }
    }

    /// Draws the table over the one that was drawn before, as far as the terminal has room.
    pub fn draw(&mut self, footer: &str) -> Result<()> {
        let (width, height) = terminal::size().unwrap_or((80, 24));
        let text = self.text(width);
        let mut lines: Vec<&str> = text.lines().chain(footer.lines()).collect();
        // What does not fit would scroll, and the next drawing would miss its place.
        lines.truncate(usize::from(height.saturating_sub(1)));
        let mut out = std::io::stdout().lock();
        if self.drawn > 0 {
            queue!(out, MoveUp(self.drawn))?;
        }
        queue!(out, terminal::Clear(terminal::ClearType::FromCursorDown))?;
        for line in &lines {
            writeln!(out, "{line}")?;
        }
        out.flush()?;
        self.drawn = lines.len() as u16;
        Ok(())
    }

    fn text(&self, width: u16) -> String {
        let mut table = output::table();
        table.set_width(width.max(40));
        table.set_header(["CHANNEL", "DEVICE", "READING", "", "EVENTS"]);
        for ((channel, device), row) in &self.rows {
            table.add_row([
                channel.clone(),
                device.clone(),
                row.reading.clone(),
                curve(&row.curve),
                row.events.to_string(),
            ]);
        }
        let mut text = table.to_string();
        let _ = write!(
            text,
            "\n{}\n",
            output::colored(
                format!("{} events from {} devices", self.events, self.rows.len()),
                Color::DarkGrey
            )
        );
        text
    }
}

/// A payload in words: `usage percent 12.5, frequency mhz 2400`.
fn reading(payload: &Value) -> String {
    match payload {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| format!("{} {value}", name.replace('_', " ")))
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    }
}

fn last_number(payload: &Value) -> Option<f64> {
    match payload {
        Value::Object(fields) => fields.values().rev().find_map(Value::as_f64),
        other => other.as_f64(),
    }
}

/// The values as a line of blocks, from the lowest to the highest of them.
fn curve(values: &VecDeque<f64>) -> String {
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let step = |value: f64| match highest - lowest {
        range if range > 0.0 => ((value - lowest) / range * (STEPS.len() - 1) as f64).round() as usize,
        _ => 0,
    };
    values.iter().map(|value| STEPS[step(*value)]).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_curve_goes_from_the_lowest_to_the_highest() {
        assert_eq!(curve(&VecDeque::from([1.0, 8.0, 1.0])), "▁█▁");
        assert_eq!(curve(&VecDeque::from([5.0, 5.0])), "▁▁");
    }

    #[test]
    fn a_reading_in_words() {
        assert_eq!(
            reading(&json!({ "used_gib": 1.5, "total_gib": 8 })),
            "total gib 8, used gib 1.5"
        );
        assert_eq!(reading(&json!(21.5)), "21.5");
    }
}
