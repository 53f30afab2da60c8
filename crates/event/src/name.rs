//! Which names applications, devices, channels (compat/drogue.md 4.2) and groups may have.

use sockeye_limits::{APPLICATION_NAME, CHANNEL_NAME, DEVICE_NAME, GROUP_ID, RESERVED_APPLICATION_NAMES};

/// A name is not allowed. The text says what is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// An application's name is no DNS label.
    #[error(
        "the name of an application must be 1 to {APPLICATION_NAME} lower-case letters (a-z), digits and hyphens, with no \
         hyphen at either end"
    )]
    Label,
    /// An application's name is a route of the server.
    #[error("`{0}` cannot be the name of an application: it is a path of the server itself")]
    Reserved(&'static str),
    /// A device, a channel or a group has a name that is empty, too long or not printable.
    #[error("the name of a {what} must have 1 to {most} bytes and no control characters")]
    Text {
        /// What was named.
        what: &'static str,
        /// Most bytes allowed.
        most: usize,
    },
}

// ----------------------------------------------------------------------------------------------

/// Checks the name of an application: one DNS label in lower case (RFC 1035 section 2.3.1, RFC 1123 section 2.1), not reserved.
pub fn application(name: &str) -> Result<(), NameError> {
    if let Some(reserved) = RESERVED_APPLICATION_NAMES.iter().find(|reserved| **reserved == name) {
        return Err(NameError::Reserved(reserved));
    }
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let hyphen_at_end = name.starts_with('-') || name.ends_with('-');
    if name.is_empty() || name.len() > APPLICATION_NAME || hyphen_at_end || !name.bytes().all(allowed) {
        return Err(NameError::Label);
    }
    Ok(())
}

/// Checks the name of a device.
pub fn device(name: &str) -> Result<(), NameError> {
    text("device", DEVICE_NAME, name)
}

/// Checks a channel.
pub fn channel(name: &str) -> Result<(), NameError> {
    text("channel", CHANNEL_NAME, name)
}

/// Checks the name of a group, its `group_id`.
pub fn group(name: &str) -> Result<(), NameError> {
    text("group", GROUP_ID, name)
}

fn text(what: &'static str, most: usize, name: &str) -> Result<(), NameError> {
    if name.is_empty() || name.len() > most || name.contains(char::is_control) {
        return Err(NameError::Text { what, most });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_applications() {
        let longest = "a".repeat(63);
        for name in ["a", "app1", "drogue-public-temperature", "0", "v2", &longest] {
            assert_eq!(application(name), Ok(()), "{name}");
        }
        let too_long = "a".repeat(64);
        for name in ["", "-a", "a-", "App", "a.b", "a_b", "ä", "a b", "a\n", &too_long] {
            assert_eq!(application(name), Err(NameError::Label), "{name}");
        }
        for name in RESERVED_APPLICATION_NAMES {
            assert_eq!(application(name), Err(NameError::Reserved(name)));
        }
    }

    #[test]
    fn names_of_devices_and_channels() {
        let (longest, too_long) = ("x".repeat(255), "x".repeat(256));
        for (check, what) in [(device as fn(&str) -> _, "device"), (channel, "channel")] {
            for name in ["a", "Device 1/§", "4e:9f:12@x", &longest] {
                assert_eq!(check(name), Ok(()), "{name}");
            }
            for name in ["", "a\0", "a\u{85}b", "a\n", &too_long] {
                assert_eq!(check(name), Err(NameError::Text { what, most: 255 }), "{name:?}");
            }
        }
    }

    #[test]
    fn names_of_groups() {
        assert_eq!(group("a/b Ü"), Ok(()));
        assert_eq!(group(&"x".repeat(128)), Ok(()));
        for name in ["", "a\n", &"x".repeat(129)] {
            let what = "group";
            assert_eq!(group(name), Err(NameError::Text { what, most: 128 }), "{name:?}");
        }
    }

    #[test]
    fn an_error_says_what_is_allowed() {
        assert_eq!(
            channel("").unwrap_err().to_string(),
            "the name of a channel must have 1 to 255 bytes and no control characters"
        );
        assert!(
            application("A")
                .unwrap_err()
                .to_string()
                .contains("1 to 63 lower-case letters")
        );
    }
}
