//! Access keys (compat/drogue.md 3.2): `drg_`, six characters, `_`, thirty characters, and a checksum that finds typing
//! errors without a look into the registry.

use rand::RngExt;
use sha3::{Digest, Sha3_512};
use sockeye_limits as limits;
use subtle::ConstantTimeEq;

use crate::Secret;

/// What every key begins with.
pub const MARK: &str = "drg_";

/// A key that was just made.
#[derive(Clone, Debug)]
pub struct GeneratedKey {
    /// Its public id.
    pub prefix: String,
    /// The whole key: to be shown once and forgotten.
    pub key: Secret,
    /// What is stored of it.
    pub hash: String,
}

/// A text is no access key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not an access key: copy it whole, it begins with `{MARK}`")]
pub struct NotAKey;

// ----------------------------------------------------------------------------------------------

/// Digits, upper case, lower case: the order of the checksum's base 62.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// `drg_xxxxxx`
const PREFIX: usize = MARK.len() + 6;
/// What the ids begin with of keys that were not made here, and how much of their hash follows.
const GIVEN: &str = "giv_";
const GIVEN_DIGITS: usize = 12;
/// Bytes of a hash.
const HASH: usize = 64;
/// Prefix, `_`, thirty characters.
const BODY: usize = PREFIX + 1 + 30;

/// Makes a key from the operating system's randomness: 36 characters of 5.95 bits, of which 30 are secret.
pub fn generate() -> GeneratedKey {
    let mut rng = rand::rng();
    let mut random = |count: usize| -> String {
        (0..count)
            .map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]))
            .collect()
    };
    let prefix = format!("{MARK}{}", random(PREFIX - MARK.len()));
    let key = with_checksum(format!("{prefix}_{}", random(BODY - PREFIX - 1)));
    GeneratedKey {
        hash: hash(&key),
        key: Secret::new(key),
        prefix,
    }
}

/// The prefix of a key, if the text is one: length, form and checksum.
pub fn prefix(key: &str) -> Result<&str, NotAKey> {
    let (Some(body), Some(prefix)) = (key.get(..BODY), key.get(..PREFIX)) else {
        return Err(NotAKey);
    };
    let alphanumeric = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let well_formed = body.strip_prefix(MARK).and_then(|rest| rest.split_once('_'));
    match well_formed {
        Some((id, secret)) if MARK.len() + id.len() == PREFIX && alphanumeric(id) && alphanumeric(secret) => {}
        _ => return Err(NotAKey),
    }
    if with_checksum(body.to_owned()) != key {
        return Err(NotAKey);
    }
    Ok(prefix)
}

/// Whether a text is the prefix of a key.
pub fn is_prefix(text: &str) -> bool {
    let id = text.strip_prefix(MARK);
    text.len() == PREFIX && id.is_some_and(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Whether a text is what [`hash`] gives.
pub fn is_hash(text: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 2 * HASH && text.bytes().all(digit)
}

/// The id under which a key is stored: its prefix, or for one that was not made here a part of its hash. `None`: it is none.
pub fn id(key: &Secret) -> Option<String> {
    let text = key.expose();
    if text.starts_with(MARK) {
        return prefix(text).ok().map(str::to_owned);
    }
    is_strong(text).then(|| format!("{GIVEN}{}", &hash(text)[..GIVEN_DIGITS]))
}

/// Whether a text that somebody brings can be a key: visible ASCII that looks as if it had at least 128 bits
/// (compat/octave.md, decision 7).
pub fn is_strong(text: &str) -> bool {
    let all = |is: fn(&u8) -> bool| text.bytes().all(|byte| is(&byte));
    if text.starts_with(MARK) || text.len() > limits::GIVEN_KEY || !all(u8::is_ascii_graphic) {
        return false;
    }
    let bits: f64 = match () {
        () if all(u8::is_ascii_digit) => 3.3,
        () if all(u8::is_ascii_hexdigit) => 4.0,
        () if all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) => 5.1,
        () => 5.9,
    };
    let mut counts = [0_usize; 128];
    text.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let kinds = counts.iter().filter(|count| **count > 0).count();
    // What repeats itself is no accident.
    let repeats = counts.iter().any(|count| count * 4 > text.len());
    bits * text.len() as f64 >= 128.0 && kinds >= 9 && !repeats
}

/// What is stored of a key: SHA3-512, lower-case hex.
pub fn hash(key: &str) -> String {
    hex(&Sha3_512::digest(key))
}

/// Lower-case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

/// Whether `stored` is the hash of `key`, in constant time.
pub fn matches(key: &Secret, stored: &str) -> bool {
    hash(key.expose()).as_bytes().ct_eq(stored.as_bytes()).into()
}

/// Appends CRC-32 (IEEE) in base 62, without leading zeros.
fn with_checksum(mut body: String) -> String {
    let mut rest = crc32fast::hash(body.as_bytes()) as usize;
    let at = body.len();
    loop {
        body.insert(at, char::from(ALPHABET[rest % ALPHABET.len()]));
        rest /= ALPHABET.len();
        if rest == 0 {
            return body;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VECTOR: &str = "drg_012345_01234567890123456789012345678920BetF";

    #[test]
    fn the_test_vector() {
        assert_eq!(prefix(VECTOR), Ok("drg_012345"));
        assert_eq!(with_checksum(VECTOR[..BODY].to_owned()), VECTOR);
    }

    #[test]
    fn the_hash_is_sha3_512_in_hex() {
        // FIPS 202, SHA3-512 of the empty message.
        let empty = "a69f73cca23a9ac5c8b567dc185a756e97c982164fe25859e0d1dcc1475c80a615b2123af1f5f94c11e3e9402c3ac558f500199d95b6d3e301758586281dcd26";
        assert_eq!(hash(""), empty);
        assert!(matches(&Secret::new(""), empty));
        assert!(!matches(&Secret::new(VECTOR), empty));
        assert!(!matches(&Secret::new(""), ""));
    }

    #[test]
    fn a_key_that_somebody_brings_has_to_look_random() {
        for strong in [
            "f3Ab9Zk2Qw8Xn5Lt7Vc1Rj6Mh4Yd0Ps",
            "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
            "a-b_c.d~e!f1g2h3i4j5k6l7",
        ] {
            let key = Secret::new(strong);
            let id = id(&key).unwrap();
            assert!(
                id.starts_with("giv_") && id.len() == 16 && !strong.contains(&id[4..]),
                "{id}"
            );
        }
        let long = "aB3dE6gH9".repeat(100);
        for weak in [
            "",
            "secret",
            "f3Ab9Zk2Qw8Xn5Lt7",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "0123456789012345678901234567890123",
            "abababababababababababababababababab",
            "f3Ab9Zk2Qw8Xn5Lt7Vc1Rj6Mh4Yd0P ä",
            "drg_012345_f3Ab9Zk2Qw8Xn5Lt7Vc1Rj6Mh4Yd0Ps",
            &long,
        ] {
            assert_eq!(id(&Secret::new(weak)), None, "{weak}");
        }
        assert_eq!(id(&Secret::new(VECTOR)).as_deref(), Some("drg_012345"));
    }

    #[test]
    fn what_is_stored_of_a_key_is_known_by_its_form() {
        let made = generate();
        assert!(is_prefix(&made.prefix) && is_hash(&made.hash));
        for text in [
            "",
            "drg_",
            "drg_12345",
            "drg_1234567",
            "drg_12345_",
            "drx_123456",
            "drg_1234ä",
        ] {
            assert!(!is_prefix(text), "{text}");
        }
        for text in [
            "",
            &made.hash[1..],
            &made.hash.to_uppercase(),
            &made.hash.replace(&made.hash[..1], "g"),
        ] {
            assert!(!is_hash(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_key() {
        let short = with_checksum("drg_012345_01234567890123456789012345678".to_owned());
        let shifted = with_checksum("drg_01234_0123456789012345678901234567890".to_owned());
        let blank = with_checksum("drg_012345_01234567890123456789012345678 ".to_owned());
        let other = with_checksum("drx_012345_012345678901234567890123456789".to_owned());
        let padded = format!("{VECTOR}0");
        for text in [
            "",
            "drg_",
            &VECTOR[..BODY],
            &short,
            &shifted,
            &blank,
            &other,
            &padded,
            "drg_012345_ääääääääääääääääää",
        ] {
            assert_eq!(prefix(text), Err(NotAKey), "{text}");
        }
    }

    #[test]
    fn a_generated_key_is_a_key_and_none_is_like_another() {
        let (one, two) = (generate(), generate());
        assert_eq!(prefix(one.key.expose()), Ok(one.prefix.as_str()));
        assert!(matches(&one.key, &one.hash));
        assert!(!matches(&two.key, &one.hash));
        assert_ne!(one.prefix, two.prefix);
        assert!(!format!("{one:?}").contains(one.key.expose()));
    }

    proptest! {
        #[test]
        fn a_checksum_holds_for_every_body(id in "[0-9A-Za-z]{6}", secret in "[0-9A-Za-z]{30}") {
            let key = with_checksum(format!("{MARK}{id}_{secret}"));
            prop_assert!((BODY + 1..=BODY + 6).contains(&key.len()), "{}", key);
            prop_assert_eq!(prefix(&key), Ok(&key[..PREFIX]));
        }

        #[test]
        fn one_wrong_character_is_found(at in MARK.len()..VECTOR.len(), other in "[0-9A-Za-z]") {
            let mut typo = VECTOR.to_owned();
            typo.replace_range(at..=at, &other);
            prop_assert_eq!(prefix(&typo).is_ok(), typo == VECTOR);
        }

        #[test]
        fn any_text_can_be_asked(text in ".*") {
            prop_assert!(prefix(&text).is_err());
        }
    }
}
