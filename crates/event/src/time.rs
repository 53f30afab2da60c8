//! Times as CloudEvents writes them: RFC 3339.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// A time as text, in a buffer of its own: no allocation per event.
#[derive(Clone, Copy)]
pub struct Rfc3339 {
    text: [u8; 30],
    length: usize,
}

// ----------------------------------------------------------------------------------------------

/// The text: UTC with `Z`; no fraction, or one of three, six or nine digits, the shortest that loses nothing (as the
/// reference prints it). A time before year 0, which RFC 3339 cannot express, becomes the first that it can.
pub fn format(time: Timestamp) -> Rfc3339 {
    let at = Offset::UTC.to_datetime(time);
    let at = if at.year() < 0 {
        jiff::civil::date(0, 1, 1).at(0, 0, 0, 0)
    } else {
        at
    };
    let mut out = Rfc3339 {
        text: *b"0000-00-00T00:00:00.000000000Z",
        length: 30,
    };
    put(&mut out.text[0..4], at.year() as u32);
    put(&mut out.text[5..7], at.month() as u32);
    put(&mut out.text[8..10], at.day() as u32);
    put(&mut out.text[11..13], at.hour() as u32);
    put(&mut out.text[14..16], at.minute() as u32);
    put(&mut out.text[17..19], at.second() as u32);
    let nanoseconds = at.subsec_nanosecond() as u32;
    put(&mut out.text[20..29], nanoseconds);
    let end = match nanoseconds {
        0 => 19,
        n if n % 1_000_000 == 0 => 23,
        n if n % 1_000 == 0 => 26,
        _ => 29,
    };
    out.text[end] = b'Z';
    out.length = end + 1;
    out
}

/// Reads RFC 3339 section 5.6: any offset; letters in either case; a space instead of the `T`; a leap second is the second
/// before it; digits beyond nanoseconds are dropped. `None` if it is something else or beyond the year 9999.
pub fn parse(text: &str) -> Option<Timestamp> {
    let text = text.as_bytes();
    let (head, mut rest) = text.split_first_chunk::<19>()?;
    let shape = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if shape.iter().any(|&(at, byte)| head[at] != byte) || !matches!(head[10], b'T' | b't' | b' ') {
        return None;
    }
    let field = |from: usize, to: usize| number(&head[from..to]).map(|n| n as i8);
    let mut nanoseconds = 0;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let kept = digits.min(9);
        nanoseconds = number(&fraction[..kept])? * 10_u32.pow(9 - kept as u32);
        rest = &fraction[digits..];
    }
    let year = number(&head[..4])? as i16;
    let second = field(17, 19).map(|s| if s == 60 { 59 } else { s })?;
    let civil = DateTime::new(
        year,
        field(5, 7)?,
        field(8, 10)?,
        field(11, 13)?,
        field(14, 16)?,
        second,
        nanoseconds as i32,
    )
    .ok()?;
    let time = offset(rest)?.to_timestamp(civil).ok()?;
    (Offset::UTC.to_datetime(time).year() >= 0).then_some(time)
}

fn offset(text: &[u8]) -> Option<Offset> {
    if let b"Z" | b"z" = text {
        return Some(Offset::UTC);
    }
    let (&[sign @ (b'+' | b'-'), h1, h2, b':', m1, m2], []) = text.split_first_chunk::<6>()? else {
        return None;
    };
    let (hours, minutes) = (number(&[h1, h2])?, number(&[m1, m2])?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = (hours * 60 + minutes) as i32 * 60;
    Offset::from_seconds(if sign == b'-' { -seconds } else { seconds }).ok()
}

/// The digits as a number; `None` if there are none or others.
fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0, |n, byte| {
        byte.is_ascii_digit().then(|| n * 10 + (byte - b'0') as u32)
    })
}

/// Writes a number with leading zeros.
fn put(place: &mut [u8], mut number: u32) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

impl Rfc3339 {
    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let printed = parse(text).map(|time| String::from_utf8(format(time).as_bytes().to_vec()).unwrap());
        assert_eq!(printed.as_deref(), expected, "{text}");
    }

    #[test]
    fn what_is_read_and_how_it_is_printed() {
        for (text, printed) in [
            ("2023-05-17T12:46:34.123456789Z", "2023-05-17T12:46:34.123456789Z"),
            ("2023-05-17T12:46:34.123456789+00:00", "2023-05-17T12:46:34.123456789Z"),
            ("2023-05-17t12:46:34z", "2023-05-17T12:46:34Z"),
            ("2023-05-17 12:46:34.1Z", "2023-05-17T12:46:34.100Z"),
            ("2023-05-17T12:46:34.1234Z", "2023-05-17T12:46:34.123400Z"),
            ("2023-05-17T12:46:34.12345678901Z", "2023-05-17T12:46:34.123456789Z"),
            ("2023-05-17T01:00:00+02:30", "2023-05-16T22:30:00Z"),
            ("2016-12-31T23:59:60-00:00", "2016-12-31T23:59:59Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
        ] {
            check(text, Some(printed));
        }
        for text in [
            "",
            "now",
            "2023-05-17",
            "2023-05-17T12:46:34",
            "2023-05-17T12:46Z",
            "2023-05-17T12:46:34.Z",
            "2023-05-17T12:46:34,5Z",
            "2023-02-29T12:46:34Z",
            "2023-05-17T24:00:00Z",
            "2023-05-17T12:46:61Z",
            "2023-05-17T12:46:34+0200",
            "2023-05-17T12:46:34+24:00",
            "2023-05-17T12:46:34Z ",
            "2023-05-17T12:46:34Z[UTC]",
            "+023-05-17T12:46:34Z",
            "0000-01-01T00:00:00+01:00",
            "1684327594",
        ] {
            check(text, None);
        }
        assert_eq!(format(Timestamp::MIN).as_bytes(), b"0000-01-01T00:00:00Z");
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(seconds in -62_167_219_200_i64..253_402_207_200, nanoseconds in 0..1_000_000_000_i32) {
            let time = Timestamp::new(seconds, 0).unwrap() + jiff::SignedDuration::from_nanos(nanoseconds as i64);
            let printed = format(time);
            let text = std::str::from_utf8(printed.as_bytes()).unwrap();
            prop_assert_eq!(parse(text), Some(time));
            prop_assert_eq!(text.parse::<Timestamp>().unwrap(), time, "jiff reads it otherwise");
        }
    }
}
