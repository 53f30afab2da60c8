//! Durations and sizes as people write them. `None` is a text that is none.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// A duration such as `90s`, `1h30m` or `7d`; days have 24 hours. One without a unit is none.
pub fn duration(text: &str) -> Option<Duration> {
    let span: Span = text.parse().ok()?;
    span.to_duration(SpanRelativeTo::days_are_24_hours())
        .ok()?
        .try_into()
        .ok()
}

/// How long events are kept: long enough to be read, and within what times can count.
pub fn retention_age(text: &str) -> Option<Duration> {
    const HUNDRED_YEARS: u64 = 100 * 366 * 24 * 3600;
    duration(text).filter(|age| (1..=HUNDRED_YEARS).contains(&age.as_secs()))
}

/// A size in bytes, with a decimal or binary unit or without one: `1073741824`, `1GiB`, `2 GB`.
pub fn size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "mb" => 1000 * 1000,
        "gb" => 1000 * 1000 * 1000,
        "tb" => 1000 * 1000 * 1000 * 1000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("65536", Some(65_536)),
            ("1GiB", Some(1 << 30)),
            ("1 gib", Some(1 << 30)),
            ("2GB", Some(2_000_000_000)),
            ("0", Some(0)),
            ("", None),
            ("GiB", None),
            ("1.5GiB", None),
            ("-1", None),
            ("1 GiX", None),
            ("99999999TiB", None),
        ] {
            assert_eq!(size(text), bytes, "{text:?}");
        }
    }
}
