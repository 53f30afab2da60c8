//! Text as the inside of a JSON string.

use bytes::BytesMut;

use super::scan;

/// Appends the text as it stands between the quotes of a JSON string. Only what must be escaped is (RFC 8259 section 7), the
/// short forms where there are any.
pub fn escape_into(text: &str, out: &mut BytesMut) {
    let text = text.as_bytes();
    let mut start = 0;
    loop {
        let end = scan::plain_end(text, start);
        out.extend_from_slice(&text[start..end]);
        let Some(&byte) = text.get(end) else { return };
        match byte {
            b'"' => out.extend_from_slice(br#"\""#),
            b'\\' => out.extend_from_slice(br"\\"),
            0x08 => out.extend_from_slice(br"\b"),
            b'\t' => out.extend_from_slice(br"\t"),
            b'\n' => out.extend_from_slice(br"\n"),
            0x0C => out.extend_from_slice(br"\f"),
            b'\r' => out.extend_from_slice(br"\r"),
            _ => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                let (high, low) = (DIGITS[(byte >> 4) as usize], DIGITS[(byte & 15) as usize]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
        }
        start = end + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_as_serde_json_does() {
        let all: String = (0..0x250).filter_map(char::from_u32).collect();
        for text in [
            "",
            "plain",
            "a longer plain text",
            "\"",
            "a\\b",
            "né\u{1f600}\n\0",
            &all,
        ] {
            let mut out = BytesMut::from("\"");
            escape_into(text, &mut out);
            out.extend_from_slice(b"\"");
            assert_eq!(out, serde_json::to_string(text).unwrap().as_bytes(), "{text:?}");
        }
    }
}
