//! When a connection ends by itself (compat/dojot.md 3.5, decision 6).

use std::time::Duration;

use jiff::Timestamp;

use crate::close::Close;

/// What ends connections. With both, the later counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// The longest life of a connection.
    pub most: Option<Duration>,
    /// Whether the expiry of the user's token counts.
    pub of_token: bool,
}

// ----------------------------------------------------------------------------------------------

impl Lifetime {
    /// When a connection that is opened now ends; `None`: never. `token`: when that of the user expires, if it does.
    ///
    /// # Errors
    /// [`Close::Expired`]: the token counts and has expired. At the original such a connection never ends.
    pub fn end(&self, now: Timestamp, token: Option<Timestamp>) -> Result<Option<Timestamp>, Close> {
        let token = token.filter(|_| self.of_token);
        if token.is_some_and(|token| token <= now) {
            return Err(Close::Expired);
        }
        // What is beyond the end of time is never.
        let most = self.most.map(|most| now.checked_add(most).unwrap_or(Timestamp::MAX));
        Ok(most.max(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_of_the_two_counts() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let now = at(1_000);
        for (most, of_token, token, end) in [
            (None, false, 1_010, Ok(None)),
            (None, false, 10, Ok(None)),
            (Some(100), false, 10, Ok(Some(at(1_100)))),
            (None, true, 1_010, Ok(Some(at(1_010)))),
            (Some(100), true, 1_010, Ok(Some(at(1_100)))),
            (Some(100), true, 1_200, Ok(Some(at(1_200)))),
            (Some(u64::MAX), false, 0, Ok(Some(Timestamp::MAX))),
            (None, true, 1_000, Err(Close::Expired)),
            (Some(100), true, 10, Err(Close::Expired)),
        ] {
            let lifetime = Lifetime {
                most: most.map(Duration::from_secs),
                of_token,
            };
            assert_eq!(lifetime.end(now, Some(at(token))), end, "{lifetime:?} {token}");
            let without = lifetime
                .most
                .map(|most| now.checked_add(most).unwrap_or(Timestamp::MAX));
            assert_eq!(lifetime.end(now, None), Ok(without), "an access key may have no end");
        }
    }
}
