//! What a client did against the protocol, and how its connection is closed for it.

/// The client broke the protocol: nothing more is read from it. The text is what the close reason says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// RFC 6455 section 5.1.
    #[error("a client must mask its frames")]
    Unmasked,
    /// RFC 6455 section 5.2, RFC 7692 section 6.
    #[error("reserved bits are set that no extension gives a meaning")]
    ReservedBits,
    /// RFC 6455 section 5.2.
    #[error("opcode {0} is unknown")]
    UnknownOpcode(u8),
    /// RFC 6455 section 5.5.
    #[error("a control frame must not be fragmented")]
    FragmentedControl,
    /// RFC 6455 section 5.5.
    #[error("a control frame has at most 125 bytes")]
    LongControl,
    /// RFC 6455 section 5.4.
    #[error("a continuation without a message to continue")]
    NothingToContinue,
    /// RFC 6455 section 5.4.
    #[error("a new message within a fragmented one")]
    MessageInMessage,
    /// RFC 6455 section 5.2: the highest bit of a length is 0, and it has its shortest form.
    #[error("a length that is not written in its shortest form")]
    Length,
    /// RFC 6455 section 5.5.1.
    #[error("a close frame of one byte")]
    CloseOfOneByte,
    /// RFC 6455 section 7.4.
    #[error("close code {0} must not be sent")]
    CloseCode(u16),
    /// RFC 6455 section 8.1.
    #[error("text must be UTF-8")]
    NotUtf8,
    /// RFC 7692 section 7.2.2.
    #[error("a compressed message must be DEFLATE data without context")]
    NotDeflate,
    /// More than the limit for one message; of a compressed one, for what it inflates to.
    #[error("a message has at most {0} bytes")]
    TooLarge(usize),
}

/// Close codes (RFC 6455 section 7.4.1) that Sockeye sends.
pub mod close_code {
    /// The purpose is fulfilled.
    pub const NORMAL: u16 = 1000;
    /// The server stops.
    pub const GOING_AWAY: u16 = 1001;
    /// The client broke the protocol.
    pub const PROTOCOL: u16 = 1002;
    /// Text that is not UTF-8, or compressed data that cannot be inflated.
    pub const INVALID_DATA: u16 = 1007;
    /// A right has ended, or a rule was broken.
    pub const POLICY: u16 = 1008;
    /// A message is too large.
    pub const TOO_LARGE: u16 = 1009;
    /// The server failed.
    pub const INTERNAL: u16 = 1011;
    /// The service starts anew: connect again (registered with IANA).
    pub const SERVICE_RESTART: u16 = 1012;
    /// Try again later (registered with IANA).
    pub const TRY_AGAIN: u16 = 1013;
}

// ----------------------------------------------------------------------------------------------

impl ProtocolError {
    /// The code with which the connection is closed.
    pub fn close_code(self) -> u16 {
        match self {
            Self::NotUtf8 | Self::NotDeflate => close_code::INVALID_DATA,
            Self::TooLarge(_) => close_code::TOO_LARGE,
            _ => close_code::PROTOCOL,
        }
    }
}
