//! How a connection is ended: documented codes, and symbols as reasons (compat/dojot.md, decision 4).

use std::fmt;

use sockeye_access::Ended;
use sockeye_filter::FilterError;
use sockeye_limits::WS_CLOSE_REASON;

/// Why a connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Close {
    /// 4000 to 4004: a `where` or a `fields` is wrong.
    Filter(FilterError),
    /// 4000: a parameter that counts is given more than once, or as a list.
    Repeated(&'static str),
    /// 4401: there is no ticket, or nobody issued it, or it was used, or it is too old (decision 3).
    Ticket,
    /// 4403: the topic is not the tenant's.
    ForbiddenTopic,
    /// 4403: the right to read it has ended.
    Ended(Ended),
    /// 4408: its time is over.
    Expired,
    /// 4999: an error that is ours.
    Internal,
}

// ----------------------------------------------------------------------------------------------

impl Close {
    /// Something of ours failed: what is the operator's to know.
    pub(crate) fn internal(error: impl fmt::Display) -> Self {
        tracing::warn!(%error, "a stream could not be opened");
        Self::Internal
    }

    /// The close code.
    pub fn code(&self) -> u16 {
        match self {
            Self::Filter(error) => error.code.number(),
            Self::Repeated(_) => 4000,
            Self::Ticket => 4401,
            Self::ForbiddenTopic | Self::Ended(_) => 4403,
            Self::Expired => 4408,
            Self::Internal => 4999,
        }
    }

    /// The reason, cut to what a close frame can hold, on a character boundary. The original sends an illegal frame (3.4).
    pub fn reason(&self) -> String {
        let mut reason = self.to_string();
        reason.truncate(reason.floor_char_boundary(WS_CLOSE_REASON));
        reason
    }
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter(error) => error.fmt(f),
            Self::Repeated(name) => write!(f, "INVALID_SYNTAX: `{name}` is given more than once, or as a list"),
            Self::Ticket => f.write_str("INVALID_TICKET: missing, unknown, used or expired: fetch a new one"),
            Self::ForbiddenTopic => {
                f.write_str("FORBIDDEN_TOPIC: a topic of the tenant begins with its name and a `.`")
            }
            Self::Ended(ended) => write!(f, "FORBIDDEN_TOPIC: {ended}"),
            Self::Expired => f.write_str("EXPIRED_CONNECTION: fetch a new ticket and connect again"),
            Self::Internal => f.write_str("INTERNAL: an error of the server, try again later"),
        }
    }
}

impl std::error::Error for Close {}

impl From<FilterError> for Close {
    fn from(error: FilterError) -> Self {
        Self::Filter(error)
    }
}

#[cfg(test)]
mod tests {
    use sockeye_filter::{Filter, Shape};

    use super::*;

    #[test]
    fn codes_and_symbols_are_those_of_the_documentation() {
        let wrong = |filter: &str| Close::from(Filter::parse(filter, Shape::Document).unwrap_err());
        for (close, code, symbol) in [
            (wrong("temp"), 4000, "INVALID_SYNTAX"),
            (Close::Repeated("where"), 4000, "INVALID_SYNTAX"),
            (wrong("temp=foo:5;"), 4001, "INVALID_OPERATOR"),
            (wrong(r#"temp=in:"\q";"#), 4002, "INVALID_ESCAPE_VALUE"),
            (wrong("temp=gt:1,2;"), 4003, "INVALID_OPERATOR_ARITY"),
            (wrong("temp=gt:x;"), 4004, "INVALID_VALUE"),
            (Close::Ticket, 4401, "INVALID_TICKET"),
            (Close::ForbiddenTopic, 4403, "FORBIDDEN_TOPIC"),
            (Close::Ended(Ended::KeyRevoked), 4403, "FORBIDDEN_TOPIC"),
            (Close::Expired, 4408, "EXPIRED_CONNECTION"),
            (Close::Internal, 4999, "INTERNAL"),
        ] {
            assert_eq!(close.code(), code, "{close}");
            assert_eq!(close.reason().split(':').next(), Some(symbol), "{close}");
        }
    }

    /// A reason of more than 123 bytes would be an illegal frame (3.4, do not copy).
    #[test]
    fn a_reason_fits_into_its_frame() {
        for filter in [
            format!("temp=gt:{};", "é".repeat(500)),
            format!("temp={}:5;", "x".repeat(500)),
        ] {
            let close = Close::from(Filter::parse(&filter, Shape::Document).unwrap_err());
            assert!(close.to_string().len() > WS_CLOSE_REASON, "{close}");
            assert!(
                (WS_CLOSE_REASON - 3..=WS_CLOSE_REASON).contains(&close.reason().len()),
                "{close}"
            );
        }
    }
}
