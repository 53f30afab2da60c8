//! Where the plain part of a string ends: eight bytes per step, in safe code.

/// Index of the first byte from `at` on that does not stand for itself in a JSON string: `"`, `\` or a control character; the
/// length of the text if there is none.
#[inline]
pub(super) fn plain_end(text: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = text.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let special = special_bytes(u64::from_le_bytes(*chunk));
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while at < text.len() && text[at] >= b' ' && text[at] != b'"' && text[at] != b'\\' {
        at += 1;
    }
    at
}

/// The high bit of every special byte. A borrow may also set it in a byte above a special one, never below: the lowest is right.
#[inline]
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let below_space = word.wrapping_sub(ONES * b' ' as u64) & !word;
    let is_quote = quote.wrapping_sub(ONES) & !quote;
    let is_backslash = backslash.wrapping_sub(ONES) & !backslash;
    (below_space | is_quote | is_backslash) & HIGHS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place_is_judged_rightly() {
        for byte in 0..=u8::MAX {
            for place in 0..19 {
                let mut text = *b"abcdefgh\x7f\x80\xffijklmnopq";
                text[place] = byte;
                let special = byte < b' ' || byte == b'"' || byte == b'\\';
                let expected = if special { place } else { text.len() };
                assert_eq!(plain_end(&text, 0), expected, "byte {byte:#x} at {place}");
            }
        }
    }

    #[test]
    fn the_first_of_several_counts() {
        assert_eq!(plain_end(b"ab\"!\\!!!!", 0), 2);
        assert_eq!(plain_end(b"ab\"!\\!!!!", 3), 4);
        assert_eq!(plain_end(b"", 0), 0);
    }
}
