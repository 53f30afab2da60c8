//! Medians, ratios, and the table that is printed.

use std::fmt;

/// Rows beside their bars.
pub struct Table {
    inner: comfy_table::Table,
}

/// What a ratio, or a value, has to be.
#[derive(Clone, Copy, Debug)]
pub enum Bar {
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
    /// Shown without a bar.
    None,
}

// ----------------------------------------------------------------------------------------------

impl Table {
    pub fn new<const COLUMNS: usize>(header: [&str; COLUMNS]) -> Self {
        let mut inner = comfy_table::Table::new();
        inner.load_style(comfy_table::presets::ASCII_MARKDOWN);
        inner.set_header(header);
        Self { inner }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.inner.add_row(cells);
    }

    /// What was measured in each round, beside what it is compared with: at most so many times that.
    pub fn compare(&mut self, work: String, ours: &[f64], beside: &[f64], most: f64, remark: &str) {
        let ratios = ratios(ours, beside);
        let [bar, verdict] = Bar::AtMost(most).cells(median(&ratios));
        self.row([
            work,
            format!("{:.2}", median(ours)),
            format!("{:.2}", median(beside)),
            spread(&ratios),
            bar,
            verdict,
            remark.to_owned(),
        ]);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Bar {
    /// Two cells: the bar, and whether it was met.
    pub fn cells(self, value: f64) -> [String; 2] {
        let verdict = |met: bool| if met { "met" } else { "missed" }.to_owned();
        match self {
            Self::AtLeast(least) => [format!(">= {least:.2}"), verdict(value >= least)],
            Self::AtMost(most) => [format!("<= {most:.2}"), verdict(value <= most)],
            Self::None => [String::new(), String::new()],
        }
    }
}

/// Median and range of the rounds' own ratios, so that drift of the machine cancels out.
pub fn spread(ratios: &[f64]) -> String {
    let (low, high) = (percentile(ratios, 0.0), percentile(ratios, 1.0));
    format!("{:.2} ({low:.2} to {high:.2})", median(ratios))
}

/// Ratio of each round.
pub fn ratios(own: &[f64], floor: &[f64]) -> Vec<f64> {
    own.iter().zip(floor).map(|(own, floor)| own / floor).collect()
}

/// The middle value; of an even number of values the upper of the two in the middle.
pub fn median(values: &[f64]) -> f64 {
    percentile(values, 0.5)
}

/// The value below which this part of the values lies.
pub fn percentile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = ((sorted.len() as f64 * part) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_few_values() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((percentile(&[1.0, 2.0, 3.0, 4.0], 0.99) - 4.0).abs() < f64::EPSILON);
        assert!(percentile(&[], 0.5).is_nan());
    }

    #[test]
    fn a_bar_is_met_or_missed() {
        for (bar, value, verdict) in [
            (Bar::AtLeast(0.5), 0.5, "met"),
            (Bar::AtLeast(0.5), 0.49, "missed"),
            (Bar::AtMost(1.1), 1.2, "missed"),
            (Bar::AtMost(1.1), f64::NAN, "missed"),
            (Bar::None, 1.0, ""),
        ] {
            assert_eq!(bar.cells(value)[1], verdict, "{bar:?} {value}");
        }
    }
}
