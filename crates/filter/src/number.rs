//! Texts as numbers: as JavaScript's `Number(text)` reads them, if the result is finite (compat/dojot.md 4.4).

/// The number that a text is: decimal, or `0x`, `0o`, `0b` without sign; white space around it; an empty text is 0.
pub(crate) fn of_text(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?.trim_matches(is_space);
    if text.is_empty() {
        return Some(0.0);
    }
    match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => digits(&text[2..], 16),
        [b'0', b'o' | b'O', ..] => digits(&text[2..], 8),
        [b'0', b'b' | b'B', ..] => digits(&text[2..], 2),
        decimal => of_decimal(decimal),
    }
}

/// A decimal number, as in JSON, or with `+`, `5.`, `.5`.
pub(crate) fn of_decimal(text: &[u8]) -> Option<f64> {
    // `parse` also reads `inf` and `NaN`.
    let decimal = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'+' | b'-' | b'e' | b'E');
    if !text.iter().all(decimal) {
        return None;
    }
    let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    number.is_finite().then_some(number)
}

/// JavaScript's white space.
pub(crate) fn is_space(character: char) -> bool {
    character == '\u{feff}' || (character.is_whitespace() && character != '\u{85}')
}

/// Digits to a base that is a power of two, rounded once: to nearest, ties to even.
fn digits(text: &str, base: u32) -> Option<f64> {
    let bits = base.trailing_zeros();
    // The leading digits, at least 64 bits of them once there are so many; what follows only tells whether anything does.
    let (mut leading, mut more, mut scale) = (0_u128, false, 0_i32);
    for character in text.chars() {
        let digit = character.to_digit(base)?;
        if leading >> 64 == 0 {
            leading = leading << bits | u128::from(digit);
        } else {
            more |= digit != 0;
            scale = scale.saturating_add(bits as i32);
        }
    }
    let number = (leading << 1 | u128::from(more)) as f64 * 2_f64.powi(scale.min(2_000) - 1);
    (!text.is_empty() && number.is_finite()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_numbers() {
        for (text, number) in [
            ("", 0.0),
            (" \t\u{a0}\u{feff}\n", 0.0),
            ("5", 5.0),
            (" 5 ", 5.0),
            ("5.", 5.0),
            (".5", 0.5),
            ("+.5e1", 5.0),
            ("-5E-1", -0.5),
            ("007", 7.0),
            ("0x1F", 31.0),
            ("0X1f", 31.0),
            ("0o17", 15.0),
            ("0b11", 3.0),
            ("-0", 0.0),
            ("12345678901234567890", 12_345_678_901_234_567_000.0),
            ("0x20000000000001", 9_007_199_254_740_992.0),
            (
                "0x20000000000001000000000000000001",
                42_535_295_865_117_317_377_654_791_668_261_453_824.0,
            ),
            ("1e-999", 0.0),
        ] {
            assert_eq!(of_text(text.as_bytes()), Some(number), "{text:?}");
        }
    }

    #[test]
    fn texts_that_are_none() {
        let huge = format!("0x{}", "f".repeat(300));
        for text in [
            "abc",
            "5f",
            "5 5",
            "Infinity",
            "-Infinity",
            "inf",
            "NaN",
            "nan",
            "1e999",
            "-0x10",
            "+0x10",
            "0x",
            "0xg",
            "0b2",
            "0o8",
            "1_000",
            "٥",
            ".",
            "e5",
            "5e",
            "+",
            "--5",
            "5-",
            "\u{85}5",
            "0x 5",
            "true",
            &huge,
        ] {
            assert_eq!(of_text(text.as_bytes()), None, "{text:?}");
        }
    }
}
